"""Bytes written as hexadecimal digits: `48 65 6c`, `48656c`, `0x48,0x65`, `\\x48\\x65`, `1 2 3`.

White space and commas separate words, and `\\x` begins one. A word is an even number of digits, two
for a byte. It may begin with `0x` or `\\x`, and then may also be a single digit. All letters may be
capitals. Without such a prefix, a single digit is a byte only if all unprefixed words of its line
are single digits. Next to longer words it is an error: half of an unfinished byte.
"""

from __future__ import annotations

import re

from sockkit.errors import NotationError, UsageError

HINT = "write two hex digits (ASCII) per byte, as in 48 65 6c"
# An unfinished word is held up to this size. A longer one has its whole prefix, so all its digits
# but an odd one are converted at once. Memory stays flat, however long a file's words are.
MAX_HELD_BYTES = 4

_SEPARATORS = b" \n\t\r,\v\f"
_MARK = b"\xef\xbb\xbf"  # the byte-order mark
_UNIFORM = bytes.maketrans(_SEPARATORS + b"X", b" " * len(_SEPARATORS) + b"x")
_SINGLE = re.compile(rb"(?<![0-9a-fA-F])([0-9a-fA-F])(?![0-9a-fA-F])")
_EVEN, _ONE = rb"(?:[0-9a-fA-F]{2})++", rb"[0-9a-fA-F]"
# The valid words of a line, in which those without a prefix have so many digits.
_WORDS = rb"(?:[^\S\n]++|,++|(?:(?:\\[xX]|(?<![^\s,])0[xX])(?:%b|%b)|%%b)(?=[\s,\\]|\Z))*+" % (
    _EVEN,
    _ONE,
)
_PAIRS, _SINGLES = re.compile(_WORDS % _EVEN), re.compile(_WORDS % _ONE)
_LINES = re.compile(rb"(?:(?:%b|%b)\n)*+" % (_PAIRS.pattern, _SINGLES.pattern))
_FIRST = re.compile(rb"(?:[\s,]++|[\\0][xX][0-9a-fA-F]++)*+([0-9a-fA-F]{1,2})")  # without a prefix
_WORD = re.compile(rb"(\\[xX]|0[xX])?([0-9a-fA-F]*)")


def parse_hex(text: str) -> bytes:
    """The bytes of `text`. Raises UsageError, which names the column."""
    hexadecimal = HexInput("")
    try:
        data = hexadecimal.feed(text.encode(errors="surrogateescape")) + hexadecimal.flush()
    except NotationError as error:
        raise UsageError(f"column {error.column}: {error.problem}", error.hint) from error
    if not data:
        raise UsageError("no bytes given", "write them as in 48 65 6c")
    return data


class HexInput:
    """A transform from hexadecimal digits to bytes. `what` names the input in errors.

    `line` is the number of the first line. A NotationError drops the rest of what was fed, so that
    the next line can be fed; lines and columns are still counted.
    """

    def __init__(self, what: str, line: int = 1) -> None:
        self._what = what
        self._line, self._column = line, 1  # of the first byte that is held
        self._held = b""
        self._begun = b""  # stands for the line's words so far
        self._within = b""  # stands for the converted part of an unfinished word

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        word = max(data.rfind(b"\\"), *(data.rfind(sign) + 1 for sign in _SEPARATORS))
        within = b"" if word or data.startswith(b"\\") else self._within
        if len(data) - word <= MAX_HELD_BYTES:
            return self._convert(data[:word], data[word:], within)
        found = _WORD.match(data, word)
        digits = len(found[2]) if found and found.end() == len(data) else 0
        end = len(data) - digits % 2
        return self._convert(data[:end], data[end:], within or _like(found and found[1]))

    def flush(self) -> bytes:
        try:
            return self._convert(self._held, b"", within=b"")
        finally:
            self._line, self._column, self._begun = 1, 1, b""  # the next feed begins another input

    def _convert(self, data: bytes, held: bytes, within: bytes) -> bytes:
        """The bytes of `data`. Keeps `held`; its word began like `within`, if not empty."""
        before = self._begun + self._within  # puts `data` in the same line and word
        known = len(_bytes(before))
        try:
            out = _bytes(before + data)
        except ValueError:
            out, place, problem = _fault(before + data)
            self._count(data[: place - len(before)])
            where = (self._line, self._column, self._what)
            error = NotationError(problem, where, HINT, out[known:])
            self._count(data[place - len(before) :] + held)
            self._held, self._begun, self._within = b"", b"", b""
            raise error from None
        self._held, self._within = held, within
        self._begun = _specimen(before + data)
        self._count(data)
        return out[known:]

    def _count(self, data: bytes) -> None:
        if lines := data.count(b"\n"):
            self._line += lines
            self._column = len(data) - data.rindex(b"\n")
        else:
            self._column += len(data)


