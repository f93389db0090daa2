"""Tests of sockkit.core.difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.difference import difference


def test_the_same_bytes_do_not_differ() -> None:
    assert difference(b"", b"") is None
    assert difference(b"x" * 100_000, b"x" * 100_000) is None


def test_two_dumps_one_under_the_other() -> None:
    expected = b"HTTP/1.1 200 OK\r\nDate: Mon\r\n\r\n" + b"x" * 100
    assert difference(expected, expected.replace(b"Mon", b"Tue")) == (
        "first difference at byte 23 (offset 00000017)\n"
        "expected:\n"
        "  00000000  48 54 54 50 2f 31 2e 31  20 32 30 30 20 4f 4b 0d  HTTP/1.1 200 OK.\n"
        "! 00000010  0a 44 61 74 65 3a 20 4d  6f 6e 0d 0a 0d 0a 78 78  .Date: Mon....xx\n"
        "  00000020  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  xxxxxxxxxxxxxxxx\n"
        "  00000030  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  xxxxxxxxxxxxxxxx\n"
        "got:\n"
        "  00000000  48 54 54 50 2f 31 2e 31  20 32 30 30 20 4f 4b 0d  HTTP/1.1 200 OK.\n"
        "! 00000010  0a 44 61 74 65 3a 20 54  75 65 0d 0a 0d 0a 78 78  .Date: Tue....xx\n"
        "  00000020  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  xxxxxxxxxxxxxxxx\n"
        "  00000030  78 78 78 78 78 78 78 78  78 78 78 78 78 78 78 78  xxxxxxxxxxxxxxxx\n"
    )


def test_one_that_ends_where_the_other_goes_on() -> None:
    assert difference(b"", b"a") == (
        "first difference at byte 0 (offset 00000000)\n"
        "expected:\n"
        "! 00000000  end\n"
        "got:\n"
        "! 00000000  61                                                a\n"
        "  00000001  end\n"
    )


@given(st.binary(max_size=100), st.integers(0, 200_000), st.binary(max_size=60), st.binary())
def test_the_first_difference_is_found(same: bytes, more: int, one: bytes, other: bytes) -> None:
    same += bytes(more)
    shown = difference(same + one, same + other)
    if one == other:
        assert shown is None
        return
    assert shown
    pairs = zip(one, other, strict=False)
    at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    assert shown.startswith(f"first difference at byte {len(same) + at} ")
    assert 1 <= shown.count("\n! ") <= 4


@pytest.mark.parametrize("size", [0, 65535, 65536, 65537, 200_000])
def test_a_dump_is_short_however_far_the_difference_is(size: int) -> None:
    shown = difference(bytes(size) + b"a" * 1000, bytes(size) + b"b" * 1000)
    assert shown
    assert shown.startswith(f"first difference at byte {size} ")
    assert len(shown.splitlines()) <= 13
