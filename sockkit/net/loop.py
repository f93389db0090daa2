"""The loop: one thread waits for descriptors, timers and calls from other threads.

Callbacks run in the loop's thread, one at a time. If one raises an exception, `run` raises it.
Readiness is level-triggered: in each turn in which its descriptor is ready, a callback is called
again. So a callback does a bounded amount of work and returns.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sockkit.errors import SockkitError, reason
from sockkit.net.selector import READ, WRITE, make_selector
from sockkit.system import pipe

if TYPE_CHECKING:
    from sockkit.net.hang_ups import HangUps, OnHangUp
    from sockkit.net.pools import Pools

Callback = Callable[[], None]

MIN_CANCELLED_TIMERS = 64  # up to so many cancelled timers stay in the heap until their time

_NO_CALLBACKS: list[Callback | None] = [None, None]


class Timer:
    """A callback that will be called once. `cancel` may be called at any time, and repeatedly."""

    __slots__ = ("_forget", "callback", "number", "when")

    def __init__(self, when: float, number: int, callback: Callback, forget: Callback) -> None:
        self.when = when
        self.number = number  # of two timers with the same time, the lower number is called first
        self.callback: Callback | None = callback
        self._forget = forget

    def take(self) -> Callback | None:
        """Return the callback the first time, None from then on."""
        callback, self.callback = self.callback, None
        return callback

    def cancel(self) -> None:
        if self.take():
            self._forget()

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self.number) < (other.when, other.number)


class Loop:
    """Calls callbacks when their time or their descriptor has come.

    `now` is the time at which the current turn began, in seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._selector = make_selector()
        self._callbacks: dict[int, list[Callback | None]] = {}
        self._unpollable: dict[int, Callback] = {}  # files, for example: they are always ready
        self._held: set[int] = set()
        self._timers: list[Timer] = []
        self._made = self._cancelled = 0
        self._soon: deque[Callback] = deque()
        self._running = False
        self._hang_ups: HangUps | None = None
        self._wake_out, self._wake_in = pipe()
        self._selector.register(self._wake_out, READ)
        self._pools: Pools | None = None
        self.now = time.monotonic()

    @property
    def alarm(self) -> int:
        """A descriptor: writing a byte to it, from any thread, wakes the loop."""
        return self._wake_in

    @property
    def pools(self) -> Pools:
        """The buffers and pipes that the lanes of this loop share."""
        if not self._pools:
            from sockkit.net.pools import Pools  # not needed without lanes

            self._pools = Pools()
        return self._pools

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._hang_ups:
            self._hang_ups.close()
        if self._pools:
            self._pools.close()
        self._selector.close()
        # A late thread or signal handler must not write to a descriptor that reuses this number.
        wake_in, self._wake_in = self._wake_in, -1
        os.close(wake_in)
        os.close(self._wake_out)

    def when_readable(self, descriptor: int, callback: Callback | None) -> None:
        """Call `callback` in each turn while `descriptor` is readable or failed; None to stop."""
        self._watch(descriptor, 0, callback)

    def when_writable(self, descriptor: int, callback: Callback | None) -> None:
        """Call `callback` in each turn while `descriptor` is writable or failed; None to stop."""
        self._watch(descriptor, 1, callback)

    def when_hung_up(self, descriptor: int, callback: OnHangUp | None) -> None:
        """Call `callback` in each turn once a connection is reset or over; None to stop.

        Its argument is True after a reset, and False once both sides have ended. It is meant for a
        `descriptor` that we do not read, or do not read now. Raises SockkitError.
        """
        if not self._hang_ups:
            from sockkit.net.hang_ups import HangUps  # only few runs need it

            try:
                self._hang_ups = HangUps(self)
            except OSError as error:
                raise SockkitError(f"could not watch connections: {reason(error)}") from error
        self._hang_ups.watch(descriptor, callback)

    def hold(self, descriptor: int, held: bool) -> None:
        """While `held`, do not wait for `descriptor`. Its callbacks stay registered."""
        before = self._interest(descriptor)
        (self._held.add if held else self._held.discard)(descriptor)
        self._apply(descriptor, before)

    def at(self, when: float, callback: Callback) -> Timer:
        """Call `callback` in the first turn whose `now` has reached `when`."""
        self._made += 1
        timer = Timer(when, self._made, callback, self._forget)
        heapq.heappush(self._timers, timer)
        return timer

    def later(self, delay: float, callback: Callback) -> Timer:
        return self.at(self.now + delay, callback)

    def call_soon(self, callback: Callback) -> None:
        """Call `callback` in the next turn. Safe from other threads and signal handlers."""
        self._soon.append(callback)
        try:
            os.write(self._wake_in, b"\0")
        except OSError:
            pass  # the pipe is full: the loop wakes anyway; or closed: there is no loop to wake

    def run(self) -> None:
        """Run turns until `stop` is called, or until a callback raises."""
        self._running = True
        self.now = time.monotonic()
        while self._running:
            self._turn()

    def stop(self) -> None:
        """Make `run` return after the current callback."""
        self._running = False

    def _turn(self) -> None:
        ready = self._selector.select(self._select_timeout())
        self.now = time.monotonic()
        self._call_ready(ready)
        for descriptor in list(self._unpollable):
            self._call(self._unpollable.get(descriptor))
        for _ in range(len(self._soon)):
            if self._running:
                self._call(self._soon.popleft())
        made = self._made  # timers made in this turn wait for the next one
        while self._running and self._timers and self._timers[0].when <= self.now:
            if self._timers[0].number > made:
                break
            self._call(self._next_timer().take())

    def _call_ready(self, ready: list[tuple[int, int]]) -> None:
        callbacks = self._callbacks
        for descriptor, events in ready:
            # A callback may have changed its own or another descriptor's callbacks: look them up.
            if events & READ:
                if callback := callbacks.get(descriptor, _NO_CALLBACKS)[0]:
                    if self._running:
                        callback()
                elif descriptor == self._wake_out:
                    os.read(descriptor, 4096)
            if events & WRITE:
                self._call(callbacks.get(descriptor, _NO_CALLBACKS)[1])

    def _next_timer(self) -> Timer:
        timer = heapq.heappop(self._timers)
        self._cancelled -= timer.callback is None
        return timer

    def _forget(self) -> None:
        """Count a cancelled timer. Remove them from the heap once there are many."""
        self._cancelled += 1
        if self._cancelled > max(MIN_CANCELLED_TIMERS, len(self._timers) / 2):
            self._timers = [timer for timer in self._timers if timer.callback]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _call(self, callback: Callback | None) -> None:
        if callback and self._running:
            callback()

    def _select_timeout(self) -> float | None:
        while self._timers and self._timers[0].callback is None:
            self._next_timer()
        if self._unpollable or self._soon:
            return 0
        if self._timers:
            return max(0.0, self._timers[0].when - time.monotonic())
        return None

    def _watch(self, descriptor: int, side: int, callback: Callback | None) -> None:
        if descriptor in self._unpollable:
            if callback is None:
                del self._unpollable[descriptor]
            else:
                self._unpollable[descriptor] = callback
            return
        before = self._interest(descriptor)
        self._callbacks.setdefault(descriptor, [None, None])[side] = callback
        self._apply(descriptor, before)

    def _apply(self, descriptor: int, before: int) -> None:
        """Update the selector, which so far waits for the events `before`."""
        after = self._interest(descriptor)
        callbacks = self._callbacks.get(descriptor, _NO_CALLBACKS)
        if callbacks == _NO_CALLBACKS:
            self._callbacks.pop(descriptor, None)
        if after == before:
            return
        if not before:
            try:
                self._selector.register(descriptor, after)
            except PermissionError:  # epoll(7): EPERM, a file or a directory
                del self._callbacks[descriptor]
                callback = callbacks[0] or callbacks[1]
                assert callback is not None
                self._unpollable[descriptor] = callback
        elif after:
            self._selector.modify(descriptor, after)
        else:
            # With no events epoll(7) would still report errors and hang-ups: unregister it.
            self._selector.unregister(descriptor)

    def _interest(self, descriptor: int) -> int:
        if descriptor in self._held:
            return 0
        read, write = self._callbacks.get(descriptor, _NO_CALLBACKS)
        return (READ if read else 0) | (WRITE if write else 0)
