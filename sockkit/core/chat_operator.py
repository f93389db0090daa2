"""What the person at a chat room's server types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sockkit.core.chat.names import key
from sockkit.core.lines import Lines
from sockkit.core.printable import escape
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit

LINE = 64 * 1024  # bytes of a typed line

COMMANDS = {
    "/who": ("", "who is here"),
    "/kick": ("NAME", "send NAME away"),
    "/help": ("", "this list; //TEXT says a line that begins with /"),
    "/quit": ("", "close the room (also Ctrl-D)"),
}


class Operated(Protocol):
    """A room, as far as its operator commands it. What both return is for all to hear."""

    def names(self) -> list[str]: ...

    def announce(self, text: str) -> Iterable[Any]: ...

    def kick(self, name: str) -> Iterable[Any]:
        """Raises UsageError where nobody has that name."""
        ...


class ChatOperator:
    """An Assistant of its own. `encoding` is the user's, in which what is typed comes.

    `deliver` takes what the room has to say, `quit` closes it, as the line `quit_word` does.
    """

    prompt, secret = "> ", False

    def __init__(
        self,
        room: Operated,
        encoding: str,
        quit_word: str,
        emit: Emit,
        deliver: Callable[[Iterable[Any]], None],
        quit: Callable[[], None],  # noqa: A002 - what it is called everywhere
    ) -> None:
        self._room, self._encoding, self._quit_word = room, encoding, quit_word
        self._emit, self._deliver, self._quit = emit, deliver, quit
        self._lines = Lines(LINE)

    def feed(self, data: bytes) -> None:
        """Take what was typed, in pieces of any size; nothing is the end of it."""
        for line in self._lines.feed(data) if data else self._lines.flush():
            self._line(line.decode(self._encoding, "backslashreplace").strip())

    def complete(self, text: str) -> list[tuple[str, str]]:
        before, _, word = text.rpartition(" ")
        if not before and word.startswith("/"):
            return [(name, what) for name, (_, what) in COMMANDS.items() if name.startswith(word)]
        names = self._room.names() if word else []
        return [(name, "") for name in names if key(name).startswith(key(word))]

    def _line(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if not text:
            return
        if text in (self._quit_word, "/quit"):
            self._quit()
        elif not text.startswith("/") or text.startswith("//"):
            self._deliver(self._room.announce(text.removeprefix("/")))
        elif text == "/who":
            names = self._room.names()
            self._emit(Answer(f"{len(names)} here: {', '.join(names)}"))
        elif word == "/kick" and rest:
            try:
                self._deliver(self._room.kick(rest.strip()))
            except UsageError as error:
                self._emit(Answer(str(error)))
        elif text == "/help":
            for command, (wants, meaning) in COMMANDS.items():
                self._emit(Answer(f"{f'{command} {wants}':<12} {meaning}"))
        else:
            self._emit(Answer(f"there is no {escape(word)} like that: /help tells what there is"))
