"""A part by itself; the whole editor is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

from types import SimpleNamespace

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from sockkit.term.editor import _Completer


def test_a_completion_takes_the_place_of_the_last_word() -> None:
    editor = SimpleNamespace(completions=lambda text: [("12", "10.0.0.7:80")] if text else [])
    completer = _Completer(editor)  # type: ignore[arg-type]
    (found,) = completer.get_completions(Document("/to 1"), CompleteEvent())
    assert (found.text, found.start_position) == ("12", -1)
    assert list(completer.get_completions(Document(""), CompleteEvent())) == []
