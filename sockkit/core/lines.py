"""Splits a stream of bytes into lines."""

from __future__ import annotations


class LineSplitter:
    """Splits the bytes fed into lines without their ends.

    If a line is longer than `max_bytes`, it returns a part from its beginning that is also longer,
    and drops the rest.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        if self._skipping:
            _, end, data = data.partition(b"\n")
            self._skipping = not end
        *lines, last = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._held) + lines[0]
            self._held.clear()
        self._held += last
        if len(self._held) > self._max_bytes:
            lines += self.flush()
            self._skipping = True
        return lines

    def flush(self) -> list[bytes]:
        """The last line, if it has no end."""
        held, self._held = bytes(self._held), bytearray()
        return [held] if held else []
