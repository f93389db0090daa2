"""The text beside a hex dump: each byte has a column, whatever the encoding.

A character begins in the column of its first byte and has a column for each of its bytes. Blanks
follow one that is narrower than that. Dots stand for bytes that are not text, and for characters
that must not or cannot be shown.

A wide character whose second byte is in the next line is shown in the line it begins in, one column
further than its bytes. If a character is cut between two pieces of data, dots stand for its bytes
in the first piece, as it is not known yet, and the second piece shows it. If a wide one has only
one byte there, it begins in the space before the text.
"""

from __future__ import annotations

import codecs
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from sockkit.core.dump_lines import lines, pieces
from sockkit.core.width import width_alone

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

# Characters whose columns are remembered: all of GBK, in 8 MiB. Working them out takes 3 µs each.
MAX_CELLS = 32_768
MAX_HELD_BYTES = 64  # of a character; UTF-7 decodes a run of them only at its end

# Encodings of several bytes whose characters do not depend on those before them.
_MULTIBYTE = {
    *("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"),
    *("gbk", "gb2312", "gb18030", "big5", "cp950", "big5hkscs", "euc_kr", "cp949", "johab"),
    *("shift_jis", "cp932", "euc_jp"),
}
_UNMARKED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}  # little-endian, as nearly all text is

# Fill a column: the second one of a wide character, and one that is left over.
_SECOND, _BLANK = "\0", "\1"
_FILLERS = _SECOND + _BLANK
_UNSEEN = "\2"
_BAD = "\udcff"  # a byte that is no character; encodings have no surrogates
_ERRORS = "sockkit.dump"
_BYTES = [bytes([value]) for value in range(256)]


def _mark_bad(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BAD * (error.end - error.start), error.end


codecs.register_error(_ERRORS, _mark_bad)


class _Cells(dict[str, str]):
    """The columns of each character of a stateless encoding, shown in the encoding `output`."""

    def __init__(self, encoding: str, output: str) -> None:
        self._encoding, self._output = encoding, output

    def __missing__(self, character: str) -> str:
        if len(self) >= MAX_CELLS:
            self.clear()
        size = 1 if character == _BAD else len(character.encode(self._encoding, "replace"))
        self[character] = cell = _cell(character, size, self._output)
        return cell


def _cell(characters: str, size: int, output: str) -> str:
    """The `size` columns of characters that are `size` bytes together."""
    shown = "".join([_shown(character, output) for character in characters])
    if len(shown) > size or not shown.strip(_UNSEEN):
        return "." * size
    return shown.replace(_UNSEEN, ".").ljust(size, _BLANK)


def _shown(character: str, output: str) -> str:
    columns = width_alone(character)
    try:
        character.encode(output)
    except UnicodeEncodeError:
        columns = 0
    return character + _SECOND * (columns - 1) if columns else _UNSEEN


class TextEncoding:
    """The encoding of the text of several flows, and that of the output."""

    def __init__(self, encoding: str, output: str) -> None:
        self.name, self.output = codecs.lookup(encoding).name, output
        self.cells = _Cells(encoding, output)
        self.cell = lru_cache(MAX_CELLS)(partial(_cell, output=output))
        # A decoder without state makes a character of each byte.
        keeps = type(self.decoder()).getstate is not codecs.IncrementalDecoder.getstate
        self.stateless = self.name in _MULTIBYTE or not keeps
        self.has_ascii = self.stateless and self._has_ascii()

    def _has_ascii(self) -> bool:
        """Whether ASCII is the same in this encoding."""
        ascii_bytes = bytes(range(128))
        try:
            return ascii_bytes.decode(self.name, _ERRORS) == ascii_bytes.decode("ascii")
        except UnicodeError:
            return False

    def decoder(self, *, unmarked: bool = False) -> IncrementalDecoder:
        """A new decoder; with `unmarked`, one for text without a byte-order mark."""
        name = _UNMARKED.get(self.name, self.name) if unmarked else self.name
        return codecs.getincrementaldecoder(name)(_ERRORS)


class TextColumn:
    """The text of one flow, in pieces of any size."""

    def __init__(self, encoding: TextEncoding) -> None:
        self._encoding = encoding
        self._decoder = encoding.decoder()
        self._held = b""  # of a character whose other bytes have not arrived

    def reset(self) -> None:
        """Forget a held character: the next data is separate, as the next datagram is."""
        self._decoder = self._encoding.decoder()
        self._held = b""

    def plain(self, data: bytes) -> bool:
        """Whether the text is the same as that of a dump without an encoding."""
        return self._encoding.has_ascii and not self._held and data.isascii()

    def dump(self, mark: bytes, start: int, data: bytes) -> bytes:
        """The lines of `data`, which goes on with what came before, from the offset `start`."""
        columns, early = _without_beginning(*self._columns(data))
        texts = [_text(piece).encode(self._encoding.output) for piece in pieces(columns)]
        out = lines(mark, start, data, texts)
        if early:
            text = -len(texts[0]) - 1
            out[0] = out[0][: text - 1] + out[0][text:]
        return b"".join(out)

    def _columns(self, data: bytes) -> tuple[str, int]:
        """A column for each byte held and of `data`, and how many were held."""
        held = self._held
        if not self._encoding.stateless:
            return self._step(held, data), len(held)
        whole = held + data
        columns = self._at_once(whole)
        if len(columns) != len(whole):
            self._decoder.reset()
            columns = self._step(b"", whole)
        return columns, len(held)

    def _at_once(self, data: bytes) -> str:
        """The columns of `data`, too few or too many if a character has an unusual size."""
        self._decoder.reset()
        try:
            text = self._decoder.decode(data)
        except UnicodeError:
            return ""
        self._held = self._decoder.getstate()[0]
        return "".join(map(self._encoding.cells.__getitem__, text)) + "." * len(self._held)

    def _step(self, held: bytes, data: bytes) -> str:
        """Decode byte by byte, as only the decoder knows where a character ends."""
        cells = []
        for value in data:
            byte = _BYTES[value]
            held += byte
            try:
                text = self._decoder.decode(byte)
            except UnicodeError:
                text = self._retry(held)
            if text or not self._keeps(held):
                cells.append(self._encoding.cell(text, len(held)))
                held = b""
        self._held = held
        return "".join(cells) + "." * len(held)

    def _retry(self, held: bytes) -> str:
        """Decode bytes that the decoder refused: without a byte-order mark, or too long to keep."""
        self._decoder = self._encoding.decoder(unmarked=True)
        try:
            return self._decoder.decode(held)
        except UnicodeError:
            self._decoder.reset()
            return ""

    def _keeps(self, held: bytes) -> bool:
        """Whether the bytes held are the beginning of a character."""
        if len(held) >= MAX_HELD_BYTES:
            self._decoder.reset()
        return bool(self._decoder.getstate()[0])


def _without_beginning(columns: str, count: int) -> tuple[str, bool]:
    """`columns` without the first `count`, and whether the text begins a column early.

    A character that begins in these and goes on after them is shown where it goes on.
    """
    rest = columns[count:]
    room = len(rest) - len(rest.lstrip(_FILLERS))
    if not count or not room:
        return rest, False
    before = columns[:count].rstrip(_FILLERS)
    wide = columns[len(before)] == _SECOND
    shown = before[-1] + (_SECOND if wide and room > 1 else "")
    return shown + _BLANK * (room - len(shown)) + rest[room:], wide and room == 1


def _text(columns: str) -> str:
    """The text that shows the columns of one line."""
    if columns[0] == _SECOND:
        columns = _BLANK + columns[1:]
    return columns.replace(_SECOND, "").replace(_BLANK, " ")
