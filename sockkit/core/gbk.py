"""What text may be that is not what it was taken for."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

HEARD = 64 * 1024  # bytes that are not ASCII and were looked at, before it is given up
LINE = 512  # bytes of a line that are looked at
LOOK = 64  # bytes that take as long as a look at fewer

_HANZI = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")  # the characters of GB 2312, level 1 and 2
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def looks_like_gbk(data: bytes) -> bool:
    """Whether `data`, which may be cut in a character, is Chinese in GB 18030 and not UTF-8.

    At least two common characters, and half of all that is not ASCII: noise and text in
    Latin-1 happen to be valid now and then, but not of that kind.
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


class GbkGuess:
    """Hears what arrives, cut anywhere, and calls `tell` once if a line looks like GBK."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._line = b""
        self._skipping = False  # to the end of a line of which enough was looked at
        self._left = HEARD

    def feed(self, data: bytes) -> None:
        if self._left <= 0:
            return
        for number, part in enumerate(data.split(b"\n")):
            if number:
                self._line, self._skipping = b"", False
            if not self._skipping:
                self._look(self._line + part)
            if self._left <= 0:
                return

    def _look(self, line: bytes) -> None:
        """Judge a line, or what there is of it."""
        self._line = line[:LINE]
        self._skipping = len(line) > LINE
        if line.isascii():
            return
        self._left -= max(len(self._line), LOOK)
        if looks_like_gbk(self._line):
            self._left = 0
            self._tell()
