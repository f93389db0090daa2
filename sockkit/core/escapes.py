"""Text with escapes, as --escape-input reads it: `\\r\\n`, `\\0`, `\\x41`, `\\u4f60`.

`\\xHH` and `\\0` are bytes, and sent as they are. The others are characters, and encoded like the
text around them. A backslash before anything else is an error, so that a misspelled escape is not
sent as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sockkit.core.printable import escape
from sockkit.core.text import Transcoder
from sockkit.errors import NotationError, TextError

CHARACTERS = dict(zip("rntabefv\\", "\r\n\t\a\b\x1b\f\v\\", strict=True))
HINT = r"write \\ for a backslash, or one of \r \n \t \0 \a \b \e \f \v \xHH \uHHHH \UHHHHHHHH"

_PIECE = re.compile(
    r"(?P<text>[^\\]+)"
    r"|(?P<bytes>(?:\\x[0-9a-fA-F]{2})++|(?:\\0(?![0-9]|\Z))++)"
    r"|\\(?:(?P<letter>[rntabefv\\])|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8}))"
    r"|(?P<other>\\)"
)
_UNFINISHED = re.compile(r"\\(?:0|x[0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7})?")
_DIGITS = {"x": "two", "u": "four", "U": "eight"}


class Piece(NamedTuple):
    """`source` is what is written, and `meaning` the text or the bytes that it stands for.

    With a `fault` it means nothing, and `source` is the rest of the text.
    """

    source: str
    meaning: str | bytes
    fault: str = ""


def pieces(text: str, *, final: bool = True) -> Iterator[Piece]:
    """The pieces of `text`. Unless this is the `final` text, an unfinished escape at its end is
    left out.
    """
    for found in _PIECE.finditer(text):
        kind, source = found.lastgroup, found[0]
        if kind == "text":
            yield Piece(source, source)
        elif kind == "bytes":
            digits = source.replace("\\x", "").replace("\\0", "00")
            yield Piece(source, bytes.fromhex(digits))
        elif kind == "letter":
            yield Piece(source, CHARACTERS[source[1]])
        elif kind in ("u", "U") and _is_character(code := int(found[kind], 16)):
            yield Piece(source, chr(code))
        else:
            yield from _unknown(text[found.start() :], final)
            return


def _unknown(rest: str, final: bool) -> Iterator[Piece]:
    if rest == "\\0" and final:
        yield Piece(rest, b"\0")
    elif final or not _UNFINISHED.fullmatch(rest):
        yield Piece(rest, "", _fault(rest))


def _is_character(code: int) -> bool:
    return code < 0xD800 or 0xDFFF < code <= 0x10FFFF


def _fault(rest: str) -> str:
    letter = rest[1:2]
    if not letter or letter in "\r\n":
        return "nothing follows the backslash"
    if letter == "0":
        return r"a digit follows \0: write \x00 for that byte"
    if letter not in _DIGITS:
        return f"{escape(rest[:2])} is not an escape"
    digits = {"x": 2, "u": 4, "U": 8}[letter]
    if re.match(rf"[0-9a-fA-F]{{{digits}}}", rest[2:]):
        return f"{rest[: 2 + digits]} is not a character"
    return f"{rest[:2]} needs {_DIGITS[letter]} hexadecimal digits"


class EscapedText(Transcoder):
    """A Transcoder of text with escapes. An unfinished escape is held: nine characters at most.

    A NotationError drops the rest of what was fed; lines and columns are counted on.
    """

    _keeps = False  # whether escapes stay as they are
    _held = ""
    _in_text = False  # whether the encoder may hold something back, or be shifted

    def _encode(self, text: str, final: bool) -> bytes:
        text, self._held = self._held + text, ""
        out, place = b"", 0
        for piece in pieces(text, final=final):
            try:
                out += self._encode_piece(piece)
            except TextError as error:
                error.before = out + error.before
                self._count(text[place + len(piece.source) :])
                raise
            place += len(piece.source)
        self._held = text[place:]
        return out + (self._end_text() if final else b"")

    def _encode_piece(self, piece: Piece) -> bytes:
        source, meaning, fault = piece
        if fault:
            where = (self._at[0] + 1, self._at[1] + 1, self._what)
            self._count(source)
            raise NotationError(fault, where, HINT, self._end_text())
        if source == meaning or self._keeps:
            self._in_text = True
            return super()._encode(source, False)
        after = (self._at[0], self._at[1] + len(source))
        try:
            if isinstance(meaning, bytes):
                return self._end_text() + meaning
            self._in_text = True
            return super()._encode(meaning, False)
        finally:
            self._at = after

    def _end_text(self) -> bytes:
        """The bytes that end the encoded text, so that other bytes can follow."""
        ended, self._in_text = self._in_text, False
        return super()._encode("", True) if ended else b""


class CheckedText(EscapedText):
    """Checks the escapes and keeps them. Each chunk of its output contains whole escapes, so an
    EscapedText can begin with any of them.
    """

    _keeps = True
