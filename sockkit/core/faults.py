"""Faults that a relay injects, to test how programs behave on a bad network."""

from __future__ import annotations

from enum import StrEnum

from sockkit.core.units import show_seconds, show_size
from sockkit.values import Value

# After a sink was full or the loop was late, this many seconds' worth of a rate may pass at once.
# More would cause bursts above the rate; with less, the rate would not be reached.
BURST_SECONDS = 0.05


class Fault(StrEnum):
    """What happens to a connection, to one of its directions, or to a datagram."""

    REFUSED = "refused"
    SHAPED = "shaped"
    STALLED = "stalled"
    RESET = "reset"
    CLOSED = "closed"
    DROPPED = "dropped"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    CORRUPTED = "corrupted"


class Held:
    """Counts the bytes of memory held to be passed on later, in all directions together."""

    size = 0


class Disturbed(StrEnum):
    """The directions that have faults. SENT is from the client to the target."""

    SENT = "sent"
    RECEIVED = "received"
    BOTH = "both"


class FaultOptions(Value):
    """Which faults to inject. Each direction of a connection or peer counts by itself.

    `delay` and `jitter` are in seconds, `rate` in bytes a second. `chunk` is the most bytes to pass
    on at once. After so many bytes a direction stalls (`stall_at`), or the connection is reset or
    closed (`reset_at`, `close_at`). The rest are shares, 0 to 1: `refuse` of the connections, which
    are accepted and then reset, the others of the datagrams. A `seed` makes a run repeatable.
    """

    delay: float = 0.0
    jitter: float = 0.0
    rate: int | None = None
    chunk: int | None = None
    stall_at: int | None = None
    reset_at: int | None = None
    close_at: int | None = None
    refuse: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    disturbed: Disturbed = Disturbed.BOTH
    seed: int | None = None

    @property
    def of_streams(self) -> bool:
        """Whether there is a fault for connections."""
        seconds = self.delay or self.jitter
        stops = (self.stall_at, self.reset_at, self.close_at)
        return bool(seconds or self.rate or self.chunk or self.refuse) or any(stops)

    @property
    def of_datagrams(self) -> bool:
        """Whether there is a fault for datagrams."""
        shares = (self.drop, self.duplicate, self.reorder, self.corrupt)
        return self.late or any(shares)

    @property
    def random(self) -> bool:
        """Whether anything depends on the seed."""
        shares = (self.refuse, self.drop, self.duplicate, self.reorder, self.corrupt)
        return bool(self.jitter) or any(shares)

    @property
    def late(self) -> bool:
        """Whether bytes or datagrams are delayed."""
        return bool(self.delay or self.jitter or self.rate)

    @property
    def shape(self) -> str:
        """The faults that affect all bytes, in words; empty if there are none."""
        told = [f"delay {show_seconds(self.delay)}"] if self.delay else []
        told += [f"jitter {show_seconds(self.jitter)}"] if self.jitter else []
        told += [f"rate {show_size(self.rate)} a second"] if self.rate else []
        told += [f"chunks of {show_size(self.chunk)}"] if self.chunk else []
        return ", ".join(told)


class Pacer:
    """Says when to pass on each piece of a direction: after the delay, at the rate, and in order.

    The jitter of a piece or a datagram depends only on `seed` and on how many bytes came before.
    Times are in seconds of any one clock.
    """

    def __init__(self, options: FaultOptions, seed: str) -> None:
        self.delay, self._jitter, self.rate = options.delay, options.jitter, options.rate or 0
        self._seed = seed
        self._offset = 0  # of the next piece
        self._free_at = 0.0  # when the last piece has passed

    @property
    def late(self) -> float:
        """The longest that bytes are held, in seconds."""
        return self.delay + self._jitter

    def due(self, size: int, came: float) -> float:
        """When the next `size` bytes may pass. `came` is when they came."""
        passing = size / self.rate if self.rate else 0.0
        self._free_at = max(came + self._late(), self._free_at) + passing
        self._offset += size or 1  # so that each empty datagram has its own jitter
        return self._free_at

    def passed(self, now: float) -> None:
        """The last piece has passed at `now`, perhaps late."""
        self._free_at = max(self._free_at, now - BURST_SECONDS)

    def _late(self) -> float:
        if not self._jitter:
            return self.delay
        from random import Random  # few runs need it

        chosen = Random(f"{self._seed} {self._offset}").uniform(-self._jitter, self._jitter)
        return max(self.delay + chosen, 0.0)
