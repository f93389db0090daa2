from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.frame_spec import parse_frame
from sockkit.core.frames import MAX_FRAME_BYTES
from sockkit.core.merging import (
    MAX_HELD_LINE_BYTES,
    Frames,
    Labeller,
    Lines,
    Merger,
    Part,
    Splitter,
    splitter,
)
from sockkit.core.text import Errors, TextOptions
from sockkit.errors import TextError
from tests.support import fewer, splits


class Peers:
    """A merger, and a splitter for each peer."""

    def __init__(self, spec: str = "") -> None:
        self._rule = parse_frame(spec) if spec else None
        self._merger = Merger(framed=bool(spec))
        self._splitters: dict[int, Splitter] = {}

    def of(self, key: int) -> Splitter:
        return self._splitters.setdefault(key, splitter(self._rule, None))

    def feed(self, key: int, label: bytes, data: bytes, now: float = 0.0) -> bytes:
        return self._merger.write(key, label, self.of(key).feed(data, now))

    def holds(self, key: int) -> int:
        return self.of(key).held

    def release(self, key: int, label: bytes, now: float = 0.0) -> bytes:
        return self._merger.write(key, label, self.of(key).release(now))

    def end(self, key: int, label: bytes) -> bytes:
        parts = self.of(key).flush() + self.of(key).release()
        return self._merger.write(key, label, parts) + self._merger.finish(key)


A, B = b"[1] ", b"[2] "
CHUNKS = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.text("ab\n", max_size=5)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"a\n", b"[1] a\n"),
        (b"a\nb", b"[1] a\n[1] b\n"),
        (b"\n\na\n", b"[1] \n[1] \n[1] a\n"),
        (b"a\r\nb\r\n", b"[1] a\r\n[1] b\r\n"),
    ],
)
def test_each_line_of_a_peer_is_labelled_in_every_split(data: bytes, expected: bytes) -> None:
    for pieces in splits(data):
        labelled, merger = Labeller(lambda: A, None, None), Peers()
        assert b"".join(map(labelled.feed, pieces)) + labelled.flush() == expected
        merged = b"".join(merger.feed(1, A, piece) for piece in pieces) + merger.end(1, A)
        assert merged == expected


def test_labelled_holds_nothing_back() -> None:
    labelled = Labeller(lambda: A, None, None)
    assert [labelled.feed(piece) for piece in (b"a", b"b\nc", b"\n")] == [
        b"[1] a",
        b"b\n[1] c",
        b"\n",
    ]
    assert labelled.flush() == b""


def test_a_line_waits_for_its_end() -> None:
    merger = Peers()
    assert merger.feed(1, A, b"hel") == b""
    assert merger.holds(1)
    assert not merger.holds(2)
    assert merger.feed(2, B, b"hi\n") == b"[2] hi\n"
    assert merger.feed(1, A, b"lo\nx") == b"[1] hello\n"
    assert merger.feed(1, A, b"\n") == b"[1] x\n"
    assert not merger.holds(1)


def test_a_released_line_is_ended_when_somebody_else_speaks() -> None:
    merger = Peers()
    merger.feed(1, A, b"he")
    assert merger.release(1, A) == b"[1] he"
    assert merger.release(1, A) == b""
    assert merger.feed(2, B, b"hi\n") == b"\n[2] hi\n"
    assert merger.feed(1, A, b"llo\n") == b"[1] llo\n"


def test_a_released_line_goes_on_when_nobody_spoke() -> None:
    merger = Peers()
    merger.feed(1, A, b"he")
    merger.release(1, A)
    assert merger.feed(1, A, b"llo\nbye\n") == b"llo\n[1] bye\n"


def test_a_peer_that_leaves_ends_its_line_once() -> None:
    merger = Peers()
    merger.feed(1, A, b"bye")
    assert merger.end(1, A) == b"[1] bye\n"
    assert merger.end(1, A) == b""
    assert merger.feed(2, B, b"hi\n") == b"[2] hi\n"


@pytest.mark.parametrize("label", [b"", A])
def test_no_more_than_a_longest_line_is_held(label: bytes) -> None:
    merger = Peers()
    line = b"x" * MAX_HELD_LINE_BYTES
    assert merger.feed(1, label, line) == b""
    assert merger.feed(1, label, b"y") == label + line + b"y"
    assert not merger.holds(1)


