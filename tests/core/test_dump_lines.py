"""Tests of sockkit.core.dump_lines."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.dump_lines import BLOCK_LINES, MIN_BLOCK_BYTES, dump
from tests.dumps import Line, lines
from tests.support import fewer

SIZES = st.one_of(
    st.integers(0, 100),
    st.integers(MIN_BLOCK_BYTES - 20, MIN_BLOCK_BYTES + 40),
    st.integers(16 * BLOCK_LINES - 20, 16 * BLOCK_LINES + 20),
    st.integers(70_000, 75_000),
)
STARTS = st.one_of(
    st.integers(0, 40), st.integers(65_000, 66_000), st.integers(2**32 - 70_000, 2**32 + 20)
)


def test_a_dump() -> None:
    assert dump(b"<", 0, b"Hello,\r\n\x1b[31m \x7f~\xff\x80and more.").decode() == (
        "< 00000000  48 65 6c 6c 6f 2c 0d 0a  1b 5b 33 31 6d 20 7f 7e  Hello,...[31m .~\n"
        "< 00000010  ff 80 61 6e 64 20 6d 6f  72 65 2e                 ..and more.\n"
    )


def test_without_bytes_there_are_no_lines() -> None:
    assert dump(b"<", 0, b"") == b""


def test_large_data_begins_as_small_data_does() -> None:
    data = bytes(range(256)) * 4
    small = b"".join(dump(b">", at, data[at : at + 16]) for at in range(0, len(data), 16))
    assert dump(b">", 0, data) == small


@pytest.mark.parametrize("start", [2**32 - 16, 2**40 - 32])
def test_an_offset_has_as_many_digits_as_it_needs(start: int) -> None:
    shown = dump(b"<", start, bytes(1024)).splitlines()
    assert [int(line.split()[1], 16) for line in shown] == list(range(start, start + 1024, 16))
    digits = len(f"{start:08x}")
    assert {len(line) - len(line.split()[1]) for line in shown} == {70}
    assert len(shown[0].split()[1]) == digits


@fewer(25)
@given(SIZES, STARTS, st.sampled_from(["<", "\x1b[36m<\x1b[39m"]), st.integers())
def test_a_dump_is_read_back(size: int, start: int, mark: str, seed: int) -> None:
    data = random.Random(seed).randbytes(size)
    shown = list(lines(dump(mark.encode(), start, data)))
    assert len(shown) == (size + 15) // 16
    for at, line in zip(range(0, size, 16), shown, strict=True):
        piece = data[at : at + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        assert line == Line("<", start + at, piece, f" {text}")
