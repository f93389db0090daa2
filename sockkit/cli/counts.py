"""Says how many more events of a kind there were, of which only the first were said."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.limiter import Limiter
from sockkit.net.loop import Loop, Timer


class Counts:
    """`say` is given the counts' lines, in time by `loop` and the last by `finish`."""

    def __init__(self, loop: Loop, say: Callable[[str], None]) -> None:
        self._loop, self._say = loop, say
        self._limiter = Limiter()
        self._timer: Timer | None = None

    def passes(self, kind: str, rate: float) -> bool:
        """Whether one more event of the kind is said, at most `rate` a second; see Limiter."""
        passes = self._limiter.passes(kind, rate, self._loop.now)
        if not passes and not self._timer:
            self._wait()
        return passes

    def finish(self) -> None:
        """The run is over."""
        self._tell(final=True)

    def _wait(self) -> None:
        if (due := self._limiter.due) is not None:
            self._timer = self._loop.at(due, self._in_time)

    def _in_time(self) -> None:
        self._timer = None
        self._tell()
        self._wait()

    def _tell(self, *, final: bool = False) -> None:
        for kind, count in self._limiter.counts(self._loop.now, final=final):
            self._say(f"* {count:,} more: {kind}")