@given(CHUNKS, st.booleans())
def test_without_labels_each_peer_comes_out_as_it_was(
    chunks: list[tuple[int, str]], release: bool
) -> None:
    merger = Peers()
    sent, came = dict.fromkeys([1, 2, 3], b""), dict.fromkeys([1, 2, 3], b"")
    for key, text in chunks:
        sent[key] += text.encode()
        came[key] += merger.feed(key, b"", text.encode())
        if release:
            came[key] += merger.release(key, b"")
            assert came[key] == sent[key]
        else:
            assert came[key] == sent[key][: sent[key].rfind(b"\n") + 1]
    for key in sent:
        came[key] += merger.end(key, b"")
    assert came == sent


@given(CHUNKS, st.lists(st.integers(1, 3)))
def test_with_labels_no_line_has_two_peers(
    chunks: list[tuple[int, str]], releases: list[int]
) -> None:
    """Peer n sends only the digit n and line ends, so that a mixed line shows."""
    merger, out = Peers(), b""
    sent = dict.fromkeys([1, 2, 3], b"")
    for key, text in chunks:
        data = re.sub("[ab]", str(key), text).encode()
        sent[key] += data
        out += merger.feed(key, b"[%d] " % key, data)
        if releases:
            paused = releases.pop()
            out += merger.release(paused, b"[%d] " % paused)
    for key in sent:
        out += merger.end(key, b"[%d] " % key)
    assert re.fullmatch(rb"(\[1\] 1*\n|\[2\] 2*\n|\[3\] 3*\n)*", out)
    for key, data in sent.items():
        digit = b"%d" % key
        lines = re.findall(rb"\[%d\] (.*)\n" % key, out)
        assert b"".join(lines) == digit * data.count(digit)
        assert len(lines) >= data.count(b"\n")


def test_what_is_held_is_known() -> None:
    merger = Peers()
    merger.feed(1, b"", b"whole\nhalf")
    merger.feed(2, b"", b"some")
    assert (merger.holds(1), merger.holds(2)) == (4, 4)
    merger.feed(1, b"", b" and\n")
    merger.release(2, b"")
    assert (merger.holds(1), merger.holds(2)) == (0, 0)


