"""Tests of sockkit.core.dump_text."""

from __future__ import annotations

import codecs
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from sockkit.core import dump_text
from sockkit.core.dump_text import TextColumn, TextEncoding
from tests.dumps import Line, lines
from tests.support import fewer

# Characters of each encoding, without blanks and dots, by which others are found.
CHINESE = "abz09~{}温度湿正常。，℃设备"
ALPHABETS = {
    "utf-8": CHINESE + "éß№한あ😀🌡𠀀",
    "gbk": CHINESE + "éあ",
    "gb18030": CHINESE + "é한😀𠀀",
    "big5": "abz09~{}溫度濕。，測試",
    "shift_jis": "abz09あいう漢字ｱｲｳ。",
    "euc_jp": "abz09あいう漢字ｱｲｳ。",
    "euc_kr": "abz09한글測度",
    "utf-16-le": CHINESE + "é한😀𠀀",
    "utf-32-be": CHINESE + "é한😀𠀀",
    "latin-1": "abz09~éßÿ§",
    "koi8-r": "abz09привет─",
}
STATEFUL = ["iso2022_jp", "iso2022_kr", "hz", "utf-7", "utf-16", "utf-32", "utf-8-sig"]
MORE = ["cp037", "big5hkscs", "johab", "euc_jis_2004", "ascii", "raw_unicode_escape", "punycode"]


def shown(encoding: str, pieces: list[bytes], output: str = "utf-8") -> list[Line]:
    column = TextColumn(TextEncoding(encoding, output))
    found: list[Line] = []
    start = 0
    for piece in pieces:
        dump = column.dump(b"<", start, piece)
        found += (line for line in lines(dump, output) if isinstance(line, Line))
        start += len(piece)
    assert b"".join(line.data for line in found) == b"".join(pieces)
    assert [line.offset for line in found[:1]] == [0] * bool(found)
    return found


def texts(encoding: str, *pieces: bytes, output: str = "utf-8") -> list[str]:
    return [line.text for line in shown(encoding, list(pieces), output)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(ends)]


def columns(line: Line) -> dict[int, str]:
    """The characters of a line that are no blanks or dots, by the place of their column."""
    found = {}
    place = line.offset - 1  # the space before the text
    for character in line.text:
        if character not in " .":
            found[place] = character
        place += wcwidth(character)
    return found


def expected(text: str, encoding: str, pieces: list[bytes]) -> dict[int, str]:
    """Where each character of `text` is to be shown."""
    cuts = [sum(map(len, pieces[:number])) for number in range(1, len(pieces))]
    found = {}
    begin = 0
    for character in text:
        end = begin + len(character.encode(encoding))
        place = max([begin, *(cut for cut in cuts if begin < cut < end)])
        early = place > begin and end - place < wcwidth(character)
        found[place - early] = character
        begin = end
    return found


@given(st.data(), st.sampled_from(sorted(ALPHABETS)), st.lists(st.integers(0, 400), max_size=8))
def test_each_character_is_in_the_column_of_its_bytes(
    data: st.DataObject, encoding: str, places: list[int]
) -> None:
    text = data.draw(st.text(ALPHABETS[encoding], max_size=100))
    pieces = cut(text.encode(encoding), places)
    found: dict[int, str] = {}
    for line in shown(encoding, pieces):
        found |= columns(line)
        # One column more where a wide character goes on in the next line.
        assert len(line.data) <= wcswidth(line.text) - 1 <= len(line.data) + 1
    assert found == expected(text, encoding, pieces)


@given(
    st.sampled_from(sorted(ALPHABETS) + STATEFUL + MORE),
    st.binary(max_size=200),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from(["utf-8", "ascii", "gbk"]),
)
def test_bytes_of_any_kind_keep_their_columns_and_drive_no_terminal(
    encoding: str, data: bytes, places: list[int], output: str
) -> None:
    for line in shown(encoding, cut(data, places), output):
        assert line.text.isprintable()
        assert len(line.data) <= wcswidth(line.text) - 1 <= len(line.data) + 1


@pytest.mark.parametrize("encoding", STATEFUL)
@fewer(40)
@given(st.text("abz09あ漢字한글😀\x1b~+-", max_size=60), st.lists(st.integers(0, 200), max_size=8))
def test_so_does_text_with_states(encoding: str, text: str, places: list[int]) -> None:
    data = text.encode(encoding, "replace")
    for line in shown(encoding, cut(data, places)):
        assert line.text.isprintable()
        assert len(line.data) <= wcswidth(line.text) - 1 <= len(line.data) + 1


