from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core.address import (
    Address,
    HostPort,
    UnixPath,
    parse_address,
    parse_host,
    parse_listening,
    parse_port,
    parse_unix,
    show,
    split_port,
    split_relay,
)
from sockkit.errors import UsageError

SERVICES = {"http": 80, "ssh": 22, "no-good": 70000}

# What a command line can hold: any text, and surrogates for bytes that are none.
BYTES = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
WORDS = st.text(st.characters(exclude_categories=["Cs"]) | BYTES) | st.text("a:[]@%/09")


@pytest.mark.parametrize(
    ("text", "port"), [("1", 1), ("080", 80), ("65535", 65535), ("http", 80), ("ssh", 22)]
)
def test_ports(text: str, port: int) -> None:
    assert parse_port(text, SERVICES.get) == port


@pytest.mark.parametrize(
    "text",
    [
        *("0", "65536", "99999", "99999999999", "9" * 5000, "-1", "-0", "+80", "1.5", "8_0"),
        *("", " 80", "80 ", "80\n", "80x", "0x50", "８０", "²", "abc", "no-good", "hτtp"),
    ],
)
def test_what_is_no_port_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a port: give 1 to"):
        parse_port(text, SERVICES.get)


def test_a_server_may_leave_the_port_to_the_system() -> None:
    assert parse_port("0", SERVICES.get, lowest=0) == 0
    with pytest.raises(UsageError, match="give 0 to 65535"):
        parse_port("-0", SERVICES.get, lowest=0)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (["localhost", "80"], HostPort("localhost", 80)),
        (["localhost:80"], HostPort("localhost", 80)),
        (["10.0.0.7:http"], HostPort("10.0.0.7", 80)),
        (["::1", "80"], HostPort("::1", 80)),
        (["[::1]", "80"], HostPort("::1", 80)),
        (["[::1]:80"], HostPort("::1", 80)),
        (["[fe80::1%eth0]:80"], HostPort("fe80::1%eth0", 80)),
        (["unix:/run/a b:80"], UnixPath("/run/a b:80")),
        (["unix:@name"], UnixPath("@name")),
        (["unix:" + "é" * 53], UnixPath("é" * 53)),
    ],
)
def test_addresses(words: list[str], address: Address) -> None:
    assert parse_address(words, SERVICES.get) == address


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "no address"),
        ([""], "''"),
        (["localhost"], "'localhost' has no port"),
        (["::1"], "'::1' has no port: give HOST PORT"),
        (["2001:db8::1:80"], "'2001:db8::1:80' has no port: write [2001:db8::1]:80 for port 80"),
        (["1:2:3:4:5:6:7:8:80"], "has no port: write [1:2:3:4:5:6:7:8]:80 for port 80"),
        (["[::1]"], "'[::1]' has no port"),
        (["localhost:"], "'' is not a port"),
        ([":80"], "':80' has no host"),
        (["[]:80"], "'[]' is not a host"),
        (["[::1:80"], "'[::1:80' is not a host"),
        (["::1]", "80"], "'::1]' is not a host"),
        (["a/b", "80"], "'a/b' is not a host"),
        (["a b", "80"], "'a b' is not a host"),
        (["*", "80"], "'*' is not a host: write 0.0.0.0 to listen on all addresses"),
        (["5000", "80"], "'5000' is not a host: give HOST PORT"),
        (["192.168.1", "80"], "'192.168.1' is not a host: an IPv4 address has four numbers"),
        (["127.1:80"], "'127.1' is not a host: an IPv4 address has four numbers"),
        (
            ["http://a:80"],
            "'http://a:80' is not a host: leave out http:// and what follows the port",
        ),
        (["https://a"], "'https://a' is not a host: leave out https://"),
        (["/tmp/a", "80"], "'/tmp/a' is not a host: write unix:/tmp/a"),
        (["localhost:80", "81"], "two ports: 'localhost:80' and '81'"),
        (["localhost", "65536"], "'65536' is not a port"),
        (["localhost", "80", "81"], "unexpected '81' after a host and a port"),
        (["unix:/a", "80"], "unexpected '80' after unix:/a"),
        (["unix:"], "'unix:' is not a unix address"),
        (["unix:@"], "'unix:@' is not a unix address"),
        (["unix:" + "a" * 108], "a' is not a unix address"),
        (["unix:" + "é" * 54], "é' is not a unix address"),
        (["unix:/a\0b"], "is not a unix address"),
    ],
)
def test_what_is_no_address_is_named(words: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)):
        parse_address(words, SERVICES.get)


