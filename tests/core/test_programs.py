from __future__ import annotations

from sockkit.core.programs import program_environment

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
