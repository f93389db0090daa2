"""How `chat join` shows the lines of a room, and what it learns from them."""

from __future__ import annotations

import re
from collections.abc import Callable

from sockkit.core.chat import protocol
from sockkit.core.chat.commands import MEMBER, completions
from sockkit.core.chat.names import fold_name
from sockkit.core.chat.protocol import (
    Departed,
    Dropped,
    Joined,
    NameRefused,
    Renamed,
    Said,
    Status,
    YouAre,
)
from sockkit.values import Value

MAX_HELD_CHARACTERS = 64 * 1024  # of a line whose end has not arrived
MAX_NAMES = 4096  # that are remembered for completion
MAX_SEARCHED_CHARACTERS = 4096  # of a line, in which the reader's own name is looked for


class ChatView:
    """Edits the text of a room on its way to the reader, and completes what the reader types.

    `paint` colours a text by a name, `mark` a text that mentions the reader's own name. `stamp`
    returns what each line begins with.
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
        self._inside = False  # a line whose beginning was shown already
        self._open = False  # the text shown so far does not end its line
        self._torn = False  # that line is an earlier connection's
        self._own_name = ""
        self.on_status: Callable[[], None] = lambda: None  # the room has said one of these things
        self.connected()
        self._names: dict[str, None] = {}  # the longest silent first

    def connected(self) -> None:
        """A connection begins. What follows is what the room says of it."""
        self.room_closes = False  # it closes the connection
        self.kicked = False  # the operator has asked for that
        self.not_admitted = False  # the reader is not in it
        self.wants_password = False
        self.refusal = ""  # its line that says so
        self.name_refusal = ""  # its line that says why the reader cannot have the name it wants
        self.dropped = False  # it has not passed on a line

    @property
    def secret(self) -> bool:
        return self.not_admitted

    def feed(self, text: str, /) -> str:
        first, *rest = text.split("\n")
        self._hold(first)
        out = []
        for piece in rest:
            line = self._pop_held()
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
        """The connection has ended: drop the text held, and end a line that is shown in part."""
        self._pop_held()
        self._inside = False
        self._torn = self._open

    def _shown(self, text: str) -> str:
        if not text:
            return text
        end, self._torn = "\n" if self._torn else "", False
        self._open = not text.endswith("\n")
        return end + text

    def _rest(self) -> str:
        held, inside = self._pop_held(), self._inside
        self._inside = False
        return held if inside or not held else self._line(held, whole=False)

    def _hold(self, piece: str) -> None:
        if piece:
            self._held.append(piece)
            self._size += len(piece)

    def _pop_held(self) -> str:
        line = "".join(self._held)
        self._held.clear()
        self._size = 0
        return line

    def complete(self, text: str) -> list[tuple[str, str]]:
        """Completions of the last word of `text`: commands if it is the first word, or names."""
        before, _, word = text.rpartition(" ")
        if not before and word.startswith("/"):
            return completions(MEMBER, word)
        names, folded = list(self._names) if word else [], fold_name(word)
        return [(name, "") for name in names if fold_name(name).startswith(folded)]

    def _line(self, line: str, *, whole: bool = True) -> str:
        """A line as it is shown. Only a `whole` line, one with its end, has an effect."""
        meaning = protocol.parse(line)
        if isinstance(meaning, Said):
            name, text = meaning
            self._remember(name)
            head = line[: len(line) - len(text)]
            line = self._paint(head, name) + (self._mark(text) if self._mentions(text) else text)
        elif whole and meaning:
            self._act(meaning)
        return self._stamp() + line

    def _act(self, meaning: Value) -> None:
        match meaning:
            case YouAre(name):
                self._own_name = name
                self.not_admitted = False
                self.on_status()
            case Joined(name):
                self._remember(name)
            case Departed(name):
                self._names.pop(name, None)
            case Renamed(before, name):
                self._names.pop(before, None)
                self._remember(name)
            case Status(line):
                self.room_closes |= line in protocol.ROOM_CLOSES
                self.kicked |= line == protocol.KICKED
                if line in protocol.NOT_ADMITTED:
                    self.not_admitted, self.refusal = True, line
                self.wants_password |= line in protocol.WANTS_PASSWORD
                self.on_status()
            case NameRefused(line):
                self.name_refusal = line
            case Dropped(_):
                self.dropped = True

    def _remember(self, name: str) -> None:
        self._names.pop(name, None)
        self._names[name] = None
        if len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def _mentions(self, text: str) -> bool:
        """Whether the reader's own name is a word of `text`."""
        if not self._own_name:
            return False
        own = re.escape(fold_name(self._own_name))
        searched = fold_name(text[:MAX_SEARCHED_CHARACTERS])
        return bool(re.search(rf"(?<!\w){own}(?!\w)", searched))