def _bytes(data: bytes) -> bytes:
    """The bytes of whole words. Raises ValueError."""
    words = _digits(data)
    try:
        return bytes.fromhex(words.decode("ascii"))  # which skips white space between bytes
    except ValueError:
        return b"".join(map(_line_bytes, data.split(b"\n")))


def _line_bytes(line: bytes) -> bytes:
    """The bytes of a line, some or all of whose words are one digit. Raises ValueError."""
    if not (_PAIRS.fullmatch(line) or _SINGLES.fullmatch(line)):
        raise ValueError
    return bytes.fromhex(_SINGLE.sub(rb"0\1", _digits(line)).decode("ascii"))


def _digits(data: bytes) -> bytes:
    """The words of `data` without their prefixes. Raises ValueError."""
    words = data.translate(_UNIFORM)
    return _without_prefixes(words) if b"x" in words else words


def _specimen(data: bytes) -> bytes:
    """A stand-in for the unprefixed words of the last line of `data`; empty if it has none."""
    first = _FIRST.match(data, data.rfind(b"\n") + 1)
    return b"0" * len(first[1]) + b" " if first else b""


def _like(prefix: bytes | None) -> bytes:
    """A stand-in for the first bytes of an unfinished word with this prefix."""
    return b"0x00" if prefix else b"00"


def _without_prefixes(words: bytes) -> bytes:
    """`words` without prefixes. Raises ValueError for a prefix within a word, or without digits."""
    within = words.count(b"0x") - words.count(b" 0x") - words.startswith(b"0x")
    if within or words.endswith(b"x") or b"x " in words or b"x\\" in words:
        raise ValueError
    return words.replace(b"\\x", b" ").replace(b"0x", b" ")


def _fault(data: bytes) -> tuple[bytes, int, str]:
    """The bytes before the fault in `data`, its place, and what it is."""
    lines = _LINES.match(data)
    line = lines.end() if lines else 0
    pairs, singles = _end(_PAIRS, data, line), _end(_SINGLES, data, line)
    begin = max(pairs, singles)
    word = _WORD.match(data, begin)
    assert word
    place, digits = word.end(), word[2]
    if singles > pairs and len(digits) > 1 and not word[1]:
        return _bytes(data[:begin]), place - len(digits) + 1, _left_over(digits[1:])
    before = _bytes(data[:begin]) + bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    if place < len(data) and (place == begin or data[place] not in _SEPARATORS + b"\\"):
        sign = data[place]
        shown = repr(chr(sign)) if 0x20 < sign < 0x7F else f"the byte 0x{sign:02x}"
        if data.startswith(_MARK, place):
            return before, place, "an editor has put a byte-order mark here: save it without one"
        return before, place, f"{shown} is not a hexadecimal digit"
    if digits:
        return before, place - 1, _left_over(digits[-1:])
    return before, begin, "digits are missing here"


def _end(words: re.Pattern[bytes], data: bytes, begin: int) -> int:
    found = words.match(data, begin)
    return found.end() if found else begin


def _left_over(digits: bytes) -> str:
    return f"the digit {digits[:1].decode()!r} is left over"
