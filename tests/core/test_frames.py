from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sockkit.core import frames
from sockkit.core.frame_spec import parse_frame
from sockkit.core.frames import MAX_FRAME_BYTES, MAX_PIECE_BYTES, PIECE_SECONDS, Counted, Frame
from tests.support import splits


def framed(spec: str, *pieces: bytes) -> list[Frame]:
    """All frames of a direction that arrives in these pieces, at one time."""
    framer = parse_frame(spec).framer()
    return [*(frame for piece in pieces for frame in framer.feed(piece)), *framer.flush()]


STRAY, CUT = "stray", "cut"


@pytest.mark.parametrize(
    ("spec", "data", "expected"),
    [
        ("line", b"a\r\n\nb", [(b"a\r\n", ""), (b"\n", ""), (b"b", "")]),
        ("nul", b"a\0\0b", [(b"a\0", ""), (b"\0", ""), (b"b", CUT)]),
        ("fixed:3", b"abcdefgh", [(b"abc", ""), (b"def", ""), (b"gh", CUT)]),
        ("delim:0d0a", b"a\rb\r\n\r\r\n\r", [(b"a\rb\r\n", ""), (b"\r\r\n", ""), (b"\r", CUT)]),
        ("delim:6161", b"aaa", [(b"aa", ""), (b"a", CUT)]),
        ("delim:616162", b"aaab.", [(b"aaab", ""), (b".", CUT)]),
        # The length counts what follows it.
        ("len:1", b"\2ab\0\1c\3de", [(b"\2ab", ""), (b"\0", ""), (b"\1c", ""), (b"\3de", CUT)]),
        ("len:2be", b"\0\3abc\1", [(b"\0\3abc", ""), (b"\1", CUT)]),
        ("len:2le", b"\3\0abc", [(b"\3\0abc", "")]),
        ("len:3be", b"\0\0\1a", [(b"\0\0\1a", "")]),
        ("len:8le", b"\1" + bytes(7) + b"a", [(b"\1" + bytes(7) + b"a", "")]),
        # +N bytes follow beside, as a checksum does.
        ("len:1+2", b"\1aCS\0CS", [(b"\1aCS", ""), (b"\0CS", "")]),
        # A length that counts itself, too.
        ("len:2be-2", b"\0\4ab\0\2\0\3c", [(b"\0\4ab", ""), (b"\0\2", ""), (b"\0\3c", "")]),
        # Modbus TCP: two numbers, the length of what follows, unit and request.
        (
            "len@4:2be",
            b"\0\1\0\0\0\3\1\3x\0\2\0\0\0\1y",
            [(b"\0\1\0\0\0\3\1\3x", ""), (b"\0\2\0\0\0\1y", "")],
        ),
        # Without a marker nothing says where the next frame begins.
        ("len:2be-2", b"\0\4ab\0\1\0\4cd", [(b"\0\4ab", ""), (b"\0\1\0\4cd", STRAY)]),
        (
            "start:aa55,len@2:1be+1",
            b"zz\xaa\x55\2abCx\xaa\xaa\x55\0C\xaa",
            [
                (b"zz", STRAY),
                (b"\xaa\x55\2abC", ""),
                (b"x\xaa", STRAY),
                (b"\xaa\x55\0C", ""),
                (b"\xaa", CUT),
            ],
        ),
        # A length that cannot be: the search goes on behind the marker's first byte.
        (
            "start:7e,len:1-2",
            b"\x7e\x01\x7e\x03a\x7e\x01\x7e\x02",
            [(b"\x7e\x01", STRAY), (b"\x7e\x03a", ""), (b"\x7e\x01", STRAY), (b"\x7e\x02", "")],
        ),
        # A wrong length swallows what follows; the next marker after that begins a frame.
        (
            "start:aa,len:1",
            b"\xaa\4ab\xaa\1cd\xaa\1e",
            [(b"\xaa\4ab\xaa\1", ""), (b"cd", STRAY), (b"\xaa\1e", "")],
        ),
        ("gap:20ms", b"ab", [(b"ab", "")]),
    ],
)
def test_frames_in_every_split(spec: str, data: bytes, expected: list[tuple[bytes, str]]) -> None:
    for pieces in splits(data):
        assert framed(spec, *pieces) == expected


