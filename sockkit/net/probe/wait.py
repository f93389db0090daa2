"""Tries targets until all or one of them are open, or the time is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from sockkit.core.address import Address
from sockkit.core.probing import Result, Rules, Tally, result_of
from sockkit.errors import NO_ANSWER, SockkitError, TimedOut
from sockkit.net.loop import Loop, Timer
from sockkit.net.probe.pool import Attempt, Pool, Task
from sockkit.net.waiting import OnDone, Pending

MAX_TARGETS = 65_536  # all ports of one host; each costs memory while it is tried
FIRST_RETRY_SECONDS = 0.05  # after a target's first failure; each further failure doubles it
MAX_RETRY_SECONDS = 1.0


class WaitForTargets(Pending):
    """Calls `on_done` with the last result of each target, in order.

    It does so once the results satisfy `rules`, or after `rules.wait` seconds; if that is None or
    0, once each target has been tried. A target without a result by then counts as silent.
    """

    def __init__(
        self,
        loop: Loop,
        targets: Sequence[Address],
        attempt: Attempt,
        rules: Rules,
        on_done: OnDone[list[Result]],
    ) -> None:
        self._loop, self._targets, self._rules, self._on_done = loop, targets, rules, on_done
        self._results = [_unheard(address) for address in targets]
        self._failures = [0] * len(targets)
        self._ready = deque(range(len(targets)))
        self._timers: dict[int, Timer] = {}
        self._open, self._tried = Tally(len(targets)), 0
        self._deadline = loop.later(rules.wait, self._finish) if rules.wait else None
        self._pool: Pool = Pool(loop, attempt, self._next, self._found, self._fail)
        self._pool.fill()

    def cancel(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._pool.cancel()

    def _next(self) -> Task | None:
        if not self._ready:
            return None
        number = self._ready.popleft()
        return number, self._targets[number]

    def _found(self, number: int, outcome: float | SockkitError) -> None:
        result = self._results[number] = result_of(self._targets[number], outcome)
        self._tried += 1
        if not result.error:
            self._open.add(result)
        elif self._rules.wait:
            delay = min(FIRST_RETRY_SECONDS * 2 ** self._failures[number], MAX_RETRY_SECONDS)
            self._failures[number] += delay < MAX_RETRY_SECONDS
            self._timers[number] = self._loop.later(delay, partial(self._retry, number))
        if self._open.satisfies(self._rules) or not (self._rules.wait or self._remaining):
            self._finish()

    @property
    def _remaining(self) -> int:
        return len(self._targets) - self._tried

    def _retry(self, number: int) -> None:
        self._ready.append(number)
        self._pool.fill()

    def _fail(self, error: SockkitError) -> None:
        self.cancel()
        self._on_done(error)

    def _finish(self) -> None:
        self.cancel()
        self._on_done(self._results)


def _unheard(address: Address) -> Result:
    return Result(address, error=TimedOut(f"no answer from {address}", kind=NO_ANSWER))
