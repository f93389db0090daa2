from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.programs import (
    connection_facts,
    exit_status,
    program_environment,
    shell_command,
    signal_name,
    split_command,
    word_for_a_shell,
)
from sockkit.errors import UsageError

INHERITED = {
    "PATH": "/bin",
    "SOCKKIT_PASSWORD": "a",
    "SOCKKIT_PROXY_PASSWORD": "b",
    "SOCKKIT_REMOTE_HOST": "of an outer sockkit",
}


def test_a_program_does_not_see_our_passwords() -> None:
    assert set(program_environment(INHERITED)) == {"PATH", "SOCKKIT_REMOTE_HOST"}


def test_a_program_is_told_the_facts() -> None:
    made = program_environment(INHERITED, REMOTE_HOST="::1", PROTO="tcp")
    assert made == {"PATH": "/bin", "SOCKKIT_REMOTE_HOST": "::1", "SOCKKIT_PROTO": "tcp"}


def test_those_of_an_outer_sockkit_are_not_taken_for_ours() -> None:
    made = program_environment(INHERITED, PROTO="tcp")
    assert made == {"PATH": "/bin", "SOCKKIT_PROTO": "tcp"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat", ("cat",)),
        ("  awk '{ print $1 }'  a\\ b ", ("awk", "{ print $1 }", "a b")),
        ('printf "%s" ""', ("printf", "%s", "")),
        ("echo * $HOME # no comment", ("echo", "*", "$HOME", "#", "no", "comment")),
        ("echo a | wc", ("echo", "a", "|", "wc")),
        ("你好 'é 👋'", ("你好", "é 👋")),
    ],
)
def test_a_command_is_split_as_a_shell_would(text: str, words: tuple[str, ...]) -> None:
    assert split_command(text) == words


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no program"),
        ("  ", "names no program"),
        ("'' x", "names no program"),
        ("echo 'a", "no closing quotation"),
        ('echo "a', "no closing quotation"),
        ("echo a\\", "no escaped character"),
    ],
)
def test_what_cannot_be_split_is_a_usage_error(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        split_command(text)


@given(st.text())
def test_splitting_raises_usage_errors_alone(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert split_command(text)[0]


def test_a_shell_gets_its_command_as_one_word() -> None:
    assert shell_command("echo a | wc") == ("/bin/sh", "-c", "echo a | wc")
    with pytest.raises(UsageError, match="names no program"):
        shell_command(" \t")


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3), (255, 255), (-9, 137), (-15, 143)])
def test_a_signal_is_a_status_above_128(code: int, status: int) -> None:
    assert exit_status(code) == status


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        (HostPort("10.0.0.7", 51234), "10.0.0.7", "51234"),
        (HostPort("fe80::1%eth0", 80), "fe80::1%eth0", "80"),
        (UnixPath("/run/a through b:1\n\\"), "/run/a through b:1\n\\", None),
        (UnixPath("@a\0\0b"), "@a@@b", None),
        (None, "", None),
    ],
)
def test_both_addresses_of_a_connection_are_facts(
    address: Address | None, host: str, port: str | None
) -> None:
    here = HostPort("127.0.0.1", 9)
    facts = connection_facts(address, here)
    assert facts.pop("REMOTE_HOST") == host
    assert facts.pop("REMOTE_PORT", None) == port
    assert facts == {"PROTO": "tcp", "LOCAL_HOST": "127.0.0.1", "LOCAL_PORT": "9"}
    assert connection_facts(here, address).get("LOCAL_HOST") == host


def test_a_signal_has_a_name_if_it_has_one() -> None:
    assert (signal_name(9), signal_name(99)) == ("SIGKILL", "signal 99")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("date | wc", "|"),
        ("echo hi; date", "hi;"),
        ("a && b", "&&"),
        ("a > b", ">"),
        ("tr a-z A-Z", ""),
        ("grep '|'x", ""),
        ("sh -c 'echo hi; date;'", ""),
    ],
)
def test_a_word_that_was_meant_for_a_shell_is_found(text: str, word: str) -> None:
    assert word_for_a_shell(split_command(text)) == word
    assert word_for_a_shell(shell_command(text)) == ""
