from __future__ import annotations

from sockkit.core.limiter import FIRST_COUNT, LAST_COUNT, Limiter


def flood(limiter: Limiter, size: int, now: float, kind: str = "reset") -> int:
    """How many of `size` events at once are said."""
    return sum(limiter.passes(kind, 1.0, now) for _ in range(size))


def test_the_first_are_said_and_the_rest_are_counted_in_time() -> None:
    limiter = Limiter()
    assert flood(limiter, 5, 0.0) == 5
    assert limiter.due is None
    assert flood(limiter, 1000, 0.5) == 0
    assert limiter.due == 0.5 + FIRST_COUNT
    assert limiter.counts(5.0) == []
    assert limiter.counts(5.5) == [("reset", 1000)]


def test_events_that_come_slowly_are_all_said() -> None:
    limiter = Limiter()
    assert sum(flood(limiter, 1, float(second)) for second in range(100)) == 100


def test_one_kind_does_not_hide_another() -> None:
    limiter = Limiter()
    flood(limiter, 1000, 0.0)
    assert flood(limiter, 1, 0.0, "too slow") == 1


def test_a_flood_that_goes_on_is_counted_ever_more_seldom() -> None:
    limiter, lines, total = Limiter(), 0, 0
    for second in range(1000):
        lines += flood(limiter, 100, float(second))
        for _, count in limiter.counts(float(second)):
            lines, total = lines + 1, total + count
    assert lines <= 5 + 4 + 1000 / LAST_COUNT
    total += sum(count for _, count in limiter.counts(1000.0, final=True))
    assert total + 5 == 100_000


def test_after_a_peace_events_are_said_again() -> None:
    limiter = Limiter()
    flood(limiter, 10, 0.0)
    assert limiter.counts(5.0) == [("reset", 5)]
    assert flood(limiter, 1, 6.0) == 0  # not yet
    assert limiter.counts(15.0) == [("reset", 1)]
    assert limiter.counts(35.0) == []
    assert limiter.due is None
    assert flood(limiter, 10, 35.0) == 5
    assert limiter.due == 35.0 + FIRST_COUNT


def test_at_the_end_nothing_stays_uncounted() -> None:
    limiter = Limiter()
    flood(limiter, 7, 0.0)
    flood(limiter, 9, 0.0, "cut")
    assert limiter.counts(0.1, final=True) == [("reset", 2), ("cut", 4)]
