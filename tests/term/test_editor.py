"""Parts by themselves; the whole editor is in tests/e2e/test_terminal_client.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.core.command_prompt import CommandPrompt
from sockkit.term.editor import Editor
from sockkit.term.prompt import NoAssistant, Prompt


class Unplugged(Prompt):
    """A prompt without a terminal: what it prints is kept."""

    def __init__(self, *, secret: bool = False, unfinished: str = "") -> None:
        self.printed: list[str] = []
        self.unfinished = unfinished
        self.assistant = NoAssistant()
        self.assistant.secret = secret

    def print(self, text: str) -> None:
        self.printed.append(text)


class Program:
    """What was entered; `settles` are its answers, of which the last is given to the end."""

    def __init__(self, *settles: bool) -> None:
        self.did: list[str] = []
        self._settles = list(settles)

    def enter(self, line: str) -> None:
        self.did.append(line)

    def command(self, line: str, commands: object) -> None:
        self.did.append(f"({line})")

    def settle(self) -> bool:
        self.did.append("(settle)")
        return self._settles.pop(0)


class Accepting(Editor):
    """An editor of which only the Enter key is there."""

    def __init__(self, prompt: Prompt, program: Any, *, flood: bool = False) -> None:
        arrivals: Any = SimpleNamespace(more_waits=lambda: flood)
        self._prompt, self._program, self._arrivals = prompt, program, arrivals


def buffer(text: str) -> Any:
    return SimpleNamespace(text=text)


@pytest.mark.parametrize(
    ("secret", "shown", "kept"),
    [
        (False, ["> a\\x1b[2J\n", "> b\tc\n"], "a\x1b[2J\nb\tc\n"),
        (True, ["> *****\n", "> ***\n"], ""),
    ],
)
def test_what_is_shown_and_kept_of_pasted_lines(secret: bool, shown: list[str], kept: str) -> None:
    """It drives no terminal, and a password is not shown, nor in the history."""
    pasted = buffer("a\x1b[2J\nb\tc\n")
    prompt, program = Unplugged(secret=secret), Program()
    assert not Accepting(prompt, program)._accept(pasted)
    assert program.did == ["a\x1b[2J", "b\tc"]
    assert prompt.printed == shown
    assert pasted.text == kept


@pytest.mark.parametrize(
    ("flood", "shown", "unfinished"),
    [(False, ["login: \n> alex\n"], ""), (True, ["> alex\n"], "login: ")],
)
def test_an_unfinished_line_stands_above_its_answer(
    flood: bool, shown: list[str], unfinished: str
) -> None:
    """In a flood, which will yet end that line, what is typed answers nothing."""
    prompt = Unplugged(unfinished="login: ")
    Accepting(prompt, Program(), flood=flood)._accept(buffer("alex"))
    assert (prompt.printed, prompt.unfinished) == (shown, unfinished)


def test_a_command_settles_before_the_next_line_is_shown() -> None:
    """Until one does not: the rest of a paste does not wait for each."""
    prompt, program = Unplugged(), Program(True, False)
    prompt.assistant = SimpleNamespace(prompt="all> ", secret=False)  # type: ignore[assignment]
    Accepting(prompt, program)._accept(buffer("/to 1\nhi\n/to 2\n/all\nyou\n"))
    entered = ["/to 1", "(settle)", "hi", "/to 2", "(settle)", "/all", "you"]
    assert program.did == entered


def test_without_an_assistant_a_slash_is_text() -> None:
    program = Program()
    Accepting(Unplugged(), program)._accept(buffer("/to 1\nhi"))
    assert program.did == ["/to 1", "hi"]


@pytest.mark.parametrize(
    ("line", "did", "ended"), [("list \x1b", ["(list \x1b)"], False), ("quit", [], True)]
)
def test_a_command_is_shown_and_run(line: str, did: list[str], ended: bool) -> None:
    """But for the one that is Ctrl-D."""
    prompt, program = Unplugged(), Program()
    ends: list[bool] = []
    prompt.commands = CommandPrompt((), lambda _: None)
    prompt.end_input = lambda: ends.append(True)  # type: ignore[method-assign]
    Accepting(prompt, program)._command(line)
    assert prompt.printed == [f"sockkit> {line}\n".replace("\x1b", "\\x1b")]
    assert (program.did, bool(ends)) == (did, ended)
