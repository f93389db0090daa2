"""The console of a running program: each typed line is text, or a command of a table.

A new console is one more `CommandTable` and nothing else. `Console` splits the input into lines,
parses and completes commands, and adds `/help` and `/quit` to every table.

A line that begins with a slash is a command. Two slashes begin text whose first character is a
slash. If the table has `@N`, a line of `@`, a number, a space and text is that command; the space
may be missing before a character that is not ASCII. A line that is one word is a command if the
table has that word. The full-width signs of an input method are as good as `/` and `@`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sockkit.core.lines import LineSplitter
from sockkit.core.printable import aligned, escape, plain_slashes
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit
from sockkit.values import Value

HELP_SUMMARY = "this list; //text sends a line that begins with a slash"
MAX_LINE_BYTES = 1024 * 1024  # of a typed line; up to one read more may be held

Completions = Iterable[tuple[str, str]]  # (word, explanation)


class Assistant(Protocol):
    """The prompt and the completions for the line editor, which calls from its own thread."""

    @property
    def prompt(self) -> str: ...

    @property
    def secret(self) -> bool:
        """Whether the line must neither be shown nor kept, as a password."""
        ...

    def complete(self, text: str) -> Completions:
        """Completions of the last word of `text`."""
        ...


class Command(Value):
    """A row of a table.

    `argument` names the argument, and is empty for a command without one. `action` is called with
    the argument; the text of a UsageError that it raises is shown. `complete` returns completions
    of a word of the argument. A command without a summary is neither listed nor completed. One that
    is done `at_once` does not wait for the lines typed before it.
    """

    name: str
    argument: str
    summary: str
    action: Callable[[str], None]
    complete: Callable[[str], Completions] = lambda _: ()
    at_once: bool = False

    @property
    def usage(self) -> str:
        return f"{self.name} {self.argument}".rstrip()

    def run(self, argument: str) -> None:
        """Raises UsageError."""
        if bool(self.argument) != bool(argument):
            raise UsageError(f"usage: {self.usage}")
        self.action(argument)


def show_help(commands: Iterable[Command], emit: Emit) -> None:
    """Emit a line for each of `commands` that has a summary."""
    listed = [(command.usage, command.summary) for command in commands if command.summary]
    for line in aligned(listed):
        emit(Answer(line))


def complete_name(commands: Iterable[Command], word: str) -> list[tuple[str, str]]:
    """The commands whose names begin with `word`."""
    listed = [(command.name, command.summary) for command in commands if command.summary]
    return [(name, summary) for name, summary in listed if name.startswith(word)]


class CommandTable(Protocol):
    """The commands of a program, and what it does with text.

    `/help` and `/quit` are added unless the table has its own.
    """

    @property
    def commands(self) -> Sequence[Command]: ...

    @property
    def quit_summary(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    def decode(self, line: bytes) -> str:
        """A typed line as text, both with the line's end if it has one."""
        ...

    def say(self, text: str) -> None:
        """Handle a line of text. Raises UsageError."""
        ...

    def complete(self, word: str) -> Completions:
        """Completions of a word of text."""
        ...

    def quit(self) -> None:
        """End the program."""
        ...


class Console:
    """Handles typed lines by `table`. Answers and errors go to `emit`."""

    secret = False

    def __init__(self, table: CommandTable, emit: Emit) -> None:
        self._table, self._emit = table, emit
        self._commands = {command.name: command for command in table.commands}
        for command in (
            Command("/help", "", HELP_SUMMARY, self._help),
            Command("/quit", "", table.quit_summary, lambda _: table.quit()),
        ):
            self._commands.setdefault(command.name, command)
        self._lines = LineSplitter(MAX_LINE_BYTES)

    @property
    def prompt(self) -> str:
        return self._table.prompt

    def complete(self, text: str) -> list[tuple[str, str]]:
        before, _, word = text.rpartition(" ")
        if not before and word.startswith("/"):
            return complete_name(self._commands.values(), word)
        if not before and word.startswith("@") and "@N" in self._commands:
            numbers = self._commands["@N"].complete(word[1:])
            return [(f"@{number}", meaning) for number, meaning in numbers]
        command = self._commands.get(before) if before.startswith("/") else None
        complete = command.complete if command and command.argument else self._table.complete
        return list(complete(word))

    def feed(self, data: bytes) -> None:
        """Handle typed bytes, in pieces of any size. Empty `data` is the end of the input."""
        end = b"\n" if data else b""
        for line in self._lines.feed(data) if data else self._lines.flush():
            try:
                self._handle(line, end)
            except UsageError as error:
                self._emit(Answer(str(error)))

    def _handle(self, line: bytes, end: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise UsageError(f"a line of more than {MAX_LINE_BYTES:,} bytes was not sent")
        text = _with_plain_sign(self._table.decode(line + end))
        if found := self._find(text):
            command, argument = found
            command.run(argument)
        else:
            self._table.say(text.removeprefix("/"))

    def _find(self, text: str) -> tuple[Command, str] | None:
        """The command in `text` and its argument; None for text. Raises UsageError for an unknown
        command.
        """
        word = self._commands.get(text.removesuffix("\n"))
        if word and not word.argument:
            return word, ""
        if text.startswith("/") and not text.startswith("//"):
            name, _, argument = text.strip().partition(" ")
            if name not in self._commands:
                hint = "/help lists the commands, //text sends /text"
                raise UsageError(f"unknown command {escape(name)}", hint)
            return self._commands[name], argument.strip()
        if "@N" in self._commands and re.match(r"@\d", text):
            numbered = re.fullmatch(r"@(\d+)( |(?=[^\x00-\x7f]))(.*)", text, re.DOTALL)
            return self._commands["@N"], f"{numbered[1]} {numbered[3]}" if numbered else ""
        return None

    def _help(self, _: str) -> None:
        show_help(self._commands.values(), self._emit)


def _with_plain_sign(text: str) -> str:
    """`text` with a plain slash or @ where it begins with full-width ones."""
    return f"@{text[1:]}" if text.startswith("\uff20") else plain_slashes(text)
