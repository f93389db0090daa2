"""Escapes by themselves, and as they are sent: `outcome` of every split equals that of one feed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockkit.core.escapes import pieces
from sockkit.core.text import Errors, TextOptions, Transform
from sockkit.core.transforms import Lenient
from sockkit.errors import NotationError, TextError
from tests.core.test_text import outcome
from tests.support import splits

PLAIN = TextOptions(escape_input=True)
GBK = PLAIN._replace(encoding="gbk")


def outbound(options: TextOptions, user: str = "utf-8") -> Transform:
    transform = options.outbound(user, "f")
    assert transform
    return transform


@pytest.mark.parametrize(
    ("options", "text", "sent"),
    [
        (PLAIN, r"\r\n\t\0\a\b\e\f\v\\", b"\r\n\t\0\a\b\x1b\f\v\\"),
        (PLAIN, r"\x41\xff\x0A.\0", b"A\xff\n.\0"),
        (PLAIN, "a\\n\r\nb\n", b"a\n\r\nb\n"),  # line ends are sent as they are
        (PLAIN, r"\u4f60好\U0001f600\u00e9", "你好😀é".encode()),
        (PLAIN, r"\\x41\\\n\\\\", b"\\x41\\\n\\\\"),
        (GBK, r"你\u4f60\xc4\x41", "你你".encode("gbk") + b"\xc4A"),
        (GBK._replace(crlf=True), "a\\n\nb\\r\\n\r\n", b"a\n\r\nb\r\n\r\n"),
        (PLAIN._replace(crlf=True), "a\\n\n", b"a\n\r\n"),
        (PLAIN._replace(encoding="utf-16"), r"a\0\n\u4f60", b"\xff\xfea\0\0\n\0`O"),
        (PLAIN._replace(encoding="utf-16"), r"\0a", b"\0\xff\xfea\0"),
        (PLAIN._replace(encoding="iso2022_jp"), r"日\x41日", b"\x1b$BF|\x1b(BA\x1b$BF|\x1b(B"),
        (PLAIN._replace(encoding="shift_jisx0213"), r"か\x41か", b"\x82\xa9A\x82\xa9"),
        (GBK._replace(errors=Errors.REPLACE), r"\u00ff😀\xff", b"??\xff"),
    ],
)  # fmt: skip
def test_what_is_sent(options: TextOptions, text: str, sent: bytes) -> None:
    for chunks in splits(text.encode()):
        assert outcome(outbound(options), chunks) == (sent, "")


def test_bytes_that_are_no_text_pass_unless_errors_says_otherwise() -> None:
    data = b"\xff\\x41\xe4\xbd\n"
    assert outcome(outbound(PLAIN), [data])[0] == b"\xffA\xe4\xbd\n"
    assert outcome(outbound(PLAIN._replace(errors=Errors.IGNORE)), [data])[0] == b"A\n"


@pytest.mark.parametrize(
    ("user", "text"), [("big5", "功許蓋"), ("gbk", "乗"), ("shift_jis", "表ソ")]
)
def test_a_backslash_within_a_character_is_none(user: str, text: str) -> None:
    data = text.encode(user)
    assert b"\\" in data
    for chunks in splits(data + b"\\n"):
        assert outcome(outbound(PLAIN, user), chunks) == (data + b"\n", "")


@pytest.mark.parametrize(
    ("text", "place", "before", "problem"),
    [
        (r"ab\q", "line 1, column 3", b"ab", r"\q is not an escape"),
        ("\\n\na你\\x4g", "line 2, column 3", "\n\na你".encode(), r"\x needs two"),
        (r"\x4", "line 1, column 1", b"", r"\x needs two hexadecimal digits"),
        (r"\x41\u4f6", "line 1, column 5", b"A", r"\u needs four hexadecimal digits"),
        (r"\U0001F60", "line 1, column 1", b"", r"\U needs eight hexadecimal digits"),
        (r"\ud83d", "line 1, column 1", b"", r"\ud83d is not a character"),
        (r"\U00110000", "line 1, column 1", b"", r"\U00110000 is not a character"),
        (r"\u00e9\012", "line 1, column 7", "é".encode(), r"a digit follows \0: write \x00"),
        ("a\\", "line 1, column 2", b"a", "nothing follows the backslash"),
        ("a\\\nb", "line 1, column 2", b"a", "nothing follows the backslash"),
        ("\\\x1b", "line 1, column 1", b"", r"\\x1b is not an escape"),
        (r"\\\\\q", "line 1, column 5", b"\\\\", r"\q is not an escape"),
    ],
)  # fmt: skip
def test_a_wrong_escape_is_an_error(text: str, place: str, before: bytes, problem: str) -> None:
    for chunks in splits(text.encode()):
        out, error = outcome(outbound(PLAIN), chunks)
        assert out == before
        assert error.startswith(f"{place} of f: {problem}")
        assert error.endswith(r"\UHHHHHHHH")


def test_a_character_that_cannot_be_encoded_is_placed_where_it_is_written() -> None:
    for text, column in ((r"\x41\n\U0001f600b", 7), (r"\t你😀\q", 4)):
        for chunks in splits(text.encode()):
            _, error = outcome(outbound(GBK), chunks)
            assert error.startswith(f"'😀' (U+1F600) at line 1, character {column} of f is not in")


@given(st.binary(), st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    codes = "".join(rf"\x{byte:02x}" for byte in data)
    text = "".join(chr(byte) if 32 <= byte < 127 else rf"\x{byte:02x}" for byte in data)
    for written, sent in (
        (codes, data),
        (text.replace("\\", "\\\\").replace("\\\\x", "\\x"), data),
    ):
        if b"\\" in data and written is not codes:
            continue
        raw = written.encode()
        places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
        chunks = [raw[begin:end] for begin, end in pairwise(places)]
        for options in (PLAIN, GBK, PLAIN._replace(encoding="utf-8")):
            assert outcome(outbound(options), chunks) == (sent, "")


@given(st.text("\\x0u4fn\n你q", max_size=12))
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(piece.source for piece in pieces(text)) == text
    cut = "".join(piece.source for piece in pieces(text, final=False))
    assert text.startswith(cut)
    assert len(text) - len(cut) < 10


@settings(max_examples=100)  # a cut within an escape is seldom chosen
@given(st.text("\\x0u4fnU\n你q😀", max_size=16), st.integers(0, 16))
def test_for_all_and_then_for_one_is_the_same(text: str, cut: int) -> None:
    """Whoever comes later gets whole escapes: the transform for one begins with what is new."""
    data = text.encode()
    for options in (PLAIN, GBK._replace(errors=Errors.REPLACE)):
        whole, error = outcome(outbound(options), [data])
        shared, early = options.for_all("utf-8", "f"), options.for_one()
        assert shared
        out, told = b"", ""
        try:
            for chunk in (data[:cut], data[cut:]):
                part = shared.feed(chunk)
                late = options.for_one()
                out += early.feed(part) if early else part
                if late:
                    late.feed(part)
            part = shared.flush()
            out += early.feed(part) + early.flush() if early else part
        except TextError as fault:
            out += early.feed(fault.before) if early else fault.before
            told = str(fault)
        assert (out, told) == (whole, error)


def test_after_a_fault_the_next_line_is_new() -> None:
    refused: list[str] = []
    lenient = Lenient(outbound(GBK), lambda error: refused.append(str(error)))
    assert lenient.feed(b"a\\x4\nb\\n\n\\q") + lenient.feed(b"c\n") == b"b\n\nc\n"
    assert [text.split(" of")[0] for text in refused] == ["line 1, column 2", "line 3, column 1"]


def test_another_input_begins_after_the_end() -> None:
    transform = outbound(GBK)
    assert transform.feed(b"\n\\0") + transform.flush() == b"\n\0"
    with pytest.raises(NotationError, match="line 1, column 2"):
        transform.feed(b"a\\q")


def test_lines_that_came_before_are_counted() -> None:
    for options in (PLAIN, TextOptions(hex_input=True)):
        transform = options.outbound("utf-8", "f", 6)
        assert transform
        with pytest.raises(NotationError, match="line 7, column 1"):
            transform.feed(b"\\q ")
