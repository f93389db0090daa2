"""Detects bytes that are not text, so that a hex dump can be suggested."""

from __future__ import annotations

import re
from collections.abc import Callable

from sockkit.core.line_detector import LineDetector, is_valid

# Control characters, without white space and those that terminals obey: BEL, BS, ESC and the shifts
# of ISO 2022.
_CONTROL = re.compile(rb"[\x00-\x06\x10-\x1a\x1c-\x1f]")
_WIDE = ("utf-16", "utf-32")  # their text may contain any byte


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
    """True if `line` has control characters that no text contains; None if not."""
    return True if _CONTROL.search(line) else None


def binary_detector(encoding: str, on_found: Callable[[], None]) -> LineDetector | None:
    """A detector that calls `on_found` once if its input is not text in `encoding`, a Python codec.

    None for UTF-16 and UTF-32, whose text may contain any byte.
    """
    if encoding.startswith(_WIDE):
        return None
    return LineDetector(is_binary if encoding == "utf-8" else has_controls, on_found)
