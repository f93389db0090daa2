"""Makes the beginnings of a view's lines: the direction, and optionally the time and the peer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from sockkit.core.printable import escape
from sockkit.core.records import (
    Closed,
    Direction,
    Ended,
    Injected,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.events import Peer

MAX_LABELS = 1024  # that are cached; making one takes 10 µs

COLORS: dict[Direction, str] = {"received": "cyan", "sent": "yellow"}


class Headings:
    """Begins the lines of a view.

    `paint` colours a text. `stamp` formats a time, and `label` a peer with a space after it. If
    either is None, the lines do not show it.
    """

    def __init__(
        self,
        *,
        paint: Callable[[str, str], str] = lambda text, color: text,
        stamp: Callable[[int], str] | None = None,
        label: Callable[[Peer], bytes] | None = None,
    ) -> None:
        self.marks: dict[Direction, bytes] = {
            "received": paint("<", COLORS["received"]).encode(),
            "sent": paint(">", COLORS["sent"]).encode(),
        }
        self.wanted = bool(stamp or label)
        self._stamp, self._labelled = stamp, bool(label)
        self._label = lru_cache(MAX_LABELS)(lambda stream: label(_peer(stream)) if label else b"")

    def begin(self, time: int, stream: Stream, direction: Direction, kind: bytes = b"") -> bytes:
        """The mark of a direction, directly followed by `kind`, then the time and the peer."""
        stamp = f"{self._stamp(time)} ".encode() if self._stamp else b""
        return b"%b%b %b%b" % (self.marks[direction], kind, stamp, self._label(stream))

    def about(self, message: Message, words: str, kind: bytes = b"") -> bytes:
        """A line that says `words` about a message."""
        begin = self.begin(message.time, message.stream, message.direction, kind)
        return begin + escape(words).encode("ascii", "backslashreplace") + b"\n"

    def event(self, record: Record, kind: bytes = b"") -> bytes:
        """The line for a connection that was made, ended in one direction, was reset or had a
        fault. Empty for any other record. A new connection has a line only if peers have labels.
        """
        match record:
            case Opened(time, stream) if self._labelled and not stream.datagrams:
                direction: Direction = "sent" if stream.dialled else "received"
                return self.begin(time, stream, direction, kind) + b"connected\n"
            case Ended(time, stream, direction):
                return self.begin(time, stream, direction, kind) + b"end\n"
            case Closed(time, stream, ("sent" | "received") as reset):
                return self.begin(time, stream, reset, kind) + b"reset\n"
            case Injected(time, stream, fault, of, _, detail):
                words = escape(detail or f"{fault} on purpose")
                return self.begin(time, stream, of or "sent", kind) + f"{words}\n".encode()
        return b""


def _peer(stream: Stream) -> Peer:
    """The peer that a label shows. If we dialled, one connection for each of several clients, this
    is the client, whose address a relay records as `local`.
    """
    address = stream.local if stream.dialled and stream.number else stream.remote
    return Peer(stream.number, address)
