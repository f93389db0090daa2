"""A recording that comes in pieces: every cut of it, damage, and files that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.json_lines import HEAD, MAX_LINE_BYTES, JsonLines, decode
from sockkit.core.recording import CUT, EMPTY, NO_END, Line, Reader
from sockkit.core.records import Begun, Exit, Message, Record, Stream
from sockkit.errors import SockkitError
from tests.core.test_json_lines import records
from tests.support import fewer

STREAM = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)
WHOLE: list[Record] = [
    Begun(5, "tcp-client"),
    Message(6, STREAM, "sent", b"hi\n"),
    Message(7, STREAM, "received", "你".encode()),
    Exit(8, 0),
]
LINES = list(map(JsonLines().show, WHOLE))
DATA = b"".join(LINES)


def read(*pieces: bytes) -> tuple[list[Record], str]:
    reader = Reader("it.rec")
    found: list[Line] = []
    for piece in pieces:
        found += reader.feed(piece)
    found += reader.flush()
    assert all(decode(line.line) == line.record for line in found)
    return [line.record for line in found], reader.missing


def test_however_it_is_split() -> None:
    for place in range(len(DATA)):
        assert read(DATA[:place], DATA[place:]) == (WHOLE, "")
    assert read(*(DATA[place : place + 1] for place in range(len(DATA)))) == (WHOLE, "")


def test_every_cut_shows_what_comes_before() -> None:
    ends = [len(b"".join(LINES[:count])) for count in range(len(LINES) + 1)]
    for size in range(len(DATA) + 1):
        # A line that has lost only its line end is complete.
        complete = sum(size >= end - 1 for end in ends[1:])
        found, missing = read(DATA[:size])
        assert found == WHOLE[:complete]
        if complete == len(LINES):
            assert missing == ""
        elif size in ends or size + 1 in ends:
            assert missing == (NO_END if size else EMPTY)
        else:
            assert missing == CUT


@fewer(40)
@given(st.lists(records), st.data())
def test_a_cut_of_any_recording(middle: list[Record], data: st.DataObject) -> None:
    lines = [JsonLines().show(record) for record in (WHOLE[0], *middle, WHOLE[3])]
    whole = b"".join(lines)
    size = data.draw(st.integers(0, len(whole)))
    found, _ = read(whole[:size])
    complete = whole[: size + 1].count(b"\n")
    assert found == [WHOLE[0], *middle, WHOLE[3]][:complete]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (b"what?\n", "it.rec is damaged: line 3: it is not JSON"),
        (b"\n", "it.rec is damaged: line 3: it is not JSON"),
        (LINES[1][:50] + LINES[2], "it.rec is damaged: line 3: it is not JSON"),
        (LINES[1].replace(b'"size":3', b'"size":4'), "line 3: its size is 4, but it has 3 bytes"),
        (b'{"sockkit":2}\n', "line 3: it has version 2 of the format"),
    ],
)
def test_damage(damage: bytes, why: str) -> None:
    lines = Reader("it.rec").feed(b"".join((*LINES[:2], damage, LINES[3])))
    found = [next(lines).record, next(lines).record]
    with pytest.raises(SockkitError, match=why):
        next(lines)
    assert found == WHOLE[:2]


@pytest.mark.parametrize(
    ("foreign", "why"),
    [
        (b"GET / HTTP/1.0\r\n", "line 1: it is not JSON"),
        (b"GET", "line 1: it is not JSON"),
        (b"{}\n", "line 1: it is not a sockkit record"),
        (b'{"sockkit":2,"x', "line 1: it is not JSON"),
        (LINES[1], "line 1: it is not the beginning of a run"),
        (LINES[1][:-1], "line 1: it is not the beginning of a run"),
        (bytes(MAX_LINE_BYTES + 1), "line 1: it is too long"),
    ],
)
def test_what_is_no_recording(foreign: bytes, why: str) -> None:
    with pytest.raises(SockkitError, match=f"^it.rec is not a sockkit recording: {why}"):
        read(foreign)


def test_a_line_that_never_ends() -> None:
    reader = Reader("it.rec")
    assert [line.record for line in reader.feed(LINES[0])] == WHOLE[:1]
    pieces = [b"." * 100_000] * (MAX_LINE_BYTES // 100_000)
    assert not [line for piece in pieces for line in reader.feed(piece)]
    with pytest.raises(SockkitError, match="line 2: it is too long"):
        list(reader.feed(pieces[0]))


def test_runs_one_after_another() -> None:
    assert read(DATA + DATA) == (WHOLE + WHOLE, "")
    assert read(DATA + LINES[0] + LINES[1]) == (WHOLE + WHOLE[:2], NO_END)


def test_another_recording_in_place_of_one() -> None:
    reader = Reader("it.rec")
    assert len(list(reader.feed(DATA + LINES[0][:30]))) == len(WHOLE)
    assert bytes(reader.held) == LINES[0][:30]
    reader.begin_again()
    assert [line.record for line in reader.feed(DATA)] == WHOLE
    reader.begin_again()
    with pytest.raises(SockkitError, match="is not a sockkit recording: line 1: it is not JSON"):
        list(reader.feed(b"what?\n"))


def test_a_cut_line_that_comes_again() -> None:
    reader = Reader("it.rec")
    assert len(list(reader.feed(LINES[0] + LINES[1][:30]))) == 1
    assert reader.forget_cut() == 30
    assert reader.forget_cut() == 0
    assert [line.record for line in reader.feed(LINES[3])] == [WHOLE[3]]


def test_a_mark_of_windows_is_named() -> None:
    with pytest.raises(SockkitError, match="a byte-order mark before it, save it without one"):
        list(Reader("x").feed(b"\xef\xbb\xbf" + HEAD + b"\n"))
