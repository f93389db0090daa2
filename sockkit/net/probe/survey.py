"""Tries each target once, and reports the results in the order of the targets."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.address import Address
from sockkit.core.probing import Result, result_of
from sockkit.core.targets import Targets
from sockkit.errors import SockkitError
from sockkit.net.loop import Loop
from sockkit.net.probe.pool import Attempt, Pool, Task
from sockkit.net.waiting import OnDone, Pending

# Results that may wait for an earlier target, which may take as long as the timeout.
MAX_AHEAD = 16_384


class Survey(Pending):
    """Calls `on_result` for each target, and `on_done` with None after the last one.

    While `wants_more()` is False no attempt begins: call `resume` once it is True again.
    """

    def __init__(
        self,
        loop: Loop,
        targets: Targets,
        attempt: Attempt,
        on_result: Callable[[Result], None],
        wants_more: Callable[[], bool],
        on_done: OnDone[None],
    ) -> None:
        self._on_result, self._wants_more, self._on_done = on_result, wants_more, on_done
        self._targets, self._unreported = enumerate(targets), len(targets)
        self._begun: dict[int, Address] = {}  # tried, but not reported yet
        self._results: dict[int, Result] = {}
        self._first = 0  # the number of the next one to report
        self._pool: Pool = Pool(loop, attempt, self._next, self._found, on_done)
        self._pool.fill()

    def cancel(self) -> None:
        self._pool.cancel()

    def resume(self) -> None:
        self._pool.fill()

    def _next(self) -> Task | None:
        if len(self._begun) >= MAX_AHEAD or not self._wants_more():
            return None
        task = next(self._targets, None)
        if task:
            self._begun[task[0]] = task[1]
        return task

    def _found(self, number: int, outcome: float | SockkitError) -> None:
        self._results[number] = result_of(self._begun[number], outcome)
        while self._first in self._results:
            del self._begun[self._first]
            self._unreported -= 1
            self._on_result(self._results.pop(self._first))
            self._first += 1
        if not self._unreported:
            self.cancel()
            self._on_done(None)
