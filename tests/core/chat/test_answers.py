"""What else is answered is tests/core/chat/test_room.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.answers import ARGUMENTS, help_lines, usage, who


def test_each_command_with_an_argument_has_help() -> None:
    told = " ".join(help_lines("bye"))
    assert "so does bye alone" in told
    for command, wants in ARGUMENTS.items():
        assert f"{command} {wants}" in told
        assert usage(command) == f"* write {command} {wants}"


@given(st.lists(st.sampled_from(["a", "小雪", "x" * 32]), max_size=300), st.integers(60, 999))
def test_who_is_here_fits_and_everybody_is_counted(names: list[str], most: int) -> None:
    told = who(names, most)
    assert len(told.encode()) <= most
    head, _, shown = told.partition(": ")
    assert head == f"* {len(names)} here"
    shown, _, more = shown.partition(" and ")
    listed = [name for name in shown.split(", ") if name]
    assert listed == names[: len(listed)]
    assert len(listed) + int(more.split()[0] if more else 0) == len(names)
