from __future__ import annotations

import pytest

from sockkit.core.habits.draft import (
    Draft,
    are_ports,
    choose,
    dress,
    is_path,
    is_port,
    is_whole,
    proxy_url,
)
from sockkit.core.habits.line import Flag
from sockkit.core.habits.table import Habit
from sockkit.errors import UsageError


@pytest.mark.parametrize(
    ("command", "acts", "chosen"),
    [
        ("", "", "tcp-client"),
        ("", "listen", "tcp-server"),
        ("", "udp listen", "udp-server"),
        ("tcp-client", "udp", "udp-client"),
        ("udp-client", "listen", "udp-server"),
        ("tcp-server", "udp", "udp-server"),
        ("tcp-client", "probe", "probe"),
        ("tcp-server", "chat", "chat serve"),
        ("chat join", "listen", "chat serve"),
        ("echo", "listen", "echo"),
        ("", "listen relay", "relay"),
    ],
)
def test_the_command(command: str, acts: str, chosen: str) -> None:
    draft = Draft(command)
    draft.act(*acts.split())
    choose(draft)
    assert draft.command == chosen


def test_udp_is_an_option_of_some() -> None:
    draft = Draft("echo")
    draft.act("udp")
    choose(draft)
    assert draft.options == [("--udp",)]


@pytest.mark.parametrize(
    ("acts", "before", "after"),
    [
        ({"send": "hello world"}, "echo 'hello world' | ", ""),
        ({"every": "500ms"}, "while sleep 0.5; do echo hello; done | ", ""),
        ({"count": "3"}, "for i in $(seq 3); do echo hello; done | ", ""),
        (
            {"every": "1", "count": "3"},
            "for i in $(seq 3); do echo hello; sleep 1; done | ",
            "",
        ),
        ({"every": "2", "send": "ping"}, "while sleep 2; do echo ping; done | ", ""),
        ({"file": "a b"}, "", " < 'a b'"),
    ],
)
def test_what_is_around_the_command(acts: dict[str, str], before: str, after: str) -> None:
    draft = Draft("tcp-client")
    draft.acts |= acts
    dress(draft)
    assert (draft.before, draft.after) == (before, after)


@pytest.mark.parametrize(
    "acts",
    [
        {"every": "soon"},
        {"count": "x"},
        {"count": "１"},
        {"send": "a", "file": "x"},
        {"proxy-type": "5"},
        {"file": "a", "every": "1"},
    ],
)
def test_what_cannot_be_meant(acts: dict[str, str]) -> None:
    draft = Draft("tcp-client")
    draft.acts |= acts
    with pytest.raises(UsageError):
        dress(draft)


@pytest.mark.parametrize("many", ["keep", ""])
def test_what_serves_many_keeps_neither_once_nor_a_half_close(many: str) -> None:
    draft = Draft("tcp-server")
    draft.act("once", *([many] if many else []))
    draft.add("--half-close", "never")
    dress(draft)
    assert draft.options == ([] if many else [("--half-close", "never"), ("--once",)])


@pytest.mark.parametrize(
    ("acts", "url"),
    [
        ({"proxy": "p:1"}, "http://p:1"),
        ({"proxy": "p"}, "http://p:3128"),
        ({"proxy": "p", "proxy-type": "5"}, "socks5h://p"),
        ({"proxy": "p:1", "proxy-type": "4"}, "socks4://p:1"),
        ({"proxy": "p:1", "proxy-type": "CONNECT"}, "http://p:1"),
        ({"proxy": "[::1]:1", "proxy-user": "me:pw"}, "http://me@[::1]:1"),
    ],
)
def test_proxies(acts: dict[str, str], url: str) -> None:
    assert proxy_url(acts) == url


def test_tls_options_need_tls_first() -> None:
    draft = Draft("tcp-client")
    draft.add("--tls-ca", "x")
    draft.add("--tls")
    dress(draft)
    assert draft.options == [("--tls",), ("--tls-ca", "x")]


def test_the_reason_that_explains_most() -> None:
    draft = Draft()
    assert draft.reason == ""
    draft.take(Habit("-N", "nc's {} is the default here"), Flag("-N"))
    assert draft.reason == "nc's -N is the default here"
    draft.take(Habit("--ssl", "nc's {} is --tls here", "--tls"), Flag("--ssl"))
    assert draft.reason == "ncat's --ssl is --tls here"
    draft.take(Habit("-l", "{} is a command", act="listen"), Flag("-l"))
    assert draft.reason == "-l is a command"
    assert draft.options == [("--tls",)]
    assert draft.lacking == ""
    draft.take(Habit("-e", "", "--exec {}", value=True), Flag("-e"))
    assert draft.lacking == "-e"


def test_a_command_that_reads_no_stdin_is_repeated_itself() -> None:
    draft = Draft("probe")
    draft.acts |= {"every": "1", "count": "3"}
    dress(draft)
    assert (draft.before, draft.after) == ("for i in $(seq 3); do ", "; sleep 1; done")


def test_each_line_of_udp_is_a_datagram() -> None:
    draft = Draft("udp-client")
    draft.options = [("--hex-input",)]
    draft.acts["count"] = "2"
    dress(draft)
    assert draft.before == "for i in $(seq 2); do echo '68 65 6c 6c 6f'; done | "
    assert ("--lines",) in draft.options


def test_the_variables_of_a_program_have_our_names() -> None:
    draft = Draft("tcp-server")
    draft.options = [("--once",), ("--shell", "echo $NCAT_REMOTE_ADDR $SOCAT_PEERPORT")]
    dress(draft)
    assert draft.options[1] == ("--shell", "echo $SOCKKIT_REMOTE_HOST $SOCKKIT_REMOTE_PORT")
    draft.options = [("--shell", "echo $NCAT_PROTO")]
    with pytest.raises(UsageError):
        dress(draft)


def test_an_option_that_is_ours_needs_no_reason() -> None:
    draft = Draft()
    draft.take(Habit("-w --wait", "{} is -w here", "-w {}", value=True), Flag("-w", "3"))
    assert draft.reason == ""
    assert draft.options == [("-w", "3")]


def test_an_option_is_added_once_and_taken_away() -> None:
    draft = Draft()
    draft.add("--source", "a")
    draft.add("--source", "a")
    assert draft.options == [("--source", "a")]
    assert draft.drop("--source") == "a"
    assert draft.drop("--source") == ""


@pytest.mark.parametrize("word", ["0", "80", "65535"])
def test_ports(word: str) -> None:
    assert is_port(word)
    assert are_ports(word)
    assert are_ports(f"{word},1-{word}")


@pytest.mark.parametrize("word", ["", "65536", "-1", "8O", "８０", "http"])
def test_no_ports(word: str) -> None:
    assert not is_port(word)
    assert not are_ports(word)
    assert not are_ports(f"80,{word}")


def test_addresses_in_a_word() -> None:
    assert all(map(is_whole, ["a:1", "[::1]:80", "unix:/x", "0.0.0.0:0"]))
    assert not any(map(is_whole, ["a", "::1", "a:", ":1", "a:x:1", "unix:", "a:99999", "a b:1"]))
    assert all(map(is_path, ["/x", "./x", "../x"]))
    assert not any(map(is_path, ["x", "x/y", ".x", "unix:/x"]))
