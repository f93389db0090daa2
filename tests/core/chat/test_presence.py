from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.chat.presence import LINES_PER_SECOND, SUMMARY_SECONDS, Presence, PresenceLimiter
from sockkit.core.token_bucket import BURST_SECONDS

CALM = int(LINES_PER_SECOND * BURST_SECONDS)


def crowded() -> PresenceLimiter[str]:
    """One that has just had as many as are told one by one."""
    limiter: PresenceLimiter[str] = PresenceLimiter(0.0)
    for who in range(CALM):
        assert not limiter.holds(f"{who} joined", Presence(who, True), 0.0)
    return limiter


def test_a_few_are_told_as_they_come() -> None:
    limiter: PresenceLimiter[str] = PresenceLimiter(0.0)
    for second in range(100):
        assert not limiter.holds("a joined", Presence("a", True), float(second))
        assert not limiter.holds("a left", Presence("a", False), float(second))
    assert not limiter.holding


def test_many_are_summed_up() -> None:
    limiter = crowded()
    for who in range(100, 140):
        assert limiter.holds(f"{who} joined", Presence(who, True), 0.1)
    for who in range(20):
        assert limiter.holds(f"{who} left", Presence(who, False), 0.2)
    assert limiter.sum_up() == ([], "* 40 more joined, 20 more left")
    assert limiter.holding
    assert limiter.sum_up() == ([], "")
    assert not limiter.holding


def test_who_came_and_left_at_once_is_not_told_of() -> None:
    limiter = crowded()
    for who in range(100, 140):
        limiter.holds(f"{who} joined", Presence(who, True), 0.1)
        limiter.holds(f"{who} left", Presence(who, False), 0.1)
    limiter.holds("0 left", Presence(0, False), 0.1)
    limiter.holds("0 joined", Presence(0, True), 0.1)
    assert limiter.sum_up() == (["0 left", "0 joined"], "")


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.1)), min_size=1, max_size=600))
def test_the_rate_is_bounded_and_the_numbers_are_right(moves: list[tuple[int, float]]) -> None:
    limiter: PresenceLimiter[str] = PresenceLimiter(0.0)
    here: set[int] = set()
    now = lines = told = 0.0
    due = None

    def count(said: list[str], of_many: str) -> None:
        nonlocal lines, told
        words = of_many.replace(",", "").split()
        lines += len(said) + bool(of_many)
        told += sum(1 if line.endswith("joined") else -1 for line in said)
        told += sum(
            int(number) * (1 if what == "joined" else -1)
            for number, what in zip(words[1::3], words[3::3], strict=True)
        )

    for who, pause in moves:
        now += pause
        if due and now >= due:
            count(*limiter.sum_up())
            due = due + SUMMARY_SECONDS if limiter.holding else None
        came = who not in here
        here ^= {who}
        line = f"{who} {'joined' if came else 'left'}"
        if not limiter.holds(line, Presence(who, came), now):
            count([line], "")
        elif not due:
            due = now + SUMMARY_SECONDS
    while limiter.holding:
        count(*limiter.sum_up())
    assert told == len(here)
    assert lines <= CALM + 2 * LINES_PER_SECOND * (now + 2)
