"""Shares the time of a loop among peers: decides for which peer work is done next.

Work is making answers, or a step of a handshake. While it is done for one peer, all others wait.
Peers that need little time come first, and wait for one turn of the loop at most. Peers that need
much time are served in turn. Together they use at most MAX_TURN_SECONDS in one turn of the loop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sockkit.net.loop import Loop

MAX_TURN_SECONDS = 0.020  # per turn of the loop; no part of a task starts if it might exceed this
MAX_SLICE_SECONDS = 0.005  # after that, the rest of a peer's work waits for the next turn
COSTLY_SECONDS = 1.0  # for so long, a peer that has used up its slice is served after the others


class Task:
    """The work for one peer. Only the scheduler uses the attributes defined here."""

    waiting = False  # whether it is in a queue
    costly_until = -1.0
    served_at = -1.0  # the last turn of the loop in which it was served

    def serve(self, should_yield: Callable[[], bool]) -> bool:
        """Do at least one part of the work; go on until all is done or `should_yield()` is true.

        Returns whether work remains.
        """
        raise NotImplementedError


class Scheduler:
    """Serves the tasks of one loop. One part of a task takes at most `longest` seconds."""

    def __init__(
        self, loop: Loop, longest: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loop, self._longest, self._clock = loop, longest, clock
        self._quick: deque[Task] = deque()
        self._costly: deque[Task] = deque()
        self._turn, self._used = -1.0, 0.0  # the current turn, and the seconds used in it
        self._planned = False  # whether `_run` is to be called
        self._passed_over = False  # whether the last run had no time for the first costly task

    def schedule(self, task: Task) -> None:
        """Serve `task` once: now if there is time, otherwise in a later turn of the loop.

        A task that is waiting already is not queued a second time.
        """
        if task.waiting:
            return
        if self.is_costly(task) or self._passed_over or not self._has_time():
            self._queue(task)
        else:
            self._serve(task)

    def is_costly(self, task: Task) -> bool:
        """Whether `task` has used up a slice within the last COSTLY_SECONDS."""
        return self._loop.now < task.costly_until

    def _has_time(self) -> bool:
        if self._turn != self._loop.now:
            self._turn, self._used = self._loop.now, 0.0
        return self._used <= MAX_TURN_SECONDS - self._longest

    def _serve(self, task: Task) -> None:
        began = self._clock()

        def should_yield() -> bool:
            took = self._clock() - began
            return took >= MAX_SLICE_SECONDS or self._used + took > MAX_TURN_SECONDS - self._longest

        more = task.serve(should_yield)
        took = self._clock() - began
        self._used += took
        task.served_at = self._loop.now
        if took >= MAX_SLICE_SECONDS:
            task.costly_until = self._loop.now + COSTLY_SECONDS
        if more:
            self._queue(task)

    def _queue(self, task: Task) -> None:
        task.waiting = True
        (self._costly if self.is_costly(task) else self._quick).append(task)
        self._plan()

    def _plan(self) -> None:
        if not self._planned and (self._quick or self._costly):
            self._planned = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._planned = False
        first = self._costly if self._passed_over else self._quick
        first_costly = self._costly[0] if self._costly else None
        queues = [first] + [self._quick] * len(self._quick) + [self._costly] * len(self._costly)
        for queue in queues:
            if queue and self._has_time() and queue[0].served_at != self._loop.now:
                task = queue.popleft()
                task.waiting = False
                self._serve(task)
        self._passed_over = first_costly is not None and first_costly.served_at != self._loop.now
        self._plan()
