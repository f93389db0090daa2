"""When a client of datagrams is done, on a clock of the test's."""

from __future__ import annotations

import pytest

from sockkit.core import answers
from sockkit.core.answers import AnswerOptions, AnswerWait
from sockkit.errors import TimedOut

MORE = ": allow more time with --connect-timeout"


def bound(wait: AnswerWait, received: int = 0) -> tuple[float, str]:
    """When it is over, and the error."""
    made = wait.bound(received)
    assert made
    return made[0], str(made[1] or "")


def test_before_the_end_of_input_nothing_bounds_it() -> None:
    assert AnswerWait(AnswerOptions(expect=1, timeout=1.0, linger=1.0), 100.0).bound(5) is None


def test_a_silence_after_the_end_of_input() -> None:
    wait = AnswerWait(AnswerOptions(linger=3.0), 100.0)
    wait.end_input(110.0)
    assert bound(wait) == (113.0, "")
    wait.active(112.0)
    assert bound(wait, 1) == (115.0, "")
    wait.active(111.0)  # what was sent before the answer
    assert bound(wait, 1) == (115.0, "")


@pytest.mark.parametrize(("linger", "seconds"), [(None, answers.LINGER_SECONDS), (0.0, 0.0)])
def test_how_long_a_silence(linger: float | None, seconds: float) -> None:
    wait = AnswerWait(AnswerOptions(linger=linger), 100.0)
    wait.end_input(100.0)
    assert bound(wait) == (100.0 + seconds, "")


def test_as_many_answers_as_expected() -> None:
    wait = AnswerWait(AnswerOptions(expect=2, timeout=4.0, linger=1.0), 100.0)
    assert not wait.counts
    wait.end_input(110.0)
    assert wait.counts
    wait.active(113.0)
    assert bound(wait, 1) == (114.0, f"1 of 2 answers received within 4 s{MORE}")
    for received in (2, 3):
        assert bound(wait, received) == (110.0, "")


def test_without_a_number_no_answer_is_the_last_one() -> None:
    wait = AnswerWait(AnswerOptions(), 100.0)
    wait.end_input(100.0)
    assert not wait.counts


def test_a_silence_of_both_sides() -> None:
    wait = AnswerWait(AnswerOptions(idle=5.0), 100.0)
    assert bound(wait) == (105.0, "nothing was sent or received for 5 s")
    wait.active(103.0)
    assert bound(wait)[0] == 108.0


def test_whichever_comes_first() -> None:
    wait = AnswerWait(AnswerOptions(expect=1, timeout=20.0, idle=5.0), 100.0)
    wait.end_input(100.0)
    made = wait.bound(0)
    assert made
    assert (made[0], type(made[1])) == (105.0, TimedOut)
    assert bound(wait, 1) == (100.0, "")
    wait.active(118.0)
    assert bound(wait)[0] == 120.0


def test_where_nothing_is_sent_only_what_was_asked_for_ends_the_wait() -> None:
    assert AnswerWait(AnswerOptions(recv_only=True), 100.0).bound(0) is None
    assert bound(AnswerWait(AnswerOptions(recv_only=True, linger=3.0), 100.0)) == (103.0, "")
    assert bound(AnswerWait(AnswerOptions(recv_only=True, idle=4.0), 100.0))[0] == 104.0
    wait = AnswerWait(AnswerOptions(recv_only=True, expect=2, timeout=9.0), 100.0)
    assert wait.counts
    assert bound(wait, 1) == (109.0, f"1 of 2 answers received within 9 s{MORE}")
    assert bound(wait, 2) == (100.0, "")


def test_where_no_answer_is_wanted_a_refusal_is_waited_for() -> None:
    wait = AnswerWait(AnswerOptions(send_only=True), 100.0)
    assert wait.bound(0) is None
    wait.end_input(110.0)
    assert bound(wait) == (110.0 + answers.REFUSAL_SECONDS, "")
