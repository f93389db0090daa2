"""Detects text in GBK where UTF-8 is expected."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from sockkit.core.line_detector import LineDetector, is_valid

_HANZI = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")  # the characters of GB 2312, level 1 and 2
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def looks_like_gbk(data: bytes) -> bool:
    """Whether `data`, which may end within a character, is Chinese in GB 18030 and not UTF-8.

    It must contain at least two common characters, and at least half of those that are not ASCII
    must be common. Noise and text in Latin-1 are sometimes valid GB 18030, but lack these.
    """
    if is_valid(data, "utf-8") or not is_valid(data, "gb18030") or _CONTROL.search(data):
        return False
    text = codecs.getincrementaldecoder("gb18030")().decode(data)
    wide = sum(character > "\x7f" for character in text)
    return 2 <= len(_HANZI.findall(data)) >= wide / 2


class GbkDetector(LineDetector):
    """Calls `on_found` once, if a line looks like GBK."""

    def __init__(self, on_found: Callable[[], None]) -> None:
        super().__init__(lambda line: None if line.isascii() else looks_like_gbk(line), on_found)