def test_a_frame_comes_out_with_its_last_byte() -> None:
    framer = parse_frame("len:2be").framer()
    assert framer.feed(b"\0\2a") == []
    assert (framer.held, framer.pending(), framer.pending(2)) == (3, b"\0\2a", b"a")
    assert framer.feed(b"b\0") == [Frame(b"\0\2ab")]
    assert framer.feed(b"\0") == [Frame(b"\0\0")]
    assert (framer.held, framer.due, framer.flush()) == (0, None, [])


# Bounds.


@pytest.mark.parametrize(
    ("spec", "end", "last"),
    [("line", b"\n", "overlong"), ("nul", b"\0", CUT), ("delim:0d0a0d0a", b"\r\n\r\n", CUT)],
)
def test_what_has_no_delimiter_comes_in_pieces(spec: str, end: bytes, last: str) -> None:
    most, framer = MAX_FRAME_BYTES, parse_frame(spec).framer()
    data = b"x" * (most - len(end))
    assert framer.feed(data + end) == [Frame(data + end)]
    data = b"x" * (2 * most + 5)
    came = framer.feed(data)
    assert came == [Frame(b"x" * most, "overlong")] * 2
    assert framer.held == 5
    assert framer.feed(end + b"y") == [Frame(b"xxxxx" + end, "overlong")]
    assert framer.feed(b"z" + end) == [Frame(b"yz" + end)]
    framer.feed(data)
    assert framer.flush() == [Frame(b"xxxxx", last)]  # type: ignore[arg-type]


def test_a_direction_that_ends_within_a_delimiter_has_no_frame_over_the_bound() -> None:
    data = b"x" * (MAX_FRAME_BYTES - 1)
    assert framed("delim:0d0a0d0a", data + b"\r\n\r") == [
        Frame(data + b"\r", "overlong"),
        Frame(b"\n\r", "cut"),
    ]


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES - 1, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1])
@pytest.mark.parametrize("end", [b"", b"\r\n\r", b"\r\n\r\n"])
def test_near_the_bound_the_cuts_do_not_matter_either(size: int, end: bytes) -> None:
    data = b"x" * size + end
    for spec in ("line", "delim:0d0a0d0a", "delim:0d0a"):
        whole = framed(spec, data, b"more")
        assert framed(spec, data[:-3], data[-3:-2], data[-2:-1], data[-1:], b"more") == whole
        assert b"".join(frame.data for frame in whole) == data + b"more"
        assert max(len(frame.data) for frame in whole) <= MAX_FRAME_BYTES


def test_a_length_over_the_bound_is_counted_off() -> None:
    framer = parse_frame("len:4be").framer()
    head = MAX_FRAME_BYTES.to_bytes(4, "big")
    pieces = framer.feed(head + b"x" * MAX_FRAME_BYTES + b"\0\0\0\1a\0")
    *overlong, ordinary = pieces
    assert {frame.mark for frame in overlong} == {"overlong"}
    assert max(len(frame.data) for frame in overlong) == MAX_PIECE_BYTES
    assert sum(len(frame.data) for frame in overlong) == 4 + MAX_FRAME_BYTES
    assert ordinary == Frame(b"\0\0\0\1a")
    assert framer.feed(b"\0\0\0" + head + b"xx") == [Frame(b"\0\0\0\0")]
    assert framer.flush() == [Frame(head + b"xx", "cut")]


def test_the_longest_frame_is_whole() -> None:
    framer, size = parse_frame("len:4be").framer(), MAX_FRAME_BYTES - 4
    data = size.to_bytes(4, "big") + b"x" * size
    assert framer.feed(data[:-1]) == []
    assert framer.feed(data[-1:]) == [Frame(data)]
    longer = (size + 1).to_bytes(4, "big") + b"x" * (size + 1)
    assert {frame.mark for frame in framed("len:4be", longer)} == {"overlong"}


