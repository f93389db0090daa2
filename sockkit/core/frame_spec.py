"""Parses the SPEC of `--frame`, such as `len:2be`, into a rule of `core/frames.py`."""

from __future__ import annotations

import re

from sockkit.core.frames import MAX_FRAME_BYTES, Counted, Delimited, Fixed, FrameRule, Gap
from sockkit.core.printable import escape
from sockkit.core.units import parse_duration
from sockkit.errors import UsageError

MAX_MARKER_BYTES = 16  # of a marker or delimiter: a search may take that many steps for each byte
MAX_OFFSET = 4096  # of a length field, and of +N or -N: larger than any header or checksum

_WANTED = "write line, nul, fixed:16, delim:0d0a, len:2be, start:aa55,len@2:1 or gap:20ms"
_LENGTH = re.compile(r"len(?:@([0-9]{1,9}))?:([0-9]{1,9})(be|le)?([+-][0-9]{1,9})?")


def parse_frame(text: str) -> FrameRule:
    """The rule that the SPEC `text` means. Raises UsageError, which names the wrong part."""
    kind, colon, value = text.partition(":")
    shown = f"'{escape(text)}'"  # a repr would double its backslashes
    try:
        if text in ("line", "nul"):
            return Delimited(b"\n", open_end=True) if text == "line" else Delimited(b"\0")
        if kind == "fixed":
            return Fixed(_number(value, "the size", 1, MAX_FRAME_BYTES))
        if kind == "delim":
            return Delimited(_marker(value, "delimiter"))
        if kind == "gap":
            return _gap(value)
        if kind == "start":
            marker, _, length = value.partition(",")
            return _counted(_marker(marker, "marker"), length)
        if kind == "len" or kind.startswith("len@"):
            return _counted(b"", text)
    except UsageError as error:
        why, hint = error.args[0], error.hint or _WANTED
        raise UsageError(f"{shown} is not a frame rule: {why}", hint) from error
    what = f"{kind!r} is an unknown kind" if colon else "unknown kind"
    raise UsageError(f"{shown} is not a frame rule: {what}", _WANTED)


def _number(text: str, what: str, least: int, most: int) -> int:
    number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else least - 1
    if not least <= number <= most:
        raise UsageError(f"{what} {text!r} is not a number from {least:,} to {most:,}")
    return number


def _marker(text: str, what: str) -> bytes:
    if not re.fullmatch(r"([0-9a-fA-F]{2})+", text):
        raise UsageError(f"the {what} {text!r} is not hex with two digits per byte")
    if len(text) > 2 * MAX_MARKER_BYTES:
        raise UsageError(f"the {what} has more than {MAX_MARKER_BYTES} bytes")
    return bytes.fromhex(text)


def _gap(text: str) -> Gap:
    try:
        seconds = parse_duration(text)
    except UsageError as error:
        raise UsageError(f"the gap {text!r} is not a duration") from error
    if not seconds:
        raise UsageError(f"the gap {text!r} must be longer than 0")
    return Gap(seconds)


def _counted(marker: bytes, text: str) -> Counted:
    match = _LENGTH.fullmatch(text)
    if not match:
        raise UsageError(f"the length {text!r} is not like len:2be, len@4:2be or len:4le+2")
    at, size, order, more = match.groups()
    if size not in ("1", "2", "3", "4", "8"):
        raise UsageError(f"a length has 1, 2, 3, 4 or 8 bytes, not {size}")
    if not order and size != "1":
        hint = f"write len:{size}be (big endian) or len:{size}le (little endian)"
        raise UsageError(f"a length of {size} bytes needs a byte order", hint)
    offset = _number(at, "the offset of the length", 0, MAX_OFFSET) if at else len(marker)
    if offset < len(marker):
        raise UsageError(f"a length at {offset} would be inside the marker")
    added = _number(more or "0", "the number added to the length", -MAX_OFFSET, MAX_OFFSET)
    return Counted(marker, offset, int(size), "little" if order == "le" else "big", added)