@given(st.lists(WORDS | WORDS.map("unix:".__add__) | st.just("80"), max_size=3))
@example(["unix:/\udcff"])
def test_only_usage_errors_and_ports_in_range(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        address = parse_address(words, SERVICES.get)
        assert isinstance(address, UnixPath) or (address.host and 1 <= address.port <= 65535)
    with contextlib.suppress(UsageError):
        _, port = parse_listening(words, SERVICES.get)
        assert port is None or 0 <= port <= 65535
    place, target = split_relay(words)
    assert [*place, *target] == words


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ([], (None, None)),
        (["8080"], (None, 8080)),
        (["0"], (None, 0)),
        (["http"], (None, 80)),
        (["localhost"], ("localhost", None)),
        (["::"], ("::", None)),
        (["0.0.0.0", "8080"], ("0.0.0.0", 8080)),
        (["0.0.0.0", "0"], ("0.0.0.0", 0)),
        (["localhost:0"], ("localhost", 0)),
        (["[::]:8080"], ("::", 8080)),
        (["unix:/a"], (UnixPath("/a"), None)),
    ],
)
def test_where_to_listen(words: list[str], place: object) -> None:
    assert parse_listening(words, SERVICES.get) == place


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a", "80", "81"], "unexpected '81' after an address and a port"),
        (["65536"], "'65536' is not a port: give 0 to 65535"),
        ([":80"], "':80' has no address: write 80, or 0.0.0.0:80 for all"),
        (["a:"], "'' is not a port"),
        (["a:1", "2"], "two ports: 'a:1' and '2': leave one out"),
    ],
)
def test_nowhere_to_listen(words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        parse_listening(words, SERVICES.get)


@pytest.mark.parametrize(
    ("words", "place", "target"),
    [
        ("", "", ""),
        ("a:80", "", "a:80"),
        ("a 80", "", "a 80"),
        ("8080 a 80", "8080", "a 80"),
        ("8080 a:80", "8080", "a:80"),
        ("0.0.0.0 8080 a 80", "0.0.0.0 8080", "a 80"),
        ("0.0.0.0 8080 unix:/a", "0.0.0.0 8080", "unix:/a"),
        ("0.0.0.0:8080 a 80", "0.0.0.0:8080", "a 80"),
        ("8080 unix:", "", "8080 unix:"),
    ],
)
def test_a_relay_s_words(words: str, place: str, target: str) -> None:
    assert split_relay(words.split()) == (place.split(), target.split())


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_what_is_shown_can_be_typed(host: str, port: int) -> None:
    assert parse_address([show(host, port)], SERVICES.get) == HostPort(host, port)


def test_only_unix_words_are_unix_paths() -> None:
    assert parse_unix("unix:/a") == UnixPath("/a")
    assert parse_unix("/a") is None
    assert parse_unix("UNIX:/a") is None


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("localhost", ("localhost", None)),
        ("::", ("::", None)),
        ("[::]", ("::", None)),
        ("[::]:0", ("::", "0")),
        ("a:b", ("a", "b")),
    ],
)
def test_split_port(word: str, parts: tuple[str, str | None]) -> None:
    assert split_port(word) == parts


def test_addresses_read_as_people_say_them() -> None:
    assert str(HostPort("::1", 80)) == "::1 port 80"
    assert str(UnixPath("@a")) == "unix:@a"
    assert parse_host("[::1]") == "::1"


@pytest.mark.parametrize(
    "host",
    [
        "a,",
        "(a",
        "a)",
        "a\uff0c",
        "a\uff1a80",
        "\uff08a",
        "a\uff09",
        "\u2013x",
        "\u2014p",
        "\u2212p",
        "\uff0dp",
    ],
)
def test_no_host_has_marks_that_belong_elsewhere(host: str) -> None:
    with pytest.raises(UsageError, match="is not a host"):
        parse_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "b\xfccher.example",
        "\u4f8b\u5b50.example",
        "\uff4c\uff4f",
        "a-b",
        "127\u30020\u30020\u30021",
    ],
)
def test_what_the_resolver_makes_ascii_is_a_host(host: str) -> None:
    assert parse_host(host) == host


@pytest.mark.parametrize("host", ["192.168.1.30", "1.2.3.4.example", "5000.example", "0x7f"])
def test_four_numbers_and_names_are_hosts(host: str) -> None:
    assert parse_host(host) == host
