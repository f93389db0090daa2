"""Examines received lines until it finds something, or until that becomes expensive."""

from __future__ import annotations

import codecs
from collections.abc import Callable

MAX_EXAMINED_BYTES = 64 * 1024  # of lines that `judge` examined; then the detector gives up
MAX_LINE_BYTES = 512  # examined of one line
MIN_EXAMINED_BYTES = 64  # counted for each examination, however short the line


class LineDetector:
    """Examines received bytes, in pieces of any size. Calls `on_found` once, if `judge` says so.

    `judge` gets the beginning of a line, which may end within a character. It returns None for a
    line that it can rule out at once; such a line is not counted.
    """

    def __init__(self, judge: Callable[[bytes], bool | None], on_found: Callable[[], None]) -> None:
        self._judge, self._on_found = judge, on_found
        self._line = b""
        self._skipping = False  # to the end of a line whose beginning was examined
        self._remaining = MAX_EXAMINED_BYTES

    def feed(self, data: bytes) -> None:
        if self._remaining <= 0:
            return
        for number, part in enumerate(data.split(b"\n")):
            if number:
                self._line, self._skipping = b"", False
            if not self._skipping:
                self._examine(self._line + part)
            if self._remaining <= 0:
                return

    def _examine(self, line: bytes) -> None:
        """Examine a line, or as much of it as has arrived."""
        self._line = line[:MAX_LINE_BYTES]
        self._skipping = len(line) > MAX_LINE_BYTES
        found = self._judge(self._line)
        if found is None:
            return
        self._remaining -= max(len(self._line), MIN_EXAMINED_BYTES)
        if found:
            self._remaining = 0
            self._on_found()


def is_valid(data: bytes, encoding: str) -> bool:
    """Whether `data`, which may end within a character, is text in `encoding`."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True
