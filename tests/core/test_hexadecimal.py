from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core.hexadecimal import MAX_HELD_BYTES, HexInput, parse_hex
from sockkit.errors import NotationError, UsageError
from tests.support import splits

RIGHT = [
    "48 65 0a",
    "48650a",
    "48 650a",
    "0x48 0x65 0x0A",
    "0X48,0X65,0X0a",
    r"\x48\x65\x0a",
    r"\x48 65\Xa",
    "0x48650a",
    " 48\t65 0a ",
    "48,65,0a",
    "0x48,0x65,0xa",
    "48 0x65 0xa",
    "0x48, 0x65,\n0xa,\n",
    "48\r\n65\v0A\f",
]
WRONG = [
    # what is written, the column, what is converted before it, the problem
    ("48 6g", 5, b"H", "'g' is not a hexadecimal digit"),
    ("xy", 1, b"", "'x' is not a hexadecimal digit"),
    ("010", 3, b"\x01", "the digit '0' is left over"),
    ("0x010", 5, b"\x01", "the digit '0' is left over"),
    ("48 656c6 1", 8, b"Hel", "the digit '6' is left over"),
    ("0x", 1, b"", "digits are missing here"),
    ("01 03 0", 7, b"\1\3", "the digit '0' is left over"),
    ("01,3,04", 4, b"\1", "the digit '3' is left over"),
    ("01 0x345", 8, b"\1\x34", "the digit '5' is left over"),
    ("0x01,3,04", 9, b"\1\3", "the digit '4' is left over"),
    ("1 2 034", 6, b"\1\2", "the digit '3' is left over"),
    ("1 23456789", 4, b"\1", "the digit '3' is left over"),
    ("1 2 g", 5, b"\1\2", "'g' is not a hexadecimal digit"),
    ("1 2g", 4, b"\1", "'g' is not a hexadecimal digit"),
    (r"48 \x 65", 4, b"H", "digits are missing here"),
    (r"48\n65", 3, b"H", "'\\\\' is not a hexadecimal digit"),
    ("0x48x65", 5, b"H", "'x' is not a hexadecimal digit"),
    ("480x65", 4, b"H", "'x' is not a hexadecimal digit"),
    (r"\x0x65", 4, b"", "'x' is not a hexadecimal digit"),
    (r"0x\x65", 1, b"", "digits are missing here"),
    (r"\x\x65", 1, b"", "digits are missing here"),
    ("0x0x65", 4, b"", "'x' is not a hexadecimal digit"),
    ("48;65", 3, b"H", "';' is not a hexadecimal digit"),
    ("４８", 1, b"", "the byte 0xef is not a hexadecimal digit"),
    ("48656c6c6fé", 11, b"Hello", "the byte 0xc3 is not a hexadecimal digit"),
]
written = st.lists(
    st.one_of(
        st.sampled_from(["0x", "0X", "\\x", "\\", " ", ",", "\n", "x", "g", "0", "00"]),
        st.text("0123456789abcdefABCDEF", min_size=1, max_size=7),
    ),
    max_size=8,
).map("".join)


def outcome(*pieces: bytes) -> tuple[bytes, str]:
    """What comes out when `pieces` are fed, and the error."""
    transform, out = HexInput("f"), b""
    try:
        for piece in pieces:
            out += transform.feed(piece)
        return out + transform.flush(), ""
    except NotationError as error:
        return out + error.before, str(error)


@pytest.mark.parametrize("text", RIGHT)
def test_each_way_to_write_bytes(text: str) -> None:
    assert parse_hex(text) == b"He\n"
    for pieces in splits(text.encode()):
        assert outcome(*pieces) == (b"He\n", "")


def test_a_digit_alone_is_a_byte() -> None:
    assert parse_hex("1 2 3") == parse_hex("1,0x2,\\x3") == parse_hex("010203") == b"\1\2\3"
    assert parse_hex("1 0x02 \\x03") == b"\1\2\3"
    assert parse_hex("1 2\n03 04\n\n5\n") == b"\1\2\3\4\5"


@pytest.mark.parametrize(("text", "column", "before", "problem"), WRONG)
def test_what_is_not_bytes(text: str, column: int, before: bytes, problem: str) -> None:
    with pytest.raises(UsageError, match="48 65 6c") as caught:
        parse_hex(text)
    assert str(caught.value).startswith(f"column {column}: {problem}")
    for pieces in splits(b"1 \n" + text.encode()):
        out, error = outcome(*pieces)
        assert out == b"\1" + before
        assert error.startswith(f"line 2, column {column} of f: {problem}")


@pytest.mark.parametrize("text", ["", " ", ",\n"])
def test_a_command_has_bytes(text: str) -> None:
    with pytest.raises(UsageError, match="no bytes given"):
        parse_hex(text)
    assert outcome(text.encode()) == (b"", "")


@given(st.binary(min_size=1))
@example(b"\x00\x01\x0f")
def test_there_and_back(data: bytes) -> None:
    ways = [data.hex(), data.hex(" "), data.hex(",").upper(), data.hex("\n")]
    ways += [", ".join(f"0x{byte:02x}" for byte in data), data.hex(" ", 2)]
    if max(data) < 16:
        ways.append(" ".join(f"{byte:x}" for byte in data))
    ways += ["".join(rf"\x{byte:02x}" for byte in data)]
    assert {parse_hex(way) for way in ways} == {data}


@given(written, st.lists(st.integers(0, 40), max_size=6))
@example("486 0x", [1])
@example("00000x48", [1, 3, 5])
@example("12345\\x6", [5])
@example("1 2\n\n\x0c34 5", [2, 4, 6])
@example("1 234567", [2, 6])
@example("0x234567 1", [8, 9])
@example("2345670 1", [6])
def test_however_the_input_is_cut(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    assert outcome(*pieces) == outcome(data)


def test_after_a_fault_the_next_line_is_new() -> None:
    transform = HexInput("f")
    transform.feed(b"01 02\n3")
    with pytest.raises(NotationError, match="line 2, column 2"):
        transform.feed(b"z 4\n")
    assert transform.feed(b"5 6") == b"\5"
    with pytest.raises(NotationError, match="line 3, column 4"):
        transform.feed(b"07\n")
    assert transform.feed(b"5\n") == b"\5"


def test_after_its_end_another_input_begins() -> None:
    transform = HexInput("f", line=7)
    with pytest.raises(NotationError, match="line 7, column 1"):
        transform.feed(b"x\n")
    assert transform.feed(b"1") + transform.flush() == b"\1"
    assert transform.feed(b"02") + transform.flush() == b"\2"
    with pytest.raises(NotationError, match="line 1, column 2"):
        transform.feed(b"2x\n")


@pytest.mark.parametrize("word", [b"48", b"\\x48", b"0x48 ", b"4 8 "])
def test_a_word_without_end_is_not_held(word: bytes) -> None:
    transform, piece = HexInput("f"), word * 1000
    transform.feed(piece)
    tracemalloc.start()
    for _ in range(10):
        assert len(transform.feed(piece)) >= 1000 - MAX_HELD_BYTES
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < len(piece)
