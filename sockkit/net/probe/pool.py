"""Makes many attempts at the same time, as many as there are descriptors for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sockkit.core.address import Address
from sockkit.errors import BindError, SockkitError, UsageError, without_traceback
from sockkit.net.descriptors import free_descriptors
from sockkit.net.loop import Loop
from sockkit.net.tcp.dial import lacks_resources
from sockkit.net.waiting import OnDone, Pending

MAX_AT_ONCE = 256  # attempts; more would hardly be faster, and less polite to the network
SPARE_DESCRIPTORS = 16  # for lookups, and for hosts with several addresses
MAX_STARTS_PER_TURN = 64  # then the loop serves others, such as a signal

Attempt = Callable[[Address, OnDone[float]], Pending]
Task = tuple[int, Address]  # a number chosen by the caller, and the address to try


def most_at_once() -> int:
    """How many attempts this process has descriptors for, MAX_AT_ONCE at most."""
    free = free_descriptors()
    return MAX_AT_ONCE if free is None else max(min(free - SPARE_DESCRIPTORS, MAX_AT_ONCE), 1)


class Pool(Pending):
    """Makes an attempt for each task that `next_task` returns; None means that there is none now.

    `on_outcome` is called with the number and the outcome of each. If the system has no socket for
    us, the attempt is repeated, with fewer at the same time. `on_fail` is called if every further
    attempt would fail, too, for example for a wrong option; after that nothing is called.
    """

    def __init__(
        self,
        loop: Loop,
        attempt: Attempt,
        next_task: Callable[[], Task | None],
        on_outcome: Callable[[int, float | SockkitError], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        self._loop, self._attempt, self._next_task = loop, attempt, next_task
        self._on_outcome, self._on_fail = on_outcome, on_fail
        self._most = most_at_once()
        self._under_way: dict[int, Pending | None] = {}
        self._again: list[Task] = []
        self._planned = self._closed = False

    @property
    def idle(self) -> bool:
        return not (self._under_way or self._again)

    def fill(self) -> None:
        """In the next turn, start as many attempts as there are tasks and space for."""
        if not (self._planned or self._closed):
            self._planned = True
            self._loop.call_soon(self._fill)

    def cancel(self) -> None:
        self._closed = True
        for work in self._under_way.values():
            if work:
                work.cancel()
        self._under_way.clear()

    def _fill(self) -> None:
        self._planned = False
        for _ in range(MAX_STARTS_PER_TURN):
            if self._closed or len(self._under_way) >= self._most:
                return
            task = self._again.pop() if self._again else self._next_task()
            if not task:
                return
            self._start(task)
        self.fill()

    def _start(self, task: Task) -> None:
        number, address = task
        self._under_way[number] = None
        work = self._attempt(address, partial(self._done, task))
        if number in self._under_way:  # it is not done yet
            self._under_way[number] = work

    def _done(self, task: Task, outcome: float | SockkitError) -> None:
        if self._closed:
            return
        del self._under_way[task[0]]
        self.fill()
        if not isinstance(outcome, SockkitError):
            self._on_outcome(task[0], outcome)
        elif lacks_resources(outcome) and self._under_way:
            self._most = len(self._under_way)
            self._again.append(task)
        elif lacks_resources(outcome) or isinstance(outcome, BindError | UsageError):
            self.cancel()
            self._on_fail(outcome)
        else:
            if task[0]:  # thousands may be kept; that of the first may say what to try
                outcome.__cause__ = None
            self._on_outcome(task[0], without_traceback(outcome))
