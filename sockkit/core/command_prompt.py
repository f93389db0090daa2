"""The prompt for one command that Ctrl-] opens while a line is being typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sockkit.core.console import Command, Completions, complete_name, show_help
from sockkit.core.printable import escape
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit, Peer

QUIT = "quit"


class CommandPrompt:
    """Runs typed commands by a table. Answers and errors go to `emit`.

    `help` and `quit` are added to the table. The line editor handles `quit` itself, like Ctrl-D.
    """

    prompt = "sockkit> "

    def __init__(self, commands: Iterable[Command], emit: Emit) -> None:
        self._emit = emit
        rows = (
            *commands,
            Command("help", "", "this list", self._help, at_once=True),
            Command(QUIT, "", "send all that was typed, then end (also Ctrl-D)", _ignore),
        )
        self._commands = {command.name: command for command in rows}

    def complete(self, text: str) -> Completions:
        """Completions of the command's name, or of the argument after it."""
        name, space, argument = text.partition(" ")
        if not space:
            return complete_name(self._commands.values(), name)
        command = self._commands.get(name)
        return command.complete(argument) if command else ()

    def at_once(self, line: str) -> bool:
        """Whether `line` is to be run without waiting for the lines typed before it."""
        command = self._commands.get(line.split(" ")[0])
        return not command or command.at_once

    def quits(self, line: str) -> bool:
        """Whether `line` is the command to quit."""
        return line == QUIT

    def run(self, line: str) -> None:
        """Run the command `line`, which must not begin or end with a space."""
        name, _, argument = line.partition(" ")
        try:
            self._find(name).run(argument.strip())
        except UsageError as error:
            self._emit(Answer(str(error)))

    def _find(self, name: str) -> Command:
        if name not in self._commands:
            raise UsageError(f"unknown command {escape(name)}", "help lists the commands")
        return self._commands[name]

    def _help(self, _: str) -> None:
        show_help(self._commands.values(), self._emit)


def hex_command(name: str, send: Callable[[bytes], None]) -> Command:
    """The row of a command that sends bytes by `send`."""
    summary = "send these bytes, without a line end"

    def run(digits: str) -> None:
        from sockkit.core.hexadecimal import parse_hex  # few consoles have this command

        send(parse_hex(digits))

    return Command(name, "48 65 0a", summary, run)


def list_command(
    name: str, peers: Callable[[], Sequence[tuple[Peer, str]]], nobody: str, emit: Emit
) -> Command:
    """The row of a command that lists `peers`, each with a text about it.

    `nobody` is the answer if there are none.
    """

    def show(_: str) -> None:
        there = peers()
        for peer, about in there:
            number = f"[{peer.number}] " if peer.number else ""
            emit(Answer(f"{number}{peer.address} {about}".rstrip()))
        if not there:
            emit(Answer(nobody))

    return Command(name, "", "list the connected peers", show, at_once=True)


def choice_command(
    name: str, summary: str, choices: Sequence[str], choose: Callable[[str], None]
) -> Command:
    """The row of a command whose argument is one of `choices`."""

    def checked(choice: str) -> None:
        if choice not in choices:
            raise UsageError(f"usage: {row.usage}")
        choose(choice)

    def complete(word: str) -> Completions:
        return [(choice, "") for choice in choices if choice.startswith(word)]

    row = Command(name, "|".join(choices), summary, checked, complete, at_once=True)
    return row


def _ignore(_: str) -> None:
    pass
