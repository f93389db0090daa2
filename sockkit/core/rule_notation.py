"""Reads rules and the greeting of `sockkit echo` that are written in hexadecimal or with escapes.

Both stand for bytes, which are decoded like a message in the responder's encoding. In a glob such
bytes are never wildcards. A regular expression has its own escapes, and is not changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from sockkit.core.escapes import HINT, Piece, pieces
from sockkit.core.hexadecimal import HexInput
from sockkit.errors import NotationError, UsageError

Part = bytes | str  # literal bytes, or text with its meaning in a rule

_WILDCARDS = re.compile(r"([*?])")
_EQUALS_SIGN = re.compile(r"\\=")
_GROUP = re.compile(r"\\(?:[1-9][0-9]?|g<[^>]*>)")
_NOTHING = re.compile(r"(?!)")


class Notation(Protocol):
    """Reads a part of a rule that begins in the column `begin`, counted from 0. Both methods raise
    UsageError, which names the column.
    """

    def glob(self, text: str, begin: int) -> Iterator[Part]:
        """The parts of a glob; the text parts are wildcards."""
        ...

    def answer(self, text: str, begin: int, *, template: bool) -> Iterator[Part]:
        """The parts of an answer; the text parts are the groups of a `template`."""
        ...


class HexNotation:
    def glob(self, text: str, begin: int) -> Iterator[Part]:
        for piece in _WILDCARDS.split(text):
            yield piece if _WILDCARDS.fullmatch(piece) else _hex(piece, begin)
            begin += len(piece)

    def answer(self, text: str, begin: int, *, template: bool) -> Iterator[Part]:
        yield _hex(text, begin)


def _hex(text: str, begin: int) -> bytes:
    transform = HexInput("")
    try:
        return transform.feed(b" " * begin + text.encode(errors="replace")) + transform.flush()
    except NotationError as error:
        raise UsageError(f"column {error.column}: {error.problem}", error.hint) from error


class EscapeNotation:
    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def glob(self, text: str, begin: int) -> Iterator[Part]:
        for piece in _pieces(text, begin, _EQUALS_SIGN):
            if piece.fault:
                yield b"="
            elif piece.source != piece.meaning:
                yield self._encoded(piece)
            else:
                for part in _WILDCARDS.split(piece.source):
                    plain = Piece(part, part)
                    yield part if _WILDCARDS.fullmatch(part) else self._encoded(plain)

    def answer(self, text: str, begin: int, *, template: bool) -> Iterator[Part]:
        for piece in _pieces(text, begin, _GROUP if template else _NOTHING):
            yield piece.source if piece.fault else self._encoded(piece)

    def _encoded(self, piece: Piece) -> bytes:
        if isinstance(piece.meaning, bytes):
            return piece.meaning
        try:
            return piece.meaning.encode(self._encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            raise UsageError(f"{piece.source!r} cannot be encoded in {self._encoding}") from error


def _pieces(text: str, begin: int, known: re.Pattern[str]) -> Iterator[Piece]:
    """The pieces of `text`. A piece with a fault is syntax of rules, which `known` matches."""
    while text:
        rest = ""
        for piece in pieces(text):
            if piece.fault:
                found = known.match(piece.source)
                if not found:
                    raise UsageError(f"column {begin + 1}: {piece.fault}", HINT)
                piece, rest = piece._replace(source=found[0]), piece.source[found.end() :]
            yield piece
            begin += len(piece.source)
        text = rest


class RuleReader:
    """Reads rules and greetings in `notation`. All methods raise UsageError."""

    def __init__(self, notation: Notation, encoding: str) -> None:
        self._notation, self._encoding = notation, encoding

    def glob(self, text: str) -> str:
        """The glob in the syntax of fnmatch."""
        parts = self._notation.glob(text, 0)
        return self._joined(parts, lambda text: re.sub(r"([*?[])", r"[\1]", text))

    def answer(self, text: str, begin: int = 0) -> str:
        """An answer, or a greeting."""
        return self._joined(self._notation.answer(text, begin, template=False), lambda text: text)

    def template(self, text: str, begin: int) -> str:
        """The answer of a regular expression, as a template for `Match.expand`."""
        parts = self._notation.answer(text, begin, template=True)
        return self._joined(parts, lambda text: text.replace("\\", r"\\"))

    def _joined(self, parts: Iterator[Part], quote: Callable[[str], str]) -> str:
        """The text of `parts`. Bytes are decoded together: several may be one character."""
        out, held = "", b""
        for part in [*parts, ""]:
            if isinstance(part, bytes):
                held += part
            else:
                out += quote(held.decode(self._encoding, "surrogateescape")) + part
                held = b""
        return out


def rule_reader(encoding: str, *, hex_input: bool, escape_input: bool) -> RuleReader | None:
    """The reader that the options ask for; None for plain text."""
    if hex_input:
        return RuleReader(HexNotation(), encoding)
    return RuleReader(EscapeNotation(encoding), encoding) if escape_input else None
