"""Watches an end whose readiness no descriptor shows."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.net.ends.end import Callback
from sockkit.net.loop import Loop


class Watch:
    """Calls `callback`, if there is one, once in each turn of the loop while `ready()`."""

    def __init__(self, loop: Loop, ready: Callable[[], bool]) -> None:
        self._loop, self._ready = loop, ready
        self._planned = False
        self.callback: Callback | None = None

    def wake(self) -> None:
        """Check again: it may be ready now."""
        if self.callback and not self._planned and self._ready():
            self._planned = True
            self._loop.call_soon(self._check)

    def _check(self) -> None:
        self._planned = False
        if self.callback and self._ready():
            self.wake()  # first: a callback may raise, and is called again when the loop runs on
            self.callback()
