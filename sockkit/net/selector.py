"""What a loop waits with: epoll(7) itself where the system has it, else what `selectors` has.

A selector of Python's makes several objects for each event. That is a third of what Python costs a
small message through a relay.
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
        """Raises PermissionError for what cannot be waited for, such as a file."""
        ...

    def modify(self, descriptor: int, events: int) -> None: ...

    def unregister(self, descriptor: int) -> None:
        """The descriptor may be closed already."""
        ...

    def select(self, timeout: float | None) -> list[tuple[int, int]]:
        """The descriptors that are ready, with those of the events asked for that are.

        One that has failed, or is hung up, is ready for all. It may be one that was registered and
        is closed by now. `timeout` is in seconds, None for no bound.
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
            if events > _BOTH:  # there is an EPOLLERR or an EPOLLHUP, which nobody asks for
                asked = self._asked
                return [(each, got if got <= _BOTH else asked.get(each, 0)) for each, got in ready]
        return ready

    def close(self) -> None:
        self._epoll.close()


class Portable:
    """The best that `selectors` has for the system."""

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
