"""When a conversation is over: the rules for tcp-client, `--once` and each client of a server.

Two directions, each with an end of its own (half-close). The rules are told what happens
and when; they answer whether it is over, and until when to wait for more. Times are seconds
of any one clock.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto

from sockkit.core.units import show_seconds
from sockkit.errors import TimedOut
from sockkit.values import Value

PEER_ENDED_LINGER = 5.0  # a peer that has ended its side is given input for so long a silence
FAULT_LINGER = 0.5  # to receive what a connection that does not send may still have
LOOKS = 8  # at a peer's progress, in the time of a silence that is too long
SOONEST = 0.05  # seconds between two looks


class Until(StrEnum):
    """Which ends end a conversation."""

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


def next_look(bound: float, now: float) -> float:
    """When to look next at whether the peer has got more, before its silence is too long."""
    return min(bound, now + max((bound - now) / LOOKS, SOONEST))


class Limit(Enum):
    """What a silence that has lasted too long means."""

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
        """The peer has got more of what was sent, and so was not silent."""
        self._delivered_at = now

    def end_input(self, now: float) -> None:
        """Our input has ended: a silence of the peer counts from now."""
        self.input_ended = True
        self._received_at = now

    def end_peer(self, now: float) -> None:
        """The peer has ended its side: a silence of our input counts from now."""
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
        """When the present silence becomes too long, and what it then means."""
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
