"""Bytes written as hexadecimal digits: `48 65 6c`, `48656c`, `0x48,0x65`, `\\x48\\x65`, `1 2 3`.

White space and commas separate words, and `\\x` begins one. A word is an even number of digits, two
for a byte, or one digit alone. It may begin with `0x` or `\\x`. All letters may be capitals.
"""

from __future__ import annotations

import re

from sockkit.errors import NotationError, UsageError

HINT = "write two digits a byte, as in 48 65 6c"
# A word that goes on is held up to this size. Of a longer one, whose prefix is known by then, all
# but an odd digit is converted at once, so memory stays flat whatever a file's lines are like.
MAX_HELD_BYTES = 4

_SEPARATORS = b" \n\t\r,\v\f"
_UNIFORM = bytes.maketrans(_SEPARATORS + b"X", b" " * len(_SEPARATORS) + b"x")
_SINGLE = re.compile(rb"(?<![0-9a-fA-F])([0-9a-fA-F])(?![0-9a-fA-F])")
_WORDS = re.compile(  # as many as are right
    rb"(?:[\s,]++|(?:\\[xX]|(?<![^\s,])0[xX])?(?:(?:[0-9a-fA-F]{2})++|[0-9a-fA-F])(?=[\s,\\]|\Z))*+"
)
_WORD = re.compile(rb"(\\[xX]|0[xX])?([0-9a-fA-F]*)")


def parse_hex(text: str) -> bytes:
    """The bytes of `text`. Raises UsageError, which names the column."""
    hexadecimal = HexInput("")
    try:
        data = hexadecimal.feed(text.encode(errors="surrogateescape")) + hexadecimal.flush()
    except NotationError as error:
        raise UsageError(f"column {error.column}: {error.problem}", error.hint) from error
    if not data:
        raise UsageError("there are no bytes", "write them as in 48 65 6c")
    return data


class HexInput:
    """A transform from hexadecimal digits to bytes. `what` names the input in errors.

    `line` is the number of the first line. A NotationError drops the rest of what was fed, so that
    the next line can be fed; lines and columns are counted on.
    """

    def __init__(self, what: str, line: int = 1) -> None:
        self._what = what
        self._line, self._column = line, 1  # of the first byte that is held
        self._held = b""
        self._within = False  # whether a word goes on, two or more of whose digits are converted

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        word = max(data.rfind(b"\\"), *(data.rfind(sign) + 1 for sign in _SEPARATORS))
        within = self._within and not word and not data.startswith(b"\\")
        if len(data) - word <= MAX_HELD_BYTES:
            return self._convert(data[:word], data[word:], within)
        found = _WORD.match(data, word)
        digits = len(found[2]) if found and found.end() == len(data) else 0
        end = len(data) - digits % 2
        return self._convert(data[:end], data[end:], within=True)

    def flush(self) -> bytes:
        try:
            return self._convert(self._held, b"", within=False)
        finally:
            self._line, self._column = 1, 1  # what is fed next is another input

    def _convert(self, data: bytes, held: bytes, within: bool) -> bytes:
        """The bytes of `data`; keep `held`, which goes on in the same word if `within`."""
        before = b"00" if self._within else b""  # an even number of digits, to be in the same word
        self._within = within
        try:
            out = _bytes(before + data)
        except ValueError:
            out, place, problem = _fault(before + data)
            self._count(data[: place - len(before)])
            where = (self._line, self._column, self._what)
            error = NotationError(problem, where, HINT, out[len(before) // 2 :])
            self._count(data[place - len(before) :] + held)
            self._held, self._within = b"", False
            raise error from None
        self._held = held
        self._count(data)
        return out[len(before) // 2 :]

    def _count(self, data: bytes) -> None:
        if lines := data.count(b"\n"):
            self._line += lines
            self._column = len(data) - data.rindex(b"\n")
        else:
            self._column += len(data)


def _bytes(data: bytes) -> bytes:
    """The bytes of whole words. Raises ValueError."""
    words = data.translate(_UNIFORM)
    if b"x" in words:
        words = _without_prefixes(words)
    try:
        return bytes.fromhex(words.decode("ascii"))  # which skips white space between bytes
    except ValueError:
        return bytes.fromhex(_SINGLE.sub(rb"0\1", words).decode("ascii"))


def _without_prefixes(words: bytes) -> bytes:
    """Raises ValueError for a prefix that is in a word, or is all of it."""
    within = words.count(b"0x") - words.count(b" 0x") - words.startswith(b"0x")
    if within or words.endswith(b"x") or b"x " in words or b"x\\" in words:
        raise ValueError
    return words.replace(b"\\x", b" ").replace(b"0x", b" ")


def _fault(data: bytes) -> tuple[bytes, int, str]:
    """The bytes before the fault in `data`, its place, and what it is."""
    right = _WORDS.match(data)
    begin = right.end() if right else 0
    word = _WORD.match(data, begin)
    assert word
    place, digits = word.end(), word[2]
    before = _bytes(data[:begin]) + bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    if place < len(data) and (place == begin or data[place] not in _SEPARATORS + b"\\"):
        sign = data[place]
        shown = repr(chr(sign)) if 0x20 < sign < 0x7F else f"the byte 0x{sign:02x}"
        return before, place, f"{shown} is not a hexadecimal digit"
    if digits:
        return before, place - 1, f"the digit {digits[-1:].decode()!r} is left over"
    return before, begin, "digits are missing here"
