"""Tests in test_room.py show that lines handled together and one by one have the same effect."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.received import (
    LINE_COST_CHARACTERS,
    MAX_LINE_BYTES,
    MAX_TURN_CHARACTERS,
    MIN_MEMBER_CHARACTERS,
    ReceivedLines,
    TurnBudget,
    _printable,
    count_within,
    plain_texts,
    visible_text,
)
from sockkit.core.printable import escape


def taken(received: ReceivedLines) -> list[bytes | None]:
    """Its lines as they can be taken; None is one that is too long."""
    lines: list[bytes | None] = []
    while True:
        if received.drop_long():
            lines.append(None)
        elif not received.has_line():
            return lines
        else:
            lines.append(received.pop())


LINES = st.lists(
    st.binary(max_size=9).map(lambda data: data.replace(b"\n", b"."))
    | st.sampled_from([b"x" * MAX_LINE_BYTES, b"x" * (MAX_LINE_BYTES + 1), b"y" * 9999])
)


@given(LINES, st.lists(st.integers(0, 20_000)))
def test_lines_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    received, out = ReceivedLines(), []
    data, place = b"".join(line + b"\n" for line in lines), 0
    for cut in [*sorted(cuts), len(data)]:
        if piece := data[place:cut]:
            received.feed(piece)
        place = max(place, cut)
        out += taken(received)
        assert len(received) <= MAX_LINE_BYTES
    assert out == [line if len(line) <= MAX_LINE_BYTES else None for line in lines]


def test_the_end_of_the_input_ends_a_line() -> None:
    received = ReceivedLines()
    received.feed(b"last")
    received.feed(b"")
    assert taken(received) == [b"last"]
    received.feed(b"x" * (MAX_LINE_BYTES + 1))
    assert taken(received) == [None]
    received.feed(b"")
    assert taken(received) == []


def test_lines_are_looked_at_before_they_are_taken() -> None:
    received = ReceivedLines()
    received.feed(b"a\nb\nc\nd")
    assert received.peek(2) == [b"a", b"b"]
    assert received.peek(9) == [b"a", b"b", b"c"]
    received.drop([b"a", b"b"])
    assert received.peek(9) == [b"c"]
    received.clear()
    assert (len(received), received.peek(9)) == (0, [])


def test_nothing_is_seen_of_what_is_too_long() -> None:
    received = ReceivedLines()
    received.feed(b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n")
    assert received.peek(1) == [b"a"]
    assert received.peek(3) == []
    assert received.pop() == b"a"
    assert received.drop_long()
    assert received.peek(3) == []
    assert taken(received) == [b"b"]


def test_who_comes_late_has_its_share() -> None:
    turn = TurnBudget()
    assert turn.remaining(1.0) == MAX_TURN_CHARACTERS
    turn.spend(1000)
    assert turn.remaining(1.0) == MAX_TURN_CHARACTERS - 1000
    turn.spend(MAX_TURN_CHARACTERS)
    assert turn.remaining(1.0) == MIN_MEMBER_CHARACTERS
    assert turn.remaining(2.0) == MAX_TURN_CHARACTERS


@given(st.lists(st.integers(0, 5000)), st.integers(1, 20_000))
def test_the_line_that_goes_over_is_said(sizes: list[int], budget: int) -> None:
    count = spent = 0
    for size in sizes:
        if spent >= budget:
            break
        spent += size + LINE_COST_CHARACTERS
        count += 1
    assert len(sizes[: count_within(budget, sizes)]) == count


def test_what_is_shown_of_a_line() -> None:
    assert visible_text(b"a\tb \r", "utf-8") == "a b"
    assert visible_text(b"\x1b[2J\xff", "utf-8") == "\\x1b[2J\\xff"
    assert visible_text("你好".encode("gbk"), "gbk") == "你好"


def test_nothing_that_is_printable_is_escaped_or_is_white_space() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if _printable(character):
            assert escape(character) == character
            assert character == " " or character.rstrip()


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_plain_lines(encoding: str) -> None:
    texts = ["hi", " 你好", "* a joined", "a/b", "quit", "qq"]
    lines = [text.encode(encoding) for text in texts]
    assert plain_texts(lines, encoding, "q") == texts
    assert plain_texts([lines[0] + b"\r", lines[1]], encoding, "q") == texts[:2]


@pytest.mark.parametrize(
    "odd", ["", " ", "hi ", "/me", " /me", "、me", "//", "q", "a\tb", "a\rb", "\x1b", "\u2028"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_line_of_another_kind(odd: str, place: int) -> None:
    lines = [b"hi", b"ho"]
    lines.insert(place, odd.encode())
    assert plain_texts(lines, "utf-8", "q") == []
