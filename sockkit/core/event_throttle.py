"""Limits similar events: the first of a kind are shown, then only how many more there were.

A peer can cause events as fast as it likes, and nobody can read or keep so many lines. A kind
contains no peer's address or words, so there are few kinds.
"""

from __future__ import annotations

from sockkit.core.token_bucket import TokenBucket

FIRST_COUNT_SECONDS = 5.0  # from the first event that is only counted until the count is shown
MAX_COUNT_SECONDS = 60.0  # between two counts; the interval doubles up to this


class _Kind:
    def __init__(self, rate: float, now: float) -> None:
        self.bucket = TokenBucket(rate, now)
        self.count, self.interval = 0, FIRST_COUNT_SECONDS
        self.due = 0.0  # when the count is shown


class EventThrottle:
    """`now` is in seconds of any one clock."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._flooded: dict[str, _Kind] = {}  # the kinds whose events are only counted

    def passes(self, name: str, rate: float, now: float) -> bool:
        """Whether to show one more event of the kind `name`; otherwise it is counted.

        `rate` is in events a second; five seconds' worth may come at once. After an event was not
        shown, no other is shown until an interval has passed without any.
        """
        kind = self._kinds.get(name)
        if not kind:
            kind = self._kinds[name] = _Kind(rate, now)
        if name not in self._flooded:
            if not kind.bucket.wait(now):
                kind.bucket.spend(0)
                return True
            kind.due = now + kind.interval
            self._flooded[name] = kind
        kind.count += 1
        return False

    @property
    def due(self) -> float | None:
        """When to call `counts` next; None while nothing is counted."""
        return min((kind.due for kind in self._flooded.values()), default=None)

    def counts(self, now: float, *, final: bool = False) -> list[tuple[str, int]]:
        """The kinds whose counts are due, or with `final` all, each with its count."""
        counts = []
        for name, kind in list(self._flooded.items()):
            if now < kind.due and not final:
                continue
            if kind.count:
                counts.append((name, kind.count))
                kind.count, kind.interval = 0, min(kind.interval * 2, MAX_COUNT_SECONDS)
                kind.due = now + kind.interval
            else:  # the flood is over
                del self._flooded[name], self._kinds[name]
        return counts
