"""Parts by themselves; the whole editor is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from sockkit.term.editor import Editor, _Completer, _Nobody


class Unplugged(Editor):
    """One without a terminal: what it prints is kept."""

    def __init__(self, *, secret: bool = False) -> None:
        self.printed: list[str] = []
        self.lines: list[str] = []
        self._unfinished, self._on_line = "", self.lines.append
        self._assistant = _Nobody()
        self._assistant.secret = secret

    def _print(self, text: str) -> None:
        self.printed.append(text)


def test_a_completion_takes_the_place_of_the_last_word() -> None:
    editor = SimpleNamespace(completions=lambda text: [("12", "10.0.0.7:80")] if text else [])
    completer = _Completer(editor)  # type: ignore[arg-type]
    (found,) = completer.get_completions(Document("/to 1"), CompleteEvent())
    assert (found.text, found.start_position) == ("12", -1)
    assert list(completer.get_completions(Document(""), CompleteEvent())) == []


@pytest.mark.parametrize(
    ("secret", "shown", "kept"),
    [
        (False, ["> a\\x1b[2J\n", "> b\tc\n"], "a\x1b[2J\nb\tc\n"),
        (True, ["> *****\n", "> ***\n"], ""),
    ],
)
def test_what_is_shown_and_kept_of_pasted_lines(secret: bool, shown: list[str], kept: str) -> None:
    """It drives no terminal, and a password is not shown, nor in the history."""
    buffer: Any = SimpleNamespace(text="a\x1b[2J\nb\tc\n")
    editor = Unplugged(secret=secret)
    editor._accept(buffer)
    assert editor.lines == ["a\x1b[2J", "b\tc"]
    assert editor.printed == shown
    assert buffer.text == kept


def test_a_line_without_its_end_stays_on_the_screen() -> None:
    editor = Unplugged()
    editor._end_unfinished()
    editor._unfinished = "login: "
    editor._end_unfinished()
    editor._end_unfinished()
    assert editor.printed == ["login: \n"]
