"""What one member of a chat room has sent, held until its lines are looked at."""

from __future__ import annotations

MAX_LINE_BYTES = 4096


class Inbox:
    """Cuts bytes into lines. A line that is too long is dropped as it comes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skipping = False  # to the end of a line that is too long

    def __len__(self) -> int:
        """Bytes held."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Hold `data`; nothing is the end of the input, which ends the last line."""
        if not data and self._held and not self._skipping:
            data = b"\n"
        self._held += data

    def has_line(self) -> bool:
        return b"\n" in self._held

    def drop_long(self) -> bool:
        """Drop what has come of a line that is too long; true once for each of them."""
        end = self._held.find(b"\n")
        if self._skipping:
            self._skipping = end < 0
            del self._held[: len(self._held) if end < 0 else end + 1]
            end = self._held.find(b"\n")
        too_long = (len(self._held) if end < 0 else end) > MAX_LINE_BYTES
        self._skipping = self._skipping or too_long
        return too_long

    def peek(self, count: int) -> list[bytes]:
        """Up to `count` whole lines, which stay; none when one of them is too long."""
        lines = [] if self._skipping else bytes(self._held).split(b"\n", count)[:-1]
        return lines if max(map(len, lines), default=0) <= MAX_LINE_BYTES else []

    def drop(self, lines: list[bytes]) -> None:
        """Drop these, which are the next."""
        del self._held[: sum(map(len, lines)) + len(lines)]

    def take(self) -> bytes:
        """The next line, which is there, without its end."""
        end = self._held.index(b"\n")
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line

    def clear(self) -> None:
        self._held.clear()
