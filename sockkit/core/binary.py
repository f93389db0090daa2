"""Detects bytes that are not text, for a person who would see more in a hex dump."""

from __future__ import annotations

import re
from collections.abc import Callable

from sockkit.core.line_detector import LineDetector, is_valid

# Neither what terminals obey (BEL, BS, ESC, the shifts of ISO 2022) nor white space.
_CONTROL = re.compile(rb"[\x00-\x06\x10-\x1a\x1c-\x1f]")
_WIDE = ("utf-16", "utf-32")  # in their text any byte may be


def is_binary(line: bytes) -> bool | None:
    """Whether `line`, which may end within a character, is text neither in UTF-8 nor in GB 18030.

    None if it is text in ASCII.
    """
    if _CONTROL.search(line):
        return True
    if line.isascii():
        return None
    return not (is_valid(line, "utf-8") or is_valid(line, "gb18030"))


def has_controls(line: bytes) -> bool | None:
    """True if `line` has characters that are in no text; None if not."""
    return True if _CONTROL.search(line) else None


def binary_detector(encoding: str, on_found: Callable[[], None]) -> LineDetector | None:
    """Calls `on_found` once, if what it is fed is no text in `encoding`, a name of Python's.

    None where bytes do not tell.
    """
    if encoding.startswith(_WIDE):
        return None
    return LineDetector(is_binary if encoding == "utf-8" else has_controls, on_found)
