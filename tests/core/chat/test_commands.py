from __future__ import annotations

import pytest

from sockkit.core.chat.commands import (
    MEMBER,
    OPERATOR,
    SLASH,
    UDP_MEMBER,
    UDP_OPERATOR,
    completions,
    help_lines,
    plain_command,
)


def test_the_operator_has_what_members_have_and_more() -> None:
    """But no name to change."""
    for member, operator in ((MEMBER, OPERATOR), (UDP_MEMBER, UDP_OPERATOR)):
        names = {row.name for row in member} - {"/nick"}
        assert names < {row.name for row in operator}
        told = help_lines(operator, "")
        for line in help_lines([row for row in member if row.name not in ("/nick", "/quit")], ""):
            assert line.split() in [line.split() for line in told]


def test_help_is_in_two_columns() -> None:
    for rows in (MEMBER, OPERATOR, UDP_MEMBER, UDP_OPERATOR):
        lines = help_lines(rows, "q")
        (column,) = {line.index(row.summary) for line, row in zip(lines, rows, strict=True)}
        assert all(line[column - 1] == " " != line[column] for line in lines)
        assert all(len(line) < 78 for line in lines)


def test_help_names_the_other_ways_to_quit() -> None:
    assert help_lines(MEMBER, "bye")[-1].endswith("leave the room (also: bye)")
    assert help_lines(OPERATOR, "q", "Ctrl-D")[-1].endswith("close the room (also: q, Ctrl-D)")
    assert help_lines(MEMBER, "a\nb")[-1].endswith(r"leave the room (also: a\x0ab)")
    for none in ("", "/quit"):
        assert help_lines(MEMBER, none)[-1].endswith("leave the room")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("/who", "/who"),
        (" /who", "/who"),
        ("／who", "/who"),
        ("、who", "/who"),
        ("\u3000、msg\u3000小雪\u3000hi\u3000there", "/msg 小雪 hi\u3000there"),
        ("/me 你\u3000好", "/me 你\u3000好"),
        ("／／me\u3000x", "//me\u3000x"),
        ("  // a comment", "  // a comment"),
        (" /etc/passwd", " /etc/passwd"),
        ("、well", "、well"),
        (" hi", " hi"),
        ("、", "、"),
        ("、你", "、你"),
        ("", ""),
    ],
)
def test_a_command_in_other_forms(typed: str, command: str) -> None:
    assert plain_command(typed) == command


def test_only_commands_are_completed() -> None:
    assert (SLASH.name, SLASH.summary) not in completions(MEMBER, "/")
    assert completions(MEMBER, "/w") == [("/who", "list who is here")]
