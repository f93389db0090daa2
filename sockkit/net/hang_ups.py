"""Watches for the end of connections that we neither read nor write.

poll(2) and epoll(7) report a hang-up and an error even for a descriptor that is registered with no
events; Python's selectors refuse that. The descriptor of an epoll object is itself readable when it
has an event to report, so the loop can wait for it.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockkit.net.loop import Loop, Timer

CHECK_SECONDS = 0.1  # between two checks on a system without epoll(7)

# Called with True if the connection has failed. A later read of the socket raises the error.
OnHangUp = Callable[[bool], None]


class HangUps:
    """Watches descriptors for `loop`, which closes it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._callbacks: dict[int, OnHangUp] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = self._epoll or select.poll()
        self._timer: Timer | None = None  # without epoll
        if self._epoll:
            loop.when_readable(self._epoll.fileno(), self._report)

    def watch(self, descriptor: int, callback: OnHangUp | None) -> None:
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
        for descriptor, events in self._poll.poll(0):
            if callback := self._callbacks.get(descriptor):
                callback(bool(events & select.POLLERR))

    def _check(self) -> None:
        self._report()
        self._timer = self._loop.later(CHECK_SECONDS, self._check) if self._callbacks else None
