"""Connections that nobody here reads or writes: tells when one of them is over.

poll(2) and epoll(7) report a hang-up and an error even if no event is asked for, and a selector
of Python's cannot ask for none. epoll's own descriptor is readable when it has something to report.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockkit.net.loop import Loop, Timer

CHECK_SECONDS = 0.1  # between two looks on a system without epoll(7)


class HangUps:
    """Watches descriptors for `loop`. `close` it with the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = self._epoll or select.poll()
        self._timer: Timer | None = None  # without epoll
        if self._epoll:
            loop.when_readable(self._epoll.fileno(), self._report)

    def watch(self, descriptor: int, callback: Callable[[], None] | None) -> None:
        """Call `callback` in each turn while `descriptor` is hung up or failed; None to stop."""
        if descriptor in self._callbacks:
            self._poll.unregister(descriptor)
            del self._callbacks[descriptor]
        if callback:
            self._poll.register(descriptor, 0)
            self._callbacks[descriptor] = callback
            if not (self._epoll or self._timer):
                self._timer = self._loop.later(CHECK_SECONDS, self._check)

    def close(self) -> None:
        if self._epoll:
            self._epoll.close()

    def _report(self) -> None:
        for descriptor, _ in self._poll.poll(0):
            if callback := self._callbacks.get(descriptor):
                callback()

    def _check(self) -> None:
        self._report()
        self._timer = self._loop.later(CHECK_SECONDS, self._check) if self._callbacks else None
