from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.programs import (
    connection_facts,
    exit_status,
    program_environment,
    shell_command,
    split_command,
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
    ("shown", "host", "port"),
    [
        ("10.0.0.7:51234", "10.0.0.7", "51234"),
        ("[::1]:80", "::1", "80"),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", "80"),
        ("unix:/run/a b:1", "/run/a b:1", None),
        ("unix:@name", "@name", None),
        ("unix", "", None),
        ("", "", None),
    ],
)
def test_both_addresses_of_a_connection_are_facts(shown: str, host: str, port: str | None) -> None:
    facts = connection_facts(shown, "127.0.0.1:9")
    assert facts.pop("REMOTE_HOST") == host
    assert facts.pop("REMOTE_PORT", None) == port
    assert facts == {"PROTO": "tcp", "LOCAL_HOST": "127.0.0.1", "LOCAL_PORT": "9"}
    assert connection_facts("127.0.0.1:9", shown).get("LOCAL_HOST") == host
