"""Detects text in GBK where UTF-8 is expected."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

MAX_EXAMINED_BYTES = 64 * 1024  # of lines that are not ASCII; then the detector gives up
MAX_LINE_BYTES = 512  # examined of one line
MIN_EXAMINED_BYTES = 64  # counted for one examination, however short the line

_HANZI = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")  # the characters of GB 2312, level 1 and 2
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def looks_like_gbk(data: bytes) -> bool:
    """Whether `data`, which may end within a character, is Chinese in GB 18030 and not UTF-8.

    It must have two common characters, and as many as half of all that are not ASCII. Noise and
    text in Latin-1 are valid GB 18030 now and then, but do not have these.
    """
    if _valid(data, "utf-8") or not _valid(data, "gb18030") or _CONTROL.search(data):
        return False
    text = codecs.getincrementaldecoder("gb18030")().decode(data)
    wide = sum(character > "\x7f" for character in text)
    return 2 <= len(_HANZI.findall(data)) >= wide / 2


def _valid(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True


class GbkDetector:
    """Examines received bytes, in pieces of any size. Calls `on_found` once, if a line looks like
    GBK.
    """

    def __init__(self, on_found: Callable[[], None]) -> None:
        self._on_found = on_found
        self._line = b""
        self._skipping = False  # to the end of a line of which enough was examined
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
        if line.isascii():
            return
        self._remaining -= max(len(self._line), MIN_EXAMINED_BYTES)
        if looks_like_gbk(self._line):
            self._remaining = 0
            self._on_found()
