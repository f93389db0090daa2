"""Whose answers are made next, where making them takes time that all others wait for.

Who needs little time comes first, so that it waits for no more than a turn; who needs much
waits in a row. In one turn of the loop all of them together have TURN.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sockkit.core.responder import MESSAGE_TIME
from sockkit.net.loop import Loop

COSTLY = 1.0  # seconds in which a peer that has used up PEER comes after those that have not
PEER = 0.005  # seconds after which a peer's remaining messages wait for the next turn
TURN = 0.020  # seconds of one turn of the loop; no message is begun that might exceed them


class Asker:
    """Somebody who asks for time. What is here belongs to Turns."""

    waiting = False  # in a row
    costly_until = -1.0
    served_at = -1.0  # the last turn it had time in

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Make answers until that is all, or after one of them `over`; whether there are more."""
        raise NotImplementedError


class Turns:
    """Those who share one loop's time."""

    def __init__(self, loop: Loop, clock: Callable[[], float] = time.perf_counter) -> None:
        self._loop, self._clock = loop, clock
        self._quick: deque[Asker] = deque()
        self._costly: deque[Asker] = deque()
        self._turn, self._used = -1.0, 0.0  # the present turn, and seconds used in it
        self._due = self._passed_over = False  # the costly, as they got nothing the last time

    def ask(self, asker: Asker) -> None:
        """Let `asker` take its turn once: now, or when there is time."""
        if asker.waiting:
            return
        if self.is_costly(asker) or self._passed_over or not self._has_time():
            self._wait(asker)
        else:
            self._serve(asker)

    def is_costly(self, asker: Asker) -> bool:
        """Whether it has used up PEER not long ago."""
        return self._loop.now < asker.costly_until

    def _has_time(self) -> bool:
        if self._turn != self._loop.now:
            self._turn, self._used = self._loop.now, 0.0
        return self._used <= TURN - MESSAGE_TIME

    def _serve(self, asker: Asker) -> None:
        began = self._clock()

        def over() -> bool:
            took = self._clock() - began
            return took >= PEER or self._used + took > TURN - MESSAGE_TIME

        more = asker.take_turn(over)
        took = self._clock() - began
        self._used += took
        asker.served_at = self._loop.now
        if took >= PEER:
            asker.costly_until = self._loop.now + COSTLY
        if more:
            self._wait(asker)

    def _wait(self, asker: Asker) -> None:
        asker.waiting = True
        (self._costly if self.is_costly(asker) else self._quick).append(asker)
        self._go_on()

    def _go_on(self) -> None:
        if not self._due and (self._quick or self._costly):
            self._due = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._due = False
        first = self._costly if self._passed_over else self._quick
        foremost = self._costly[0] if self._costly else None
        rows = [first] + [self._quick] * len(self._quick) + [self._costly] * len(self._costly)
        for row in rows:
            if row and self._has_time() and row[0].served_at != self._loop.now:
                asker = row.popleft()
                asker.waiting = False
                self._serve(asker)
        self._passed_over = foremost is not None and foremost.served_at != self._loop.now
        self._go_on()