def test_after_a_marker_a_length_over_the_bound_is_a_false_one() -> None:
    framer = parse_frame("start:aa,len:4be").framer()
    wrong, right = b"\xaa" + MAX_FRAME_BYTES.to_bytes(4, "big"), b"\xaa\0\0\0\1x"
    assert framer.feed(wrong + right) == [Frame(wrong, "stray"), Frame(right)]


def test_stray_bytes_come_in_pieces_or_when_it_is_silent() -> None:
    framer = parse_frame("start:aa55,len:1").framer()
    assert framer.feed(b"x" * (MAX_PIECE_BYTES + 3), 5.0) == [
        Frame(b"x" * MAX_PIECE_BYTES, "stray")
    ]
    assert framer.due == 5.0 + PIECE_SECONDS
    assert framer.expire(5.0) == []
    assert framer.feed(b"y\xaa", 7.0) == []
    assert framer.due == 7.0 + PIECE_SECONDS
    assert framer.expire(7.0 + PIECE_SECONDS) == [Frame(b"xxxy", "stray")]
    assert framer.due is None
    assert framer.pending() == b"\xaa"  # which may begin a marker
    assert framer.feed(b"\x55\1", 8.0) == []
    assert framer.due is None  # a frame is waited for
    assert framer.feed(b"a", 9.0) == [Frame(b"\xaa\x55\1a")]


def test_a_silence_ends_a_frame() -> None:
    framer = parse_frame("gap:20ms").framer()
    assert framer.due is None
    assert framer.feed(b"ab", 1.0) == []
    assert framer.feed(b"cd", 1.015) == []
    assert framer.due == 1.015 + 0.02
    assert framer.expire(1.02) == []
    assert framer.expire(1.04) == [Frame(b"abcd")]
    assert (framer.due, framer.expire(2.0)) == (None, [])
    assert framer.feed(b"e", 3.0) == []
    assert framer.feed(b"f", 3.02) == [Frame(b"e")]  # although nobody called expire
    assert framer.flush() == [Frame(b"f")]


def test_what_never_pauses_comes_in_pieces() -> None:
    framer = parse_frame("gap:20ms").framer()
    assert framer.feed(b"x" * MAX_FRAME_BYTES, 1.0) == []
    assert framer.feed(b"y", 1.0) == [Frame(b"x" * MAX_FRAME_BYTES, "overlong")]
    assert framer.expire(2.0) == [Frame(b"y", "overlong")]
    framer.feed(b"z", 3.0)
    assert framer.flush() == [Frame(b"z")]


# Any bytes.

