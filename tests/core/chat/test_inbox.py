from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.inbox import MAX_LINE_BYTES, Inbox


def taken(inbox: Inbox) -> list[bytes | None]:
    """Its lines as they can be taken; None is one that is too long."""
    lines: list[bytes | None] = []
    while True:
        if inbox.drop_long():
            lines.append(None)
        elif not inbox.has_line():
            return lines
        else:
            lines.append(inbox.take())


LINES = st.lists(
    st.binary(max_size=9).map(lambda data: data.replace(b"\n", b"."))
    | st.sampled_from([b"x" * MAX_LINE_BYTES, b"x" * (MAX_LINE_BYTES + 1), b"y" * 9999])
)


@given(LINES, st.lists(st.integers(0, 20_000)))
def test_lines_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    inbox, out = Inbox(), []
    data, place = b"".join(line + b"\n" for line in lines), 0
    for cut in [*sorted(cuts), len(data)]:
        if piece := data[place:cut]:
            inbox.feed(piece)
        place = max(place, cut)
        out += taken(inbox)
        assert len(inbox) <= MAX_LINE_BYTES
    assert out == [line if len(line) <= MAX_LINE_BYTES else None for line in lines]


def test_the_end_of_the_input_ends_a_line() -> None:
    inbox = Inbox()
    inbox.feed(b"last")
    inbox.feed(b"")
    assert taken(inbox) == [b"last"]
    inbox.feed(b"x" * (MAX_LINE_BYTES + 1))
    assert taken(inbox) == [None]
    inbox.feed(b"")
    assert taken(inbox) == []


def test_lines_are_looked_at_before_they_are_taken() -> None:
    inbox = Inbox()
    inbox.feed(b"a\nb\nc\nd")
    assert inbox.peek(2) == [b"a", b"b"]
    assert inbox.peek(9) == [b"a", b"b", b"c"]
    inbox.drop([b"a", b"b"])
    assert inbox.peek(9) == [b"c"]
    inbox.clear()
    assert (len(inbox), inbox.peek(9)) == (0, [])


def test_nothing_is_seen_of_what_is_too_long() -> None:
    inbox = Inbox()
    inbox.feed(b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n")
    assert inbox.peek(1) == [b"a"]
    assert inbox.peek(3) == []
    assert inbox.take() == b"a"
    assert inbox.drop_long()
    assert inbox.peek(3) == []
    assert taken(inbox) == [b"b"]
