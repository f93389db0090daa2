"""The console of a chat room's server: its commands, and text that the server says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from sockkit.core.chat.names import fold_name
from sockkit.core.console import Command, Completions
from sockkit.events import Answer, Emit


class ChatRoom(Protocol):
    """A room, as far as its operator needs it. `ChatDelivery.handle` carries out its actions."""

    def names(self) -> list[str]:
        """Safe from any thread."""
        ...

    def announce(self, text: str) -> Iterable[Any]: ...

    def kick(self, name: str) -> Iterable[Any]:
        """Raises UsageError if nobody has that name."""
        ...


class ChatDelivery(Protocol):
    """The server of a room."""

    def handle(self, actions: Iterable[Any], /) -> None: ...

    def quit(self) -> None: ...


class ChatCommands:
    """The commands of every room. `encoding` is that of the typed lines."""

    prompt, quit_summary = "> ", "close the room (also Ctrl-D)"

    def __init__(
        self, room: ChatRoom, server: ChatDelivery, quit_word: str, encoding: str, emit: Emit
    ) -> None:
        self._room, self._server, self._encoding, self._emit = room, server, encoding, emit
        commands = [
            Command("/who", "", "who is here", self.who, at_once=True),
            Command("/kick", "NAME", "send NAME away", self._kick, self.complete),
        ]
        if quit_word:
            commands.append(Command(quit_word, "", "", lambda _: self.quit()))
        self.commands = tuple(commands)

    def decode(self, line: bytes) -> str:
        return line.decode(self._encoding, "backslashreplace").strip()

    def say(self, text: str) -> None:
        if text:
            self._server.handle(self._room.announce(text))

    def complete(self, word: str) -> Completions:
        names = self._room.names() if word else []
        return [(name, "") for name in names if fold_name(name).startswith(fold_name(word))]

    def quit(self) -> None:
        self._server.quit()

    def who(self, _: str) -> None:
        """Answer who is here."""
        names = self._room.names()
        self._emit(Answer(f"{len(names)} here: {', '.join(names)}" if names else "nobody is here"))

    def _kick(self, name: str) -> None:
        self._server.handle(self._room.kick(name))
