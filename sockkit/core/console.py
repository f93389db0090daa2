"""What is typed at a program that runs: lines of text, and commands by a table.

A new console is one more `CommandTable` and nothing else: `Console` cuts the lines, tells commands
from text, completes what is typed, and has `/help` and `/quit` for every table.

A command begins with a slash; a line that begins with two is text that begins with one. In a table
that has `@N`, a line of `@`, a number, a space and text is that command. Any other word, alone in
its line, is a command if the table has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sockkit.core.lines import Lines
from sockkit.core.printable import escape
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit
from sockkit.values import Value

HELP_SUMMARY = "this list; //text sends a line that begins with a slash"
MAX_LINE_BYTES = 1024 * 1024  # of a typed line; beyond it at most one read is held

Completions = Iterable[tuple[str, str]]  # words, each with what it means


class Assistant(Protocol):
    """Who helps with what is typed; asked in the line editor's thread, at any time."""

    @property
    def prompt(self) -> str: ...

    @property
    def secret(self) -> bool:
        """Whether what is typed now is for nobody to see or keep."""
        ...

    def complete(self, text: str) -> Completions:
        """What the last word of `text` may become, each with what it means."""
        ...


class Command(Value):
    """A row of a table.

    `argument` names what has to follow, empty where nothing may. `action` gets it and may raise
    UsageError, whose words are the answer. `complete` tells what a word of it may become. A
    command without a summary is neither listed nor completed.
    """

    name: str
    argument: str
    summary: str
    action: Callable[[str], None]
    complete: Callable[[str], Completions] = lambda _: ()

    @property
    def usage(self) -> str:
        return f"{self.name} {self.argument}".rstrip()


class CommandTable(Protocol):
    """What can be typed at a program, besides `/help` and `/quit`, and what it does."""

    @property
    def commands(self) -> Sequence[Command]: ...

    @property
    def quit_summary(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    def decode(self, line: bytes) -> str:
        """A typed line as text. It has its end, unless the input ended without one."""
        ...

    def say(self, text: str) -> None:
        """Do what a line of text is for. Raises UsageError."""
        ...

    def complete(self, word: str) -> Completions:
        """What a word of text may become."""
        ...

    def quit(self) -> None:
        """End the program."""
        ...


class Console:
    """Reads what is typed, and obeys by `table`. What there is to answer goes to `emit`."""

    secret = False

    def __init__(self, table: CommandTable, emit: Emit) -> None:
        self._table, self._emit = table, emit
        every = (
            *table.commands,
            Command("/help", "", HELP_SUMMARY, self._help),
            Command("/quit", "", table.quit_summary, lambda _: table.quit()),
        )
        self._commands = {command.name: command for command in every}
        self._lines = Lines(MAX_LINE_BYTES)

    @property
    def prompt(self) -> str:
        return self._table.prompt

    def complete(self, text: str) -> list[tuple[str, str]]:
        before, _, word = text.rpartition(" ")
        if not before and word.startswith("/"):
            listed = [(command.name, command.summary) for command in self._listed()]
            return [(name, summary) for name, summary in listed if name.startswith(word)]
        if not before and word.startswith("@") and "@N" in self._commands:
            numbers = self._commands["@N"].complete(word[1:])
            return [(f"@{number}", meaning) for number, meaning in numbers]
        command = self._commands.get(before) if before.startswith("/") else None
        complete = command.complete if command and command.argument else self._table.complete
        return list(complete(word))

    def feed(self, data: bytes) -> None:
        """Obey what is typed, in pieces of any size; nothing is its end."""
        end = b"\n" if data else b""
        for line in self._lines.feed(data) if data else self._lines.flush():
            try:
                self._obey(line, end)
            except UsageError as error:
                self._emit(Answer(str(error)))

    def _obey(self, line: bytes, end: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise UsageError(f"a line of more than {MAX_LINE_BYTES:,} bytes is refused")
        text = self._table.decode(line + end)
        if found := self._find(text):
            command, argument = found
            if bool(command.argument) != bool(argument):
                raise UsageError(f"write {command.usage}")
            command.action(argument)
        else:
            self._table.say(text.removeprefix("/"))

    def _find(self, text: str) -> tuple[Command, str] | None:
        """The command that `text` is, and its argument. Raises UsageError for an unknown one."""
        word = self._commands.get(text.removesuffix("\n"))
        if word and not word.argument:
            return word, ""
        if text.startswith("/") and not text.startswith("//"):
            name, _, argument = text.strip().partition(" ")
            if name not in self._commands:
                hint = "/help lists the commands, //text sends /text"
                raise UsageError(f"there is no {escape(name)}", hint)
            return self._commands[name], argument.strip()
        if "@N" in self._commands and re.match("@[0-9]", text):
            numbered = re.fullmatch("@([0-9]+ .*)", text, re.DOTALL)
            return self._commands["@N"], numbered[1] if numbered else ""
        return None

    def _listed(self) -> list[Command]:
        return [command for command in self._commands.values() if command.summary]

    def _help(self, _: str) -> None:
        listed = self._listed()
        width = max(len(command.usage) for command in listed) + 2
        for command in listed:
            self._emit(Answer(f"{command.usage:<{width}} {command.summary}"))
