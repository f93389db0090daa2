"""Compares received bytes with recorded ones, both in pieces of any size.

Either side may be ahead of the other. The comparison holds only the bytes that are ahead, and a few
before them for the dumps of a difference.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from sockkit.core.difference import AROUND, Excerpt, first_difference, show_difference
from sockkit.core.dump_lines import BYTES
from sockkit.core.units import show_count, show_size

_KEPT = AROUND * BYTES  # bytes before the line that differs
_OVERHEAD = 100  # bytes of memory for each datagram, besides its data


class Difference(NamedTuple):
    """`what` says how they differ, as in "differs at byte 5"; `dumps` are lines that show it."""

    what: str
    dumps: str


class Comparison(Protocol):
    """`expected_ahead` and `received_ahead` count the bytes held, of which one is 0."""

    @property
    def expected_ahead(self) -> int: ...

    @property
    def received_ahead(self) -> int: ...

    def expect(self, data: bytes, /) -> Difference | None:
        """The recording goes on with `data`."""
        ...

    def receive(self, data: bytes, /) -> Difference | None: ...

    def end(self) -> Difference | None:
        """Both sides end here. Returns the difference if one side is longer."""
        ...


class ByteComparison:
    """Compares streams: only the bytes count, not the pieces in which they come."""

    def __init__(self) -> None:
        self._same = b""  # the last bytes that were equal
        self._start = 0  # the offset of the first of these, where a line of the dump begins
        self._expected, self._received = bytearray(), bytearray()

    @property
    def expected_ahead(self) -> int:
        return len(self._expected)

    @property
    def received_ahead(self) -> int:
        return len(self._received)

    def expect(self, data: bytes, /) -> Difference | None:
        self._expected += data
        return self._compare()

    def receive(self, data: bytes, /) -> Difference | None:
        self._received += data
        return self._compare()

    def end(self) -> Difference | None:
        if self._expected:
            size = self._offset + len(self._expected)
            return self._difference(f"ended after {self._offset:,} of {show_size(size)}", 0, True)
        if self._received:
            return self._difference(f"goes on after {show_size(self._offset)}", 0, True)
        return None

    def _compare(self) -> Difference | None:
        size = min(len(self._expected), len(self._received))
        same = self._expected[:size]
        if same != self._received[:size]:
            at = first_difference(self._expected, self._received)
            return self._difference(f"differs at byte {self._offset + at}", at)
        del self._expected[:size], self._received[:size]
        known = self._same + same
        rest = max(len(known) // BYTES * BYTES - _KEPT, 0)
        self._start += rest
        self._same = known[rest:]
        return None

    @property
    def _offset(self) -> int:
        """How many bytes are known to be equal."""
        return self._start + len(self._same)

    def _difference(self, what: str, at: int, complete: bool = False) -> Difference:
        """The difference that is `at` bytes after those known to be equal.

        Unless both sides are `complete`, more may follow.
        """
        offset = self._offset + at
        expected, received = (
            Excerpt(self._same + side, self._start, complete)
            for side in (self._expected, self._received)
        )
        return Difference(what, show_difference(offset, expected, received))


class DatagramComparison:
    """Compares datagrams, one by one in their order."""

    def __init__(self) -> None:
        self._expected: deque[bytes] = deque()
        self._received: deque[bytes] = deque()
        self.expected_ahead = self.received_ahead = 0
        self._count = 0  # of pairs that were equal

    def expect(self, data: bytes, /) -> Difference | None:
        self._expected.append(data)
        self.expected_ahead += len(data) + _OVERHEAD
        return self._compare()

    def receive(self, data: bytes, /) -> Difference | None:
        self._received.append(data)
        self.received_ahead += len(data) + _OVERHEAD
        return self._compare()

    def end(self) -> Difference | None:
        if self._expected:
            count = show_count(self._count + len(self._expected), "datagram")
            return self._difference(f"ended after {self._count:,} of {count}", 0)
        if self._received:
            count = show_count(self._count, "datagram")
            return self._difference(f"goes on after {count}", 0)
        return None

    def _compare(self) -> Difference | None:
        if not (self._expected and self._received):
            return None
        expected, received = self._expected[0], self._received[0]
        if expected != received:
            at = first_difference(expected, received)
            return self._difference(f"differs at byte {at} of datagram {self._count + 1}", at)
        self._count += 1
        for side in (self._expected, self._received):
            side.popleft()
        self.expected_ahead -= min(self.expected_ahead, len(expected) + _OVERHEAD)
        self.received_ahead -= min(self.received_ahead, len(expected) + _OVERHEAD)
        return None

    def _difference(self, what: str, at: int) -> Difference:
        expected, received = (
            Excerpt(side[0] if side else b"") for side in (self._expected, self._received)
        )
        return Difference(what, show_difference(at, expected, received))