@pytest.mark.parametrize(
    ("encoding", "text", "found"),
    [
        ("gbk", "温度ok", " 温度ok"),
        ("utf-8", "温度ok", " 温 度 ok"),
        ("utf-8", "é😀", " é 😀  "),
        ("utf-16-le", "h温.", " h 温. "),
        ("utf-16", "h温", " ..h 温"),  # a byte-order mark
        ("iso2022_jp", "漢a", " ...漢...a"),  # escape sequences
        ("hz", "温a", " ..温..a"),
        ("utf-7", "温度a", " 温度    a"),  # only as much as is written together
        ("utf-8-sig", "温", " ...温 "),
        ("big5hkscs", "Ê̄x", " Ê.x"),  # two characters in two bytes
        ("latin-1", "é\xa0\x85", " é.."),
        ("utf-8", "e\u0301\u202e\u200b\x1b[m", " e.........[m"),
        ("utf-8", "a b . ", " a b . "),
    ],
)
def test_what_an_encoding_looks_like(encoding: str, text: str, found: str) -> None:
    assert texts(encoding, text.encode(encoding)) == [found]


def test_utf_16_without_a_mark_is_taken_for_little_endian() -> None:
    assert texts("utf-16", "h温i".encode("utf-16-le")) == [" h 温i "]
    assert texts("utf-16", b"h", b"\0)", b"ni\0") == [" .", " h.", "温i "]


def test_a_character_that_ends_in_the_next_line_is_shown_where_it_begins() -> None:
    assert texts("gbk", b"x" + "温".encode("gbk") * 8) == [f" x{'温' * 8}", "  "]
    assert texts("utf-8", b"x" * 14 + "温度".encode()) == [f" {'x' * 14}温", "  度 "]


def test_a_character_that_the_network_has_cut_is_shown_where_it_goes_on() -> None:
    assert texts("utf-8", b"x\xe6", b"\xb8\xa9y") == [" x.", " 温y"]
    assert texts("utf-8", b"x\xc3", b"\xa9y") == [" x.", " éy"]
    assert texts("utf-8", b"\xf0", b"\x9f\x98", b"\x80y") == [" .", " ..", "😀y"]
    assert texts("utf-8", b"x\xe6\xb8", b"y") == [" x..", " y"]


def test_one_that_has_only_one_byte_there_begins_in_the_space_before() -> None:
    first, second = "温".encode("gbk")[:1], "温".encode("gbk")[1:]
    assert texts("gbk", b"x" + first, second + b"y") == [" x.", "温y"]


def test_what_a_datagram_begins_is_not_finished_by_the_next() -> None:
    column = TextColumn(TextEncoding("gbk", "utf-8"))
    column.dump(b"<", 0, "温".encode("gbk")[:1])
    column.reset()
    assert "温".encode() not in column.dump(b"<", 1, "温".encode("gbk")[1:])


def test_what_the_output_cannot_show_is_dots() -> None:
    assert texts("utf-8", "é温😀a".encode(), output="gbk") == [" é 温 ....a"]
    assert texts("utf-8", "é温a".encode(), output="ascii") == [" .....a"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "shift_jis", "latin-1"])
def test_ascii_alone_is_plain(encoding: str) -> None:
    column = TextColumn(TextEncoding(encoding, "utf-8"))
    assert column.plain(bytes(range(128)))
    assert not column.plain(b"a\x80")
    column.dump(b"<", 0, "あ".encode("gbk" if encoding == "gbk" else "shift_jis")[:1])
    assert column.plain(b"a") == (encoding in ("latin-1", "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-7", "hz", "iso2022_jp", "cp037"])
def test_ascii_in_an_encoding_where_it_is_something_else_is_not(encoding: str) -> None:
    assert not TextColumn(TextEncoding(encoding, "utf-8")).plain(b"a")


def test_a_run_that_does_not_end_is_not_kept() -> None:
    column = TextColumn(TextEncoding("utf-7", "utf-8"))
    column.dump(b"<", 0, b"+" + b"A" * 1000)
    assert len(column._held) < dump_text.MAX_HELD_BYTES


def test_of_all_characters_some_are_kept() -> None:
    encoding = TextEncoding("utf-8", "utf-8")
    column = TextColumn(encoding)
    everything = "".join(map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x20000)]))
    column.dump(b"<", 0, everything.encode())
    assert len(encoding.cells) <= dump_text.MAX_CELLS


def test_one_error_handler_marks_what_cannot_be_decoded_and_nothing_else() -> None:
    assert b"a\xff\xfe".decode("utf-8", "sockkit.dump") == "a\udcff\udcff"
    with pytest.raises(UnicodeEncodeError):
        codecs.encode("é", "ascii", "sockkit.dump")


def test_noise_takes_every_encoding_a_bounded_time() -> None:
    """It is the suite's limit that would be passed: an encoding with a square in it takes hours."""
    noise = random.Random(1).randbytes(8192)
    for encoding in [*ALPHABETS, *STATEFUL, *MORE]:
        for data in (noise, b"\x1b" * 8192, b"+" * 8192, b"~{" * 4096, b"\xf0" * 8192):
            TextColumn(TextEncoding(encoding, "utf-8")).dump(b"<", 0, data)
