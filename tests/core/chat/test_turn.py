from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.turn import (
    LINE_CHARACTERS,
    MAX_MEMBER_CHARACTERS,
    MAX_TURN_CHARACTERS,
    Turn,
    fitting,
)


def test_who_comes_late_has_its_share() -> None:
    turn = Turn()
    assert turn.capacity(1.0) == MAX_TURN_CHARACTERS
    turn.spend(1000)
    assert turn.capacity(1.0) == MAX_TURN_CHARACTERS - 1000
    turn.spend(MAX_TURN_CHARACTERS)
    assert turn.capacity(1.0) == MAX_MEMBER_CHARACTERS
    assert turn.capacity(2.0) == MAX_TURN_CHARACTERS


@given(st.lists(st.integers(0, 5000)), st.integers(1, 20_000))
def test_the_line_that_goes_over_is_said(sizes: list[int], capacity: int) -> None:
    count = spent = 0
    for size in sizes:
        if spent >= capacity:
            break
        spent += size + LINE_CHARACTERS
        count += 1
    assert len(sizes[: fitting(sizes, capacity)]) == count
