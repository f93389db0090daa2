"""A queue that delays answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from sockkit.net.loop import Loop, Timer

T = TypeVar("T")


class DelayQueue(Generic[T]):
    """Calls `on_due` with each item, in order, when it is due: by default after `seconds`."""

    def __init__(self, loop: Loop, seconds: float, on_due: Callable[[T], None]) -> None:
        self._loop, self._seconds, self._on_due = loop, seconds, on_due
        self._items: deque[tuple[float, T]] = deque()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self.put_until(self._loop.now + self._seconds, item)

    def put_until(self, when: float, item: T) -> None:
        """Put an item that is due at `when`, no earlier than those before it."""
        self._items.append((when, item))
        self._wait()

    def stop(self) -> None:
        self._items.clear()
        if self._timer:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._items and not self._timer:
            self._timer = self._loop.at(self._items[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        while self._items and self._items[0][0] <= self._loop.now:
            self._on_due(self._items.popleft()[1])
        self._wait()
