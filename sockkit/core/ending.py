"""When a conversation over a stream is over: for tcp-client, `--once` and each client of a server.

Each of the two directions ends by itself (half-close). The caller tells what happens and when, and
asks whether the conversation is over and how long it may be silent. Times are seconds of any one
clock.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto

from sockkit.core.units import show_seconds
from sockkit.errors import TimedOut
from sockkit.values import Value

PEER_ENDED_LINGER = 5.0  # seconds of silence of our input, once the peer has ended its side
FAULT_LINGER = 0.5  # seconds to receive what arrives although sending has failed
CHECKS_PER_SILENCE = 8  # of a peer's progress
MIN_CHECK_SECONDS = 0.05  # between two checks


class Until(StrEnum):
    """Whose end of input ends a conversation."""

    BOTH = "both"
    STDIN = "stdin"
    PEER = "peer"
    EITHER = "either"


class EndOptions(Value):
    """`linger` and `idle` are seconds of silence, None for no bound (see `Ending.bound`)."""

    until: Until = Until.BOTH
    linger: float | None = None
    idle: float | None = None


def idle_error(seconds: float) -> TimedOut:
    return TimedOut(f"nothing was sent or received for {show_seconds(seconds)}")


def next_check(bound: float, now: float) -> float:
    """When to check next whether the peer has received more. `bound` is when its silence becomes
    too long.
    """
    return min(bound, now + max((bound - now) / CHECKS_PER_SILENCE, MIN_CHECK_SECONDS))


class Limit(Enum):
    """Which silence has lasted too long."""

    IDLE = auto()
    PEER_SILENT = auto()
    INPUT_SILENT = auto()


class Ending:
    """The state of one conversation's end."""

    def __init__(self, options: EndOptions, now: float) -> None:
        self._options = options
        self._sent_at = self._received_at = self._delivered_at = now
        self.input_ended = self.peer_ended = False

    def sent(self, now: float) -> None:
        self._sent_at = now

    def received(self, now: float) -> None:
        self._received_at = now

    def delivered(self, now: float) -> None:
        """More of what was sent is delivered, so the peer was not silent."""
        self._delivered_at = now

    def end_input(self, now: float) -> None:
        """Our input has ended: the peer's silence is measured from now."""
        self.input_ended = True
        self._received_at = now

    def end_peer(self, now: float) -> None:
        """The peer has ended its side: our input's silence is measured from now."""
        self.peer_ended = True
        self._sent_at = now

    def over(self) -> bool:
        match self._options.until:
            case Until.BOTH:
                return self.input_ended and self.peer_ended
            case Until.STDIN:
                return self.input_ended
            case Until.PEER:
                return self.peer_ended
            case Until.EITHER:
                return self.input_ended or self.peer_ended

    def bound(self) -> tuple[float, Limit] | None:
        """When the present silence becomes too long, and which one that is; None for never."""
        bounds: list[tuple[float, Limit]] = []
        idle, linger = self._options.idle, self._options.linger
        if idle is not None:
            moved_at = max(self._sent_at, self._received_at, self._delivered_at)
            bounds.append((moved_at + idle, Limit.IDLE))
        if self.peer_ended and not self.input_ended:
            if linger is None and self._options.until is Until.BOTH:
                linger = PEER_ENDED_LINGER
            if linger is not None:
                bounds.append((self._sent_at + linger, Limit.INPUT_SILENT))
        elif self.input_ended and not self.peer_ended and linger is not None:
            heard_at = max(self._received_at, self._delivered_at)
            bounds.append((heard_at + linger, Limit.PEER_SILENT))
        return min(bounds, default=None, key=lambda bound: bound[0])
