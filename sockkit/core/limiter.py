"""Which of many like events are said: the first of a kind, and then how many more there were.

A peer can make an event as often as it likes; nobody can read as many lines, or wants to keep
them. A kind never holds a peer's address or words, so there are few kinds.
"""

from __future__ import annotations

from sockkit.core.token_bucket import TokenBucket

FIRST_COUNT = 5.0  # seconds from the first event that is only counted to the count's line
LAST_COUNT = 60.0  # each count of a flood that goes on takes twice as long, up to this


class _Kind:
    def __init__(self, rate: float, now: float) -> None:
        self.bucket = TokenBucket(rate, now)
        self.count, self.wait = 0, FIRST_COUNT
        self.due = 0.0  # when the count is said


class Limiter:
    """`now` is in seconds of any one clock."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._flooded: dict[str, _Kind] = {}  # those whose events are only counted

    def passes(self, name: str, rate: float, now: float) -> bool:
        """Whether one more event of the kind is said; otherwise it is counted.

        `rate` a second are, and five seconds' worth at once. After that none is, until a
        count's time has passed without any.
        """
        kind = self._kinds.get(name)
        if not kind:
            kind = self._kinds[name] = _Kind(rate, now)
        if name not in self._flooded:
            if not kind.bucket.wait(now):
                kind.bucket.spend(0)
                return True
            kind.due = now + kind.wait
            self._flooded[name] = kind
        kind.count += 1
        return False

    @property
    def due(self) -> float | None:
        """When `counts` has something to tell."""
        return min((kind.due for kind in self._flooded.values()), default=None)

    def counts(self, now: float, *, final: bool = False) -> list[tuple[str, int]]:
        """What was counted, by kind, where it is time for that; all of it at the end."""
        told = []
        for name, kind in list(self._flooded.items()):
            if now < kind.due and not final:
                continue
            if kind.count:
                told.append((name, kind.count))
                kind.count, kind.wait = 0, min(kind.wait * 2, LAST_COUNT)
                kind.due = now + kind.wait
            else:  # there is peace
                del self._flooded[name], self._kinds[name]
        return told
