"""Watches the counters of a transfer, for --progress. The lanes keep the counters in any case."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.progress import LOOK_SECONDS, Counters, Meter, Progress
from sockkit.errors import OutputGone
from sockkit.net.context import Context, Moved
from sockkit.net.loop import Timer


class ProgressWatch:
    """A context manager that calls `show` every LOOK_SECONDS, from the first bytes that move.

    On exit it emits Transferred, unless standard output is gone. `moved` returns the numbers of
    bytes sent and received so far.
    """

    def __init__(self, context: Context, show: Callable[[Progress], None], moved: Moved) -> None:
        self._loop, self._input, self._emit = context.loop, context.stdio.input, context.emit
        self._show, self._moved = show, moved
        self._meter = Meter(self._loop.now, self._counters())
        self._timer: Timer | None = None

    def __enter__(self) -> None:
        self._wait()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._meter.look(self._loop.now, self._counters())
        if kind is not OutputGone:
            self._emit(self._meter.total())

    def _wait(self) -> None:
        self._timer = self._loop.later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._wait()
        self._meter.look(self._loop.now, self._counters())
        if self._meter.moving:
            self._show(self._meter.progress())

    def _counters(self) -> Counters:
        return Counters(*self._moved(), *self._input.extent())
