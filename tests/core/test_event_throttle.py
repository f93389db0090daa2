from __future__ import annotations

from sockkit.core.event_throttle import FIRST_COUNT_SECONDS, MAX_COUNT_SECONDS, EventThrottle


def flood(event_throttle: EventThrottle, size: int, now: float, kind: str = "reset") -> int:
    """How many of `size` events at once are said."""
    return sum(event_throttle.passes(kind, 1.0, now) for _ in range(size))


def test_the_first_are_said_and_the_rest_are_counted_in_time() -> None:
    event_throttle = EventThrottle()
    assert flood(event_throttle, 5, 0.0) == 5
    assert event_throttle.due is None
    assert flood(event_throttle, 1000, 0.5) == 0
    assert event_throttle.due == 0.5 + FIRST_COUNT_SECONDS
    assert event_throttle.counts(5.0) == []
    assert event_throttle.counts(5.5) == [("reset", 1000)]


def test_events_that_come_slowly_are_all_said() -> None:
    event_throttle = EventThrottle()
    assert sum(flood(event_throttle, 1, float(second)) for second in range(100)) == 100


def test_one_kind_does_not_hide_another() -> None:
    event_throttle = EventThrottle()
    flood(event_throttle, 1000, 0.0)
    assert flood(event_throttle, 1, 0.0, "too slow") == 1


def test_a_flood_that_goes_on_is_counted_ever_more_seldom() -> None:
    event_throttle, lines, total = EventThrottle(), 0, 0
    for second in range(1000):
        lines += flood(event_throttle, 100, float(second))
        for _, count in event_throttle.counts(float(second)):
            lines, total = lines + 1, total + count
    assert lines <= 5 + 4 + 1000 / MAX_COUNT_SECONDS
    total += sum(count for _, count in event_throttle.counts(1000.0, final=True))
    assert total + 5 == 100_000


def test_after_a_peace_events_are_said_again() -> None:
    event_throttle = EventThrottle()
    flood(event_throttle, 10, 0.0)
    assert event_throttle.counts(5.0) == [("reset", 5)]
    assert flood(event_throttle, 1, 6.0) == 0  # not yet
    assert event_throttle.counts(15.0) == [("reset", 1)]
    assert event_throttle.counts(35.0) == []
    assert event_throttle.due is None
    assert flood(event_throttle, 10, 35.0) == 5
    assert event_throttle.due == 35.0 + FIRST_COUNT_SECONDS


def test_at_the_end_nothing_stays_uncounted() -> None:
    event_throttle = EventThrottle()
    flood(event_throttle, 7, 0.0)
    flood(event_throttle, 9, 0.0, "cut")
    assert event_throttle.counts(0.1, final=True) == [("reset", 2), ("cut", 4)]
