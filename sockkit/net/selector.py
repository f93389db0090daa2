"""What the loop waits with: epoll(7) if the system has it, otherwise Python's `selectors`.

Python's selectors create several objects for each event. For a small message through a relay that
was a third of the time that Python takes.
"""

from __future__ import annotations

import select
import selectors
from typing import Protocol

READ, WRITE = 1, 4  # the values of EPOLLIN and EPOLLOUT
_BOTH = READ | WRITE

_TO_SELECTORS = {
    READ: selectors.EVENT_READ,
    WRITE: selectors.EVENT_WRITE,
    _BOTH: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_FROM_SELECTORS = {theirs: ours for ours, theirs in _TO_SELECTORS.items()}


class Selector(Protocol):
    """Waits for descriptors. `events` are READ, WRITE or both, and never none."""

    def register(self, descriptor: int, events: int) -> None:
        """Raises PermissionError if one cannot wait for `descriptor`: it is a file, for example."""
        ...

    def modify(self, descriptor: int, events: int) -> None: ...

    def unregister(self, descriptor: int) -> None:
        """`descriptor` may be closed already."""
        ...

    def select(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait up to `timeout` seconds (None: no bound). Returns (descriptor, events) pairs.

        The events are those of the registered ones that have happened: all of them if the
        descriptor has failed or is hung up. The descriptor may be closed by now.
        """
        ...

    def close(self) -> None: ...


class Epoll:
    """epoll(7)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._asked: dict[int, int] = {}

    def register(self, descriptor: int, events: int) -> None:
        self._epoll.register(descriptor, events)
        self._asked[descriptor] = events

    def modify(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)
        self._asked[descriptor] = events

    def unregister(self, descriptor: int) -> None:
        del self._asked[descriptor]
        try:
            self._epoll.unregister(descriptor)
        except OSError:
            pass  # epoll forgets a descriptor that is closed

    def select(self, timeout: float | None) -> list[tuple[int, int]]:
        ready = self._epoll.poll(timeout)
        for _, events in ready:
            if events > _BOTH:  # EPOLLERR or EPOLLHUP, which epoll reports without being asked
                asked = self._asked
                return [(each, got if got <= _BOTH else asked.get(each, 0)) for each, got in ready]
        return ready

    def close(self) -> None:
        self._epoll.close()


class Portable:
    """Python's best selector for this system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, descriptor: int, events: int) -> None:
        self._selector.register(descriptor, _TO_SELECTORS[events])

    def modify(self, descriptor: int, events: int) -> None:
        self._selector.modify(descriptor, _TO_SELECTORS[events])

    def unregister(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def select(self, timeout: float | None) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)
        return [(key.fd, _FROM_SELECTORS[events]) for key, events in ready]

    def close(self) -> None:
        self._selector.close()


def make_selector() -> Selector:
    return Epoll() if hasattr(select, "epoll") else Portable()
