"""When a conversation over a stream is over: for tcp-client, `--once` and each client of a server.

Each of the two directions ends by itself (half-close). The caller reports each event with its time,
and asks whether the conversation is over and how long it may be silent. Times are seconds of any
one clock.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from operator import itemgetter

from sockkit.core.units import show_seconds
from sockkit.errors import IDLE, TimedOut
from sockkit.values import Value

PEER_ENDED_LINGER = 5.0  # seconds of silence of our input, once the peer has ended its side
FAULT_LINGER = 0.5  # seconds to receive what arrives although sending has failed
# Seconds of the peer's silence after which HalfClose.AUTO half-closes.
ANSWERED_SILENCE = 1.0  # of one that has answered
UNANSWERED_SILENCE = 10.0
CHECKS_PER_SILENCE = 8  # of a peer's progress
MIN_CHECK_SECONDS = 0.05  # between two checks


class Until(StrEnum):
    """Whose end of input ends a conversation."""

    BOTH = "both"
    STDIN = "stdin"
    PEER = "peer"
    EITHER = "either"


class HalfClose(StrEnum):
    """When our direction is half-closed, once our input has ended.

    Some peers drop their answer when they see that, and others wait for it. AUTO waits for the
    answer, for a bounded time.
    """

    NOW = "now"
    AUTO = "auto"
    NEVER = "never"


class EndOptions(Value):
    """`linger` and `idle` are seconds of silence, None for no bound (see `Ending.bounds`).

    A `patient` conversation without `linger` waits for its input for as long as that takes.
    """

    until: Until = Until.BOTH
    linger: float | None = None
    idle: float | None = None
    half_close: HalfClose = HalfClose.NOW
    patient: bool = False


def silence_only(idle: float | None) -> EndOptions | None:
    """For a connection that ends by its owner or after `idle` seconds of silence; None: by its
    owner.
    """
    return None if idle is None else EndOptions(idle=idle, patient=True)


def idle_error(seconds: float) -> TimedOut:
    return TimedOut(f"nothing was sent or received for {show_seconds(seconds)}", kind=IDLE)


def next_check(bound: float, now: float) -> float:
    """When to check next whether the peer has received more. `bound` is when its silence becomes
    too long.
    """
    return min(bound, now + max((bound - now) / CHECKS_PER_SILENCE, MIN_CHECK_SECONDS))


class Limit(Enum):
    """Which silence has lasted too long. After HALF_CLOSE the connection is to be half-closed."""

    HALF_CLOSE = auto()
    IDLE = auto()
    PEER_SILENT = auto()
    INPUT_SILENT = auto()


class Ending:
    """The state of one conversation's end.

    `answered` says whether the peer has sent something after our last byte.
    """

    __slots__ = (
        "_answered_at",
        "_delivered_at",
        "_options",
        "_received_at",
        "_sent_at",
        "half_closed",
        "input_ended",
        "peer_ended",
    )

    def __init__(self, options: EndOptions, now: float) -> None:
        self._options = options
        self._sent_at = self._received_at = self._delivered_at = now
        self._answered_at: float | None = None
        self.input_ended = self.peer_ended = self.half_closed = False

    @property
    def answered(self) -> bool:
        return self._answered_at is not None

    @property
    def sent_at(self) -> float:
        """When we have sent last."""
        return self._sent_at

    @property
    def waits_for_answer(self) -> bool:
        """Whether to half-close only after the answer, or after a silence."""
        return self._options.half_close is HalfClose.AUTO

    def sent(self, now: float) -> None:
        self._sent_at = now
        self._answered_at = None

    def received(self, now: float) -> None:
        self._received_at = self._answered_at = now

    def delivered(self, now: float) -> None:
        """The peer has received more of what we sent, so it was not silent."""
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

    def bounds(self) -> list[tuple[float, Limit]]:
        """When the present silence becomes too long, and which one that is; the earliest first."""
        bounds: list[tuple[float, Limit]] = []
        idle, linger = self._options.idle, self._options.linger
        if idle is not None:
            moved_at = max(self._sent_at, self._received_at, self._delivered_at)
            bounds.append((moved_at + idle, Limit.IDLE))
        if self.peer_ended and not self.input_ended:
            if linger is None and self._options.until is Until.BOTH and not self._options.patient:
                linger = PEER_ENDED_LINGER
            if linger is not None:
                bounds.append((self._sent_at + linger, Limit.INPUT_SILENT))
        elif self.input_ended and not self.peer_ended and linger is not None:
            heard_at = max(self._received_at, self._delivered_at)
            bounds.append((heard_at + linger, Limit.PEER_SILENT))
        if self.waits_for_answer and self.input_ended and not self.half_closed:
            bounds.append((self._half_close_at(), Limit.HALF_CLOSE))
        return sorted(bounds, key=itemgetter(0))

    def _half_close_at(self) -> float:
        if self._answered_at is None:
            return max(self._sent_at, self._delivered_at) + UNANSWERED_SILENCE
        return max(self._answered_at, self._delivered_at) + ANSWERED_SILENCE
