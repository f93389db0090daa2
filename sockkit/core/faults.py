"""Faults that a relay injects, to see how programs take a bad network."""

from __future__ import annotations

from enum import StrEnum

from sockkit.core.units import show_seconds, show_size
from sockkit.values import Value

# Of a rate, what may pass at once after a sink was full or the loop was late. More would be a burst
# that the rate does not allow, and less would make it slower than it is.
BURST_SECONDS = 0.05


class Fault(StrEnum):
    """What is done to a connection, to one direction of it, or to a datagram."""

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
    """How many bytes of memory a run holds to pass them on later."""

    size = 0


class Disturbed(StrEnum):
    """The directions that are disturbed. SENT is from the client to the target."""

    SENT = "sent"
    RECEIVED = "received"
    BOTH = "both"


class FaultOptions(Value):
    """What happens to the bytes of a connection, or to datagrams, in each direction by itself.

    `delay` and `jitter` are in seconds, `rate` in bytes a second. `chunk` is the most bytes passed
    on at once. After so many bytes a direction stalls (`stall_at`), or the connection is reset or
    closed (`reset_at`, `close_at`). The rest are shares, 0 to 1: of connections that are accepted
    and then reset, and of datagrams. A `seed` makes a run repeatable.
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
        """Whether anything is done to connections."""
        seconds = self.delay or self.jitter
        stops = (self.stall_at, self.reset_at, self.close_at)
        return bool(seconds or self.rate or self.chunk or self.refuse) or any(stops)

    @property
    def of_datagrams(self) -> bool:
        """Whether anything is done to datagrams."""
        shares = (self.drop, self.duplicate, self.reorder, self.corrupt)
        return self.late or any(shares)

    @property
    def random(self) -> bool:
        """Whether anything depends on the seed."""
        shares = (self.refuse, self.drop, self.duplicate, self.reorder, self.corrupt)
        return bool(self.jitter) or any(shares)

    @property
    def late(self) -> bool:
        """Whether what passes is late."""
        return bool(self.delay or self.jitter or self.rate)

    @property
    def shape(self) -> str:
        """What is done to all bytes, in words; empty if nothing."""
        told = [f"delay {show_seconds(self.delay)}"] if self.delay else []
        told += [f"jitter {show_seconds(self.jitter)}"] if self.jitter else []
        told += [f"rate {show_size(self.rate)} a second"] if self.rate else []
        told += [f"chunks of {show_size(self.chunk)}"] if self.chunk else []
        return ", ".join(told)


class Pacer:
    """Says when what passes in a direction is due: late by the delay, at the rate, and in order.

    The jitter of a piece of a stream, or of a datagram, follows from `seed` and from how many bytes
    came before it. Times are in seconds of any one clock.
    """

    def __init__(self, options: FaultOptions, seed: str) -> None:
        self.delay, self._jitter, self.rate = options.delay, options.jitter, options.rate or 0
        self._seed = seed
        self._offset = 0  # of the next one
        self._free_at = 0.0  # when the last one has passed

    @property
    def late(self) -> float:
        """The most seconds that bytes are held for."""
        return self.delay + self._jitter

    def due(self, size: int, came: float) -> float:
        """When the next `size` bytes may pass, that came then."""
        passing = size / self.rate if self.rate else 0.0
        self._free_at = max(came + self._late(), self._free_at) + passing
        self._offset += size or 1  # each of several empty datagrams has its own jitter
        return self._free_at

    def passed(self, now: float) -> None:
        """The last one has passed, perhaps later than it was due."""
        self._free_at = max(self._free_at, now - BURST_SECONDS)

    def _late(self) -> float:
        if not self._jitter:
            return self.delay
        from random import Random  # few runs need it

        chosen = Random(f"{self._seed} {self._offset}").uniform(-self._jitter, self._jitter)
        return max(self.delay + chosen, 0.0)
