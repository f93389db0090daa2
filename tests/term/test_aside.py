"""A line that is put aside for a command; with its keys it is in test_prompt.py."""

from __future__ import annotations

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from sockkit.term.aside import Aside


def typed(text: str, cursor: int) -> Buffer:
    return Buffer(document=Document(text, cursor))


def test_a_line_is_put_aside_and_continued_where_it_was() -> None:
    buffer = typed("half 你", 2)
    lines, aside = buffer.history, Aside(buffer)
    assert not aside.open
    aside.begin()
    assert (aside.open, buffer.text) == (True, "")
    assert buffer.history is not lines
    buffer.text = " list "
    assert aside.accept() == "list"
    assert (aside.open, buffer.text, buffer.cursor_position) == (False, "half 你", 2)
    assert buffer.history is lines


def test_commands_have_their_own_history() -> None:
    buffer = typed("half", 4)
    aside = Aside(buffer)
    for command in ("list", "  ", "hex 01"):
        aside.begin()
        buffer.text = command
        aside.accept()
    aside.begin()
    buffer.text = "forgotten"
    aside.end()
    aside.begin()
    assert buffer.history.get_strings() == ["list", "hex 01"]
    aside.end()
    assert buffer.history.get_strings() == []
