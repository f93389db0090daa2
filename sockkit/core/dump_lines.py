"""Lines of a hex dump: a mark, an offset, 16 bytes in two groups of eight, and their text.

A line is 78 columns wide; from 4 GiB on, the offsets have more digits. Large data is dumped in
blocks of lines, each column of a block at once, which is five times as fast as line by line.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import AnyStr, NamedTuple

BYTES = 16  # a line
BLOCK_LINES = 4096  # at once: few enough to stay in a processor's cache
MIN_BLOCK_BYTES = 384  # fewer are faster line by line

_DIGITS = b"0123456789abcdef"
_HIGH = bytes(_DIGITS[byte >> 4] for byte in range(256))
_LOW = bytes(_DIGITS[byte & 15] for byte in range(256))
_PRINTABLE = bytes(byte if 0x20 <= byte < 0x7F else ord(".") for byte in range(256))

# Three columns of the offset's hexadecimal digits: the second to fourth from the right, each for
# _PERIOD lines. The last digit is the same in every line, as a line has 16 bytes.
_PERIOD = 16**3
_COUNTED = [
    b"".join(bytes([digit]) * run for digit in _DIGITS) * (_PERIOD // 16 // run)
    for run in (256, 16, 1)
]
_LINE = b"%b %08x  %-23b  %-23b  %b\n"
_HEX_COLUMNS = 48


def dump(mark: bytes, start: int, data: bytes) -> bytes:
    """The lines of `data`, whose first byte has the offset `start`. Text is printable ASCII."""
    blocks: list[bytes | bytearray] = []
    size = len(data)
    done = 0
    while size - done >= MIN_BLOCK_BYTES:
        # A block ends where a digit further to the left changes.
        room = _PERIOD - ((start + done) // BYTES) % _PERIOD
        end = done + min((size - done) // BYTES, BLOCK_LINES, room) * BYTES
        blocks.append(_block(mark, start + done, bytearray(data[done:end])))
        done = end
    if done == size:
        return b"".join(blocks)
    rest = data[done:]
    blocks += lines(mark, start + done, rest, pieces(rest.translate(_PRINTABLE)))
    return b"".join(blocks)


def _block(mark: bytes, start: int, data: bytearray) -> bytearray:
    """The dump of full lines, whose offsets differ in the last four digits only.

    `data` is a bytearray, as its slices are translated and stored a third faster than bytes.
    """
    head = b"%b %08x  " % (mark, start)
    count, layout = len(data) // BYTES, _layout(len(head))
    block = bytearray(head.ljust(layout.width - 1) + b"\n") * count
    first = start // BYTES % _PERIOD
    for column, digits in zip(layout.offset, _COUNTED, strict=True):
        block[column] = digits[first : first + count]
    for place, high, low, text in layout.bytes:
        values = data[place]
        block[high] = values.translate(_HIGH)
        block[low] = values.translate(_LOW)
        block[text] = values.translate(_PRINTABLE)
    return block


class _Layout(NamedTuple):
    """The columns of a block, as slices of it. `offset` are those of the digits in _COUNTED.
    `bytes` has, for each byte of a line, its place in the data, and its columns: both digits and
    the text.
    """

    width: int
    offset: list[slice]
    bytes: list[tuple[slice, slice, slice, slice]]


@lru_cache(8)
def _layout(head: int) -> _Layout:
    """The layout of lines whose bytes begin in column `head`."""
    text = head + _HEX_COLUMNS + 2
    width = text + BYTES + 1

    def column(place: int) -> slice:
        return slice(place, None, width)

    digits = [head + 3 * byte + byte // 8 for byte in range(BYTES)]
    return _Layout(
        width,
        [column(place) for place in range(head - 6, head - 3)],
        [
            (slice(byte, None, BYTES), column(place), column(place + 1), column(text + byte))
            for byte, place in enumerate(digits)
        ],
    )


def pieces(columns: AnyStr) -> list[AnyStr]:
    """The columns of each line."""
    return [columns[place : place + BYTES] for place in range(0, len(columns), BYTES)]


def lines(mark: bytes, start: int, data: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """The lines of `data`, with the text of each."""
    digits = data.hex(" ").encode()
    return [
        _LINE % (mark, start + at // 3, digits[at : at + 23], digits[at + 24 : at + 47], text)
        for at, text in zip(range(0, len(digits), 3 * BYTES), texts, strict=True)
    ]
