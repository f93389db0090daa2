from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.lines import MAX_HELD_LINE_BYTES, LineLabeller, LineMerger, LineSplitter
from tests.support import splits

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
        labelled, merger = LineLabeller(A), LineMerger()
        assert b"".join(map(labelled.feed, pieces)) + labelled.flush() == expected
        merged = b"".join(merger.feed(1, A, piece) for piece in pieces) + merger.end(1, A)
        assert merged == expected


def test_labelled_holds_nothing_back() -> None:
    labelled = LineLabeller(A)
    assert [labelled.feed(piece) for piece in (b"a", b"b\nc", b"\n")] == [
        b"[1] a",
        b"b\n[1] c",
        b"\n",
    ]
    assert labelled.flush() == b""


def test_a_line_waits_for_its_end() -> None:
    merger = LineMerger()
    assert merger.feed(1, A, b"hel") == b""
    assert merger.holds(1)
    assert not merger.holds(2)
    assert merger.feed(2, B, b"hi\n") == b"[2] hi\n"
    assert merger.feed(1, A, b"lo\nx") == b"[1] hello\n"
    assert merger.feed(1, A, b"\n") == b"[1] x\n"
    assert not merger.holds(1)


def test_a_released_line_is_ended_when_somebody_else_speaks() -> None:
    merger = LineMerger()
    merger.feed(1, A, b"he")
    assert merger.release(1, A) == b"[1] he"
    assert merger.release(1, A) == b""
    assert merger.feed(2, B, b"hi\n") == b"\n[2] hi\n"
    assert merger.feed(1, A, b"llo\n") == b"[1] llo\n"


def test_a_released_line_goes_on_when_nobody_spoke() -> None:
    merger = LineMerger()
    merger.feed(1, A, b"he")
    merger.release(1, A)
    assert merger.feed(1, A, b"llo\nbye\n") == b"llo\n[1] bye\n"


def test_a_peer_that_leaves_ends_its_line_once() -> None:
    merger = LineMerger()
    merger.feed(1, A, b"bye")
    assert merger.end(1, A) == b"[1] bye\n"
    assert merger.end(1, A) == b""
    assert merger.feed(2, B, b"hi\n") == b"[2] hi\n"


@pytest.mark.parametrize("label", [b"", A])
def test_no_more_than_a_longest_line_is_held(label: bytes) -> None:
    merger = LineMerger()
    line = b"x" * MAX_HELD_LINE_BYTES
    assert merger.feed(1, label, line) == b""
    assert merger.feed(1, label, b"y") == label + line + b"y"
    assert not merger.holds(1)


@given(CHUNKS, st.booleans())
def test_without_labels_each_peer_comes_out_as_it_was(
    chunks: list[tuple[int, str]], release: bool
) -> None:
    merger = LineMerger()
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
    merger, out = LineMerger(), b""
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
    merger = LineMerger()
    merger.feed(1, b"", b"whole\nhalf")
    merger.feed(2, b"", b"some")
    assert (merger.holds(1), merger.holds(2)) == (4, 4)
    merger.feed(1, b"", b" and\n")
    merger.release(2, b"")
    assert (merger.holds(1), merger.holds(2)) == (0, 0)


@pytest.mark.parametrize("size", range(1, 30))
def test_of_a_line_too_long_a_beginning_comes_once(size: int) -> None:
    lines, data = LineSplitter(5), b"ab\n" + b"x" * 20 + b"\n\nnext\n" + b"y" * 6 + b"\nlast"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    first, long, *rest = [line for piece in pieces for line in lines.feed(piece)]
    assert (first, rest[:2]) == (b"ab", [b"", b"next"])
    assert long == b"x" * max(len(long), 6)
    assert len(long) < 6 + size
    assert [len(line) for line in rest[2:]] == [6]
    assert lines.flush() == [b"last"]
    assert lines.flush() == []


def test_a_line_too_long_in_pieces_has_one_label() -> None:
    merger, piece = LineMerger(), b"x" * (MAX_HELD_LINE_BYTES // 2 + 1)
    out = b"".join(merger.feed(1, A, piece) for _ in range(5)) + merger.feed(1, A, b"\nnext\n")
    assert out == A + piece * 5 + b"\n" + A + b"next\n"