SPECS = [
    *("line", "nul", "fixed:1", "fixed:3", "fixed:20", "delim:6162", "delim:61616162"),
    *("len:1", "len:1-1", "len:1-3", "len:1+2", "len:2be", "len:2le-2", "len@2:1", "len:3le"),
    *("start:61,len:1", "start:6161,len:1-2", "start:616161,len@4:2be+1", "start:6162,len:1+2"),
]
BYTES = st.one_of(
    st.binary(max_size=90),
    st.lists(st.sampled_from(b"aaab\n\0\1\2\3\5\x11\x30"), max_size=120).map(bytes),
)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a few bytes exceed."""
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 20)
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 6)


def joined(came: list[Frame]) -> bytes:
    return b"".join(frame.data for frame in came)


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[i:j] for i, j in zip([0, *ends], ends, strict=False)]


@pytest.mark.usefixtures("_small")
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*SPECS, "gap:1"]), BYTES, st.lists(st.integers(0, 120)))
def test_any_bytes_however_they_come(spec: str, data: bytes, places: list[int]) -> None:
    """The frames joined are the bytes, the cuts do not matter, and what is held is bounded."""
    framer, came, fed = parse_frame(spec).framer(), list[Frame](), b""
    for piece in cuts(data, places):
        came += framer.feed(piece)
        fed += piece
        assert framer.held <= 20 + 6
        assert joined(came) + framer.pending() == fed
    came += framer.flush()
    assert joined(came) == data
    assert all(0 < len(frame.data) <= 20 for frame in came)
    assert came == framed(spec, data)
    assert framer.held == 0


PAUSES = st.sampled_from([0, 0.05, 0.2, 1, 2])


@pytest.mark.usefixtures("_small")
@settings(max_examples=500)
@given(st.sampled_from([*SPECS, "gap:1"]), st.lists(st.tuples(st.binary(max_size=9), PAUSES)))
def test_any_silences_lose_nothing(spec: str, steps: list[tuple[bytes, float]]) -> None:
    framer, now, came = parse_frame(spec).framer(), 0.0, list[Frame]()
    for data, pause in steps:
        came += framer.feed(data, now)
        now += pause
        came += framer.expire(now)
        assert framer.due is None or framer.due > now
    assert joined(came + framer.flush()) == b"".join(data for data, _ in steps)


def _size(spec: str, data: bytes) -> int | None:
    """The size of the frame that begins `data`, as a reader with all the bytes would say."""
    rule = parse_frame(spec)
    assert isinstance(rule, Counted)
    header = rule.offset + rule.size
    if not data.startswith(rule.marker) or len(data) < header:
        return None
    size = header + rule.more + int.from_bytes(data[rule.offset : header], rule.order)
    return size if header <= size <= 20 else None


@pytest.mark.usefixtures("_small")
@settings(max_examples=300)
@given(st.sampled_from([spec for spec in SPECS if spec.startswith("start")]), BYTES)
def test_any_frame_after_a_marker_is_found(spec: str, data: bytes) -> None:
    """Stray bytes hide no frame, and a frame is what its length says."""
    at = 0
    for frame, mark in framed(spec, data):
        if mark == STRAY:
            assert not any(_size(spec, data[place:]) for place in range(at, at + len(frame)))
        elif mark != CUT:
            assert _size(spec, data[at:]) == len(frame)
        at += len(frame)


# Time.

HOSTILE = [
    ("fixed:1000000", b"x"),
    ("line", b"x"),
    ("delim:61616161616161616161616161616162", b"a"),
    ("delim:62616161616161616161616161616161", b"a"),
    ("start:aa55aa,len@4:4be", b"\xaa\x55"),
    ("start:aa55,len:4be", b"\xaa\x55\xff\xff\xff\xff"),
    ("start:aaaaaaaaaaaaaaaa,len:4be", b"\xaa"),
    ("len:4be", b"\x00\x0f\x00\x00" + b"x" * 100),
    ("len:1-5", b"\0"),
    ("gap:20ms", b"x"),
]


@pytest.mark.parametrize(("spec", "unit"), HOSTILE)
@pytest.mark.parametrize("size", [1, 4096])
def test_whatever_is_sent_is_held_or_comes_out(spec: str, unit: bytes, size: int) -> None:
    feed_all(spec, unit * (16 * 1024 // len(unit)), size)


@pytest.mark.torture
@pytest.mark.parametrize(("spec", "unit"), HOSTILE)
@pytest.mark.parametrize("size", [1, 4096])
def test_time_is_in_proportion_whatever_is_sent(spec: str, unit: bytes, size: int) -> None:
    began = time.process_time()
    feed_all(spec, unit * (MAX_FRAME_BYTES // 4 // len(unit)), size)
    assert time.process_time() - began < 20  # 3 s at most; in the square it would take hours


def feed_all(spec: str, data: bytes, size: int) -> None:
    """Feed `data` in pieces of `size` bytes: none is lost, and few are held."""
    framer, came = parse_frame(spec).framer(), 0
    for at in range(0, len(data), size):
        came += sum(len(frame.data) for frame in framer.feed(data[at : at + size]))
        assert framer.held <= MAX_FRAME_BYTES + MAX_PIECE_BYTES
    assert came + framer.held == len(data)


def test_a_delimiter_is_not_searched_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are held were looked at, but for as many as a delimiter may be cut after."""
    looked: list[int] = []

    class Watched(bytearray):
        def find(self, part: Any, start: Any = 0, *more: Any) -> int:
            looked.append(len(self) - start)
            return super().find(part, start, *more)

    monkeypatch.setattr("sockkit.core.frames.bytearray", Watched, raising=False)
    feed_all("delim:61616161616161616161616161616162", b"a" * 1000, 1)
    assert looked
    assert max(looked) <= 16