def test_a_line_too_long_in_pieces_has_one_label() -> None:
    merger, piece = Peers(), b"x" * (MAX_HELD_LINE_BYTES // 2 + 1)
    out = b"".join(merger.feed(1, A, piece) for _ in range(5)) + merger.feed(1, A, b"\nnext\n")
    assert out == A + piece * 5 + b"\n" + A + b"next\n"


# Frames.


def test_frames_have_labels_and_lines_of_their_own() -> None:
    peers = Peers("len:1")
    assert peers.feed(1, A, b"\2ab\1") == A + b"\2ab\n"
    assert peers.feed(2, B, b"\3x\ny\2c\n\1\n") == (
        B + b"\3x\n    y\n" + B + b"\2c\n" + B + b"\1\n"
    )
    assert peers.feed(1, A, b"c") == A + b"\1c\n"
    assert peers.feed(1, A, b"\5x") == b""
    assert peers.end(1, A) == A + b"(cut) \5x\n"


def test_nothing_in_a_frame_begins_a_line_as_a_label_does() -> None:
    out = Peers("nul").feed(1, A, b"hi\n[2] forged\n\n[2] again\0")
    assert [line[:4] for line in out.splitlines()] == [A, b"    ", b"    ", b"    "]


def test_frames_without_labels_are_the_bytes() -> None:
    peers = Peers("fixed:2")
    assert peers.feed(1, b"", b"abc") == b"ab"
    assert peers.feed(2, b"", b"xyz") == b"xy"
    assert peers.feed(1, b"", b"d") == b"cd"
    assert peers.end(2, b"") == b"z"


def test_a_frame_that_pauses_is_released_and_goes_on() -> None:
    peers = Peers("fixed:6")
    assert peers.feed(1, A, b"abc") == b""
    assert peers.release(1, A) == A + b"abc"
    assert (peers.holds(1), peers.release(1, A)) == (0, b"")
    assert peers.feed(1, A, b"d") == b""
    assert peers.holds(1) == 1
    assert peers.feed(1, A, b"efghijkl") == b"def\n" + A + b"ghijkl\n"
    peers.feed(1, A, b"a")
    peers.release(1, A)
    assert peers.feed(2, B, b"123456") == b"\n" + B + b"123456\n"
    assert peers.feed(1, A, b"bcdef") == A + b"bcdef\n"


def test_a_frame_that_was_all_released_only_ends_its_line() -> None:
    peers = Peers("gap:20ms")
    peers.feed(1, A, b"ab", 1.0)
    assert peers.release(1, A, 1.01) == A + b"ab"
    assert peers.release(1, A, 1.03) == b"\n"
    assert peers.feed(1, A, b"c", 1.04) == b""
    assert peers.release(1, A, 1.07) == A + b"c\n"


def test_stray_bytes_are_labelled_as_such() -> None:
    peers = Peers("start:aa,len:1")
    assert peers.feed(1, A, b"xyz\xaa\1a") == A + b"(stray) xyz\n" + A + b"\xaa\1a\n"


def test_frames_are_split_before_they_are_converted() -> None:
    """And a character that a frame cuts in two comes with the next."""
    frames = Frames(parse_frame("fixed:3").framer(), TextOptions(encoding="gbk").inbound("utf-8"))
    text = "a你好\n".encode("gbk")
    assert frames.feed(text[:4]) == [Part("a你".encode(), whole=True)]
    assert frames.feed(text[4:] + b"\xc4") == [Part("好\n".encode(), whole=True)]
    assert frames.flush() == [Part(b"", True, "cut"), Part(b"\\xc4", whole=True)]


@pytest.mark.parametrize("spec", ["line", "nul", "fixed:3", "start:61,len:1", "len:1", "gap:1"])
@fewer(40)
@given(
    chunks=st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3]), st.binary(max_size=5), st.sampled_from([0.0, 0.5, 2.0])
        )
    ),
    releases=st.lists(st.integers(1, 3)),
)
def test_of_any_frames_no_byte_is_lost(
    spec: str, chunks: list[tuple[int, bytes, float]], releases: list[int]
) -> None:
    for label in (b"", b"[%d] "):
        peers, now = Peers(spec), 0.0
        sent, came = dict.fromkeys([1, 2, 3], b""), dict.fromkeys([1, 2, 3], b"")
        lines = b""
        for (key, data, pause), paused in zip(
            chunks, [*releases, *[1] * len(chunks)], strict=False
        ):
            name = label % key if label else b""
            sent[key] += data
            now += pause
            out = peers.feed(key, name, data, now)
            came[key] += out
            own = label % paused if label else b""
            more = peers.release(paused, own, now)
            came[paused] += more
            lines += out + more
        for key in sent:
            out = peers.end(key, label % key if label else b"")
            came[key] += out
            lines += out
        if not label:
            assert came == sent
        else:
            assert re.fullmatch(rb"((\[[123]\] |    )[^\n]*\n)*", lines)


def test_what_is_held_of_a_frame_is_bounded() -> None:
    frames = Frames(parse_frame("nul").framer())
    for _ in range(40):
        frames.feed(b"x" * (MAX_FRAME_BYTES // 16))
        assert frames.held <= MAX_FRAME_BYTES
    released = frames.held
    assert frames.release() == [Part(b"x" * released)]
    frames.feed(b"y")
    assert frames.release() == [Part(b"y")]  # and not what was released before


def test_what_cannot_be_text_is_told_after_what_could() -> None:
    text = TextOptions(encoding="ascii", errors=Errors.STRICT).inbound("utf-8")
    lines = Lines(text)
    assert lines.feed(b"ok\nbad \xff\nmore\n") == [Part(b"ok\n")]
    assert lines.problem
    assert lines.release() == [Part(b"bad ")]
    assert lines.feed(b"further\n") == []
    labeller = Labeller(
        lambda: A, None, TextOptions(encoding="ascii", errors=Errors.STRICT).inbound("utf-8")
    )
    with pytest.raises(TextError) as caught:
        labeller.feed(b"ok\nbad \xff\n")
    assert caught.value.before == A + b"ok\n" + A + b"bad "
