"""How a chat room's lines look to the one who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable

from sockkit.core.chat import lines as chat_lines
from sockkit.core.chat.lines import Departed, Fixed, Joined, Renamed, Said, YouAre
from sockkit.core.chat.names import key
from sockkit.values import Value

MAX_HELD_CHARACTERS = 64 * 1024  # of a line, until its end has come
MAX_NAMES = 4096  # that are remembered
MAX_SEARCHED_CHARACTERS = 4096  # of a line that are looked through for the reader's own name

COMMANDS = {
    "/nick": "be called something else",
    "/who": "who is here",
    "/msg": "tell one alone",
    "/me": "say what you do",
    "/help": "what there is to type",
    "/quit": "leave",
}


class ChatView:
    """An edit of text on its way to the reader, and who completes what it types.

    `paint` colours a text by a name, `mark` one that mentions the reader's own; `stamp` gives
    what begins each line.
    """

    prompt = "> "

    def __init__(
        self,
        *,
        paint: Callable[[str, str], str] = lambda text, name: text,
        mark: Callable[[str], str] = lambda text: text,
        stamp: Callable[[], str] = lambda: "",
    ) -> None:
        self._paint, self._mark, self._stamp = paint, mark, stamp
        self._held: list[str] = []  # pieces of a line, of `_size` characters together
        self._size = 0
        self._inside = False  # of a line whose beginning was not held any longer
        self._open = False  # what was shown last has not ended its line
        self._torn = False  # that line is an earlier connection's
        self._own = ""
        self.parted = False  # the room has taken its leave
        self.outside = False  # the room has not let the reader in
        self.locked = False  # it wants a password that the reader has not said
        self._names: dict[str, None] = {}  # the longest silent first

    @property
    def secret(self) -> bool:
        return self.outside

    def feed(self, text: str, /) -> str:
        first, *rest = text.split("\n")
        self._hold(first)
        out = []
        for piece in rest:
            line = self._take()
            out.append(f"{line if self._inside else self._line(line)}\n")
            self._inside = False
            self._hold(piece)
        if self._inside or self._size > MAX_HELD_CHARACTERS:
            out.append(self._rest())
            self._inside = True
        return self._shown("".join(out))

    def flush(self) -> str:
        return self._shown(self._rest())

    def disconnected(self) -> None:
        """The connection has ended: drop what is held, and end the line that is shown in part."""
        self._take()
        self._inside = False
        self._torn = self._open

    def _shown(self, text: str) -> str:
        if not text:
            return text
        end, self._torn = "\n" if self._torn else "", False
        self._open = not text.endswith("\n")
        return end + text

    def _rest(self) -> str:
        held, inside = self._take(), self._inside
        self._inside = False
        return held if inside or not held else self._line(held, whole=False)

    def _hold(self, piece: str) -> None:
        if piece:
            self._held.append(piece)
            self._size += len(piece)

    def _take(self) -> str:
        line = "".join(self._held)
        self._held.clear()
        self._size = 0
        return line

    def complete(self, text: str) -> list[tuple[str, str]]:
        """What the last word of `text` may become: a command at the beginning, or a name."""
        before, _, word = text.rpartition(" ")
        if not before and word.startswith("/"):
            return [(name, what) for name, what in COMMANDS.items() if name.startswith(word)]
        return [
            (name, "") for name in list(self._names) if word and key(name).startswith(key(word))
        ]

    def _line(self, line: str, *, whole: bool = True) -> str:
        """What is shown of a line; only on one that has come to its end is acted."""
        meaning = chat_lines.read(line)
        if isinstance(meaning, Said):
            name, text = meaning
            self._know(name)
            head = line[: len(line) - len(text)]
            line = self._paint(head, name) + (self._mark(text) if self._mentions(text) else text)
        elif whole and meaning:
            self._act(meaning)
        return self._stamp() + line

    def _act(self, meaning: Value) -> None:
        match meaning:
            case YouAre(name):
                self._own = name
                self.outside = False
            case Joined(name):
                self._know(name)
            case Departed(name):
                self._names.pop(name, None)
            case Renamed(before, name):
                self._names.pop(before, None)
                self._know(name)
            case Fixed(line):
                self.parted = self.parted or line in chat_lines.PARTINGS
                self.outside = self.outside or line in chat_lines.NOT_ADMITTED
                self.locked = self.locked or line in chat_lines.WANTS_PASSWORD

    def _know(self, name: str) -> None:
        self._names.pop(name, None)
        self._names[name] = None
        if len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def _mentions(self, text: str) -> bool:
        """Whether the reader's own name is a word of `text`."""
        if not self._own:
            return False
        own = re.escape(key(self._own))
        return bool(re.search(rf"(?<!\w){own}(?!\w)", key(text[:MAX_SEARCHED_CHARACTERS])))
