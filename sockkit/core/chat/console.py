"""The console of a chat room's server: its commands, and text that the server says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from sockkit.core.chat import commands
from sockkit.core.chat.commands import Row, help_lines
from sockkit.core.chat.names import fold_name
from sockkit.core.command_prompt import list_command
from sockkit.core.console import Command, Completions
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit, Peer

NOBODY = "nobody is here"


class ChatRoom(Protocol):
    """A room, as far as its operator needs it. `ChatDelivery.handle` carries out its actions."""

    @property
    def operator_rows(self) -> Sequence[Row]: ...

    def names(self) -> list[str]:
        """Safe from any thread."""
        ...

    def announce(self, text: str) -> Iterable[Any]: ...

    def kick(self, name: str) -> Iterable[Any]:
        """Raises UsageError if nobody has that name."""
        ...

    def whisper(self, name: str, text: str) -> Iterable[Any]:
        """Raises UsageError if nobody has that name."""
        ...


class ChatDelivery(Protocol):
    """The server of a room."""

    def handle(self, actions: Iterable[Any], /) -> None: ...

    def peers(self) -> list[tuple[Peer, str]]:
        """Each member, with its name and more about it."""
        ...

    def quit(self) -> None: ...


class ChatCommands:
    """The commands of every room. `encoding` is that of the typed lines."""

    prompt, quit_summary = "> ", commands.CLOSE.summary

    def __init__(
        self,
        room: ChatRoom,
        server: ChatDelivery,
        quit_word: str,
        encoding: str,
        room_encoding: str,
        emit: Emit,
    ) -> None:
        self._room, self._server, self._encoding, self._emit = room, server, encoding, emit
        self._room_encoding = room_encoding
        self._quit_word = quit_word
        made = [self._command(row) for row in room.operator_rows if row != commands.SLASH]
        if quit_word:
            made.append(Command(quit_word, "", "", lambda _: self.quit()))
        self.commands = tuple(made)

    def _command(self, row: Row) -> Command:
        if row == commands.LIST:
            listing = list_command(row.name, self._server.peers, NOBODY, self._emit)
            return listing._replace(summary=row.summary)
        actions: dict[Row, Callable[[str], None]] = {
            commands.WHO: self.who,
            commands.MSG: self._whisper,
            commands.ME: lambda text: self.say(f"*{text}*"),
            commands.KICK: self._kick,
            commands.HELP: self._help,
            commands.CLOSE: lambda _: self.quit(),
        }
        return Command(
            row.name,
            row.argument,
            row.summary,
            actions[row],
            self.complete if row.argument.startswith("NAME") else lambda _: (),
            at_once=row == commands.WHO,
        )

    def decode(self, line: bytes) -> str:
        return commands.plain_command(line.decode(self._encoding, "backslashreplace").strip())

    def say(self, text: str) -> None:
        if text:
            self._check(text)
            self._server.handle(self._room.announce(text))

    def _check(self, text: str) -> None:
        """Raise UsageError if the room's encoding does not have all of `text`."""
        try:
            text.encode(self._room_encoding)
        except UnicodeEncodeError as error:
            wrong = error.object[error.start]
            raise UsageError(
                f"not sent: {wrong!r} does not exist in {self._room_encoding}"
            ) from error

    def complete(self, word: str) -> Completions:
        names = self._room.names() if word else []
        return [(name, "") for name in names if fold_name(name).startswith(fold_name(word))]

    def quit(self) -> None:
        self._server.quit()

    def who(self, _: str) -> None:
        """List who is here."""
        names = self._room.names()
        self._emit(Answer(f"{len(names)} here: {', '.join(names)}" if names else NOBODY))

    def _whisper(self, argument: str) -> None:
        name, _, text = argument.partition(" ")
        if not text.strip():
            raise UsageError(f"usage: {commands.MSG.usage}")
        self._check(text)
        self._server.handle(self._room.whisper(name, text.strip()))

    def _kick(self, name: str) -> None:
        self._server.handle(self._room.kick(name))

    def _help(self, _: str) -> None:
        for line in help_lines(self._room.operator_rows, self._quit_word, "Ctrl-D"):
            self._emit(Answer(line))
