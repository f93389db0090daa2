"""Pairs: a client of a relay, and the connection to the target that the relay makes for it.

Bytes, half-closes and resets pass from each side to the other. Neither side has a linger: a
half-closed connection lives until the other side ends, or until the idle timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from sockkit.core.ending import EndOptions, HalfClose, Limit, idle_error
from sockkit.core.text import Transform
from sockkit.errors import BROKEN_OFF, ReceiveError, SendError, SockkitError, TimedOut, reason
from sockkit.events import Closed, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Result, Stage, closed_with_reason
from sockkit.net.context import Context
from sockkit.net.ends.end import Kind, PeerEnd, PeerExited
from sockkit.net.join import Joined
from sockkit.net.loop import Timer
from sockkit.net.pump import Pump
from sockkit.net.tcp.dial import lacks_resources
from sockkit.net.waiting import Done, OnDone, Pending
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.faults import Fault
    from sockkit.net.relay.faults import Faults

Dial = Callable[[PeerEnd, OnDone[PeerEnd]], Pending]  # connects to the target for a client

_NOTHING = Done()
# If the system has no socket for the connection to the target, it may have one soon. So the client
# waits, but not for ever.
DIAL_PAUSE_SECONDS = 0.5
MAX_DIAL_PAUSES = 20
RESET_SECONDS = 5.0  # to deliver to one side what the other sent before its reset


class Shared(Value):
    """What all pairs share.

    `dial` connects to the target for a client. `to_target` and `to_client` make a connection's
    transforms. `idle` is in seconds, None for no bound; `buffer_size` is as in lanes.py. `faults`
    are the faults to apply.
    """

    context: Context
    closer: Closer
    dial: Dial
    to_target: Callable[[], Transform | None] = lambda: None
    to_client: Callable[[], Transform | None] = lambda: None
    idle: float | None = None
    buffer_size: int | None = None
    faults: Faults | None = None


class Outcome(Value):
    """How a pair has ended.

    `error` has ended it early, or is the failure of its close. `closed` is None if the target could
    not be reached. `totals` says how many bytes were moved.
    """

    error: SockkitError | None = None
    closed: Closed | None = None
    totals: str = ""


_OPEN = Outcome()


class _Stage(Enum):
    """How far a pair has come.

    PAUSED: the system had no socket, so it dials again later. RELAYING: both sides are open.
    ENDING: one side is closed. CLOSED: its outcome is reported.
    """

    DIALLING = auto()
    PAUSED = auto()
    RELAYING = auto()
    ENDING = auto()
    CLOSED = auto()


class Pair:
    """Owns the client's end, and the target's end once it is dialled.

    `on_closed` is called once, after both are closed, but not after `close`. There may be thousands
    of pairs, so they are small.
    """

    __slots__ = (
        "_end",
        "_on_closed",
        "_outcome",
        "_pauses",
        "_pending",
        "_shared",
        "_sides",
        "_stage",
        "peer",
    )

    def __init__(
        self, shared: Shared, end: PeerEnd, on_closed: Callable[[Pair, Outcome], None]
    ) -> None:
        self._shared, self._end, self._on_closed = shared, end, on_closed
        self._pauses = 0
        self._pending: Pending | Timer = _NOTHING  # while DIALLING or PAUSED
        self._sides: list[_Side] = []
        self._stage = _Stage.DIALLING
        self._outcome = _OPEN
        self.peer = end.peer

    def start(self) -> None:
        """Dial the target. We do not read the client before we are connected."""
        faults = self._shared.faults
        if faults and faults.refuses(self._end):
            self._end.abort()
            self._finish(Outcome(closed=Closed(self.peer, 0, 0)))
            return
        self._end.when_reset(self._left)
        self._dial()

    def close(self) -> None:
        """Close all at once, and report nothing.

        A side is reset unless it was sent everything, and the other peer's end: a regular close
        would say that the transfer is complete.
        """
        if not self._sides:
            self._give_up()
        self._stage = _Stage.CLOSED
        for side, lacks in [(side, side.lacks_end or side.lacks_bytes()) for side in self._sides]:
            (side.connection.reset if lacks else side.connection.close)()

    def _finish(self, outcome: Outcome) -> None:
        self._stage = _Stage.CLOSED
        self._on_closed(self, outcome)

    # Until there is a connection to the target.

    def _dial(self) -> None:
        self._stage = _Stage.DIALLING
        dialling = self._shared.dial(self._end, self._dialled)
        if self._stage is _Stage.DIALLING:
            self._pending = dialling

    def _left(self, error: SockkitError) -> None:
        """The client has reset while we dial. If it has sent bytes, they are still passed on."""
        with suppress(SockkitError):  # the reset itself
            if self._end.has_bytes():
                self._end.when_reset(None)
                return
        self._give_up()
        closed = Closed(self.peer, 0, 0, error.kind, BROKEN_OFF, lost=False)
        self._finish(Outcome(error, closed))

    def _give_up(self) -> None:
        self._pending.cancel()
        self._end.when_reset(None)
        self._end.abort()

    def _dialled(self, target: PeerEnd | SockkitError) -> None:
        if isinstance(target, SockkitError) and self._waits(target):
            return
        self._end.when_reset(None)
        self._pending = _NOTHING
        if isinstance(target, SockkitError):
            was_reset = isinstance(target.__cause__, ConnectionResetError)  # so it had accepted
            (self._end.abort if was_reset else self._end.close)()
            self._finish(Outcome(target))
        else:
            self._stage = _Stage.RELAYING
            self._join(target)

    def _waits(self, error: SockkitError) -> bool:
        """Dial again later if our system was the problem, not the target."""
        if self._pauses >= MAX_DIAL_PAUSES or not lacks_resources(error):
            return False
        self._stage, self._pauses = _Stage.PAUSED, self._pauses + 1
        context = self._shared.context
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        told = f"no socket for a connection to the target ({why})"
        context.emit(Notice(f"{told}: its client waits", f"{told}: a client waits"))
        self._pending = context.loop.later(DIAL_PAUSE_SECONDS, self._dial)
        return True

    # From then on.

    def _join(self, target: PeerEnd) -> None:
        shared = self._shared
        # An encrypted peer may drop its answer if we half-close too early: see HalfClose.
        auto = HalfClose.AUTO if target.kind is Kind.ENCRYPTED else HalfClose.NOW
        if shared.faults:
            self._end, target = shared.faults.disturb(self._end, target, self._stopped)
        client = _Side(shared, self._end, _ending(shared.idle, HalfClose.NOW), self)
        server = _Side(shared, target, _ending(shared.idle, auto), self)
        self._sides = [client, server]
        client.join(server, shared.to_target())
        server.join(client, shared.to_client())
        for side in self._sides:
            side.start()

    def _stopped(self, fault: Fault) -> None:
        """A fault has stopped a direction, and perhaps the connection."""
        for side in self._sides:
            side.stopped(fault)

    def closed(self, side: _Side, result: Result) -> None:
        """One side is closed. If it failed, end the other in the same way."""
        if self._stage is _Stage.CLOSED:
            return
        other = self._sides[side is self._sides[0]]
        failed = result.error or (result.failure if result.undelivered else None)
        if not self._outcome.error and (failed or side is self._sides[0]):
            closed = closed_with_reason(side.connection, result)
            if side is self._sides[0]:  # sent is what the client has sent, as in records
                closed = closed._replace(sent=closed.received, received=closed.sent)
            if isinstance(failed, SendError | ReceiveError):
                closed = closed._replace(kind=BROKEN_OFF)
            self._outcome = Outcome(failed, closed, totals=self._sides[1].connection.totals)
        if self._stage is _Stage.ENDING:
            self._finish(self._outcome)
            return
        self._stage = _Stage.ENDING
        if failed:
            other.other_failed(failed)


@cache
def _ending(idle: float | None, half_close: HalfClose) -> EndOptions:
    return EndOptions(idle=idle, half_close=half_close, patient=True)


class _Side(Joined):
    """One of the two connections. What it receives, the other sends."""

    __slots__ = (
        "_buffer_size",
        "_end",
        "_faults",
        "_has_exited",
        "_loop",
        "_other",
        "_pair",
        "_reset_timer",
        "_timed",
    )
    _other: _Side

    def __init__(self, shared: Shared, end: PeerEnd, ending: EndOptions, pair: Pair) -> None:
        context = shared.context
        super().__init__(context, end, shared.closer, ending, "the other side")
        self._end, self._loop, self._buffer_size = end, context.loop, shared.buffer_size
        self._pair, self._faults, self._has_exited = pair, shared.faults, False
        self._reset_timer: Timer | None = None
        # Without an idle timeout nobody needs to know when bytes pass.
        self._timed = shared.idle is not None or ending.half_close is HalfClose.AUTO

    @property
    def connection(self) -> Connection:
        return self._connection

    def join(self, other: _Side, transform: Transform | None) -> None:
        """Send what this side receives to `other`."""
        self._other = other
        self._receiver = other._sender = Pump(
            self._loop,
            self._end,
            other._end,
            transform,
            self._buffer_size,
            on_progress=self._moved if self._timed or other._timed else None,
            on_end=self._connection.receiver_ended,
            on_fail=self._failed,
        )

    def start(self) -> None:
        self._connection.start(self._receiver, self._sender)
        self._end.when_reset(self._was_reset)

    def stopped(self, fault: Fault) -> None:
        """Reset or close it, once its peer has received what was sent."""
        if fault == "reset":
            self._connection.reset_lingering()
        elif fault == "closed":
            self._connection.close_lingering()

    def other_failed(self, error: SockkitError) -> None:
        """The other side has failed: end this one in the same way."""
        if isinstance(error, TimedOut):
            self._close_silent()
        else:
            self._connection.reset_lingering()

    @property
    def lacks_end(self) -> bool:
        """Whether the other peer may send more."""
        return self._other.connection.receiving is Direction.OPEN

    def lacks_bytes(self) -> bool:
        """Whether bytes that the other peer has sent were not sent to this one."""
        other = self._other
        if self._sender.lane.held or (self._faults and self._faults.holds_back(other._end)):
            return True
        with suppress(SockkitError):  # the other peer has reset
            return other.connection.stage is not Stage.CLOSED and other._end.has_bytes()
        return False

    def held_up(self, limit: Limit) -> bool:
        """Also True for an idle timeout if the other peer still acknowledges bytes.

        A silence that a fault causes does not count either: it begins when the bytes are due.
        """
        if limit is Limit.IDLE:
            ends = (self._end, self._other._end)
            if self._faults and max(map(self._faults.due, ends)) + self._idle > self._loop.now:
                return True
            return self._other.waits_until(Limit.IDLE) > self._loop.now
        return super().held_up(limit)

    def waits_until(self, limit: Limit) -> float:
        ending = self._connection.ending
        assert ending
        return next(when for when, due in ending.bounds() if due is limit)

    def over(self, limit: Limit | None) -> None:
        if limit is Limit.IDLE:
            self._connection.error = idle_error(self._idle)
            self._close_silent()
        else:
            super().over(limit)

    def _close_silent(self) -> None:
        """Close. If unsent bytes are left, reset: the peer must not see a clean end."""
        (self._connection.reset if self.lacks_bytes() else self._connection.close)()

    def peer_ended(self) -> None:
        if self._connection.error:
            return  # a write has failed with the peer's reset: this is not a half-close
        self._emit(PeerEnded(self._connection.end.peer, self._connection.bytes_received))
        self._other._input_end.reached()
        if self._has_exited:
            self._exited()

    def closing(self) -> None:
        self._end.when_reset(None)
        if self._reset_timer:
            self._reset_timer.cancel()
        if self._faults:
            self._faults.release(self._end)
        pump = self._receiver
        pump.close()
        totals = ("received", pump.bytes_read, pump.lane.name, pump.seconds)
        self._emit(StreamTotal(self._connection.end.peer, *totals))

    def closed(self, result: Result) -> None:
        self._pair.closed(self, result)

    def _moved(self) -> None:
        self._connection.received()
        self._other._connection.sent()

    def _failed(self, error: SockkitError) -> None:
        if isinstance(error, SendError):
            self._other._sending_failed(error)
        elif isinstance(error, ReceiveError):
            self._connection.receiving_failed(error)
        elif isinstance(error, PeerExited):  # its output has stalled
            self._other._connection.reset_lingering()
            self._connection.close()
        else:  # what this peer sent cannot be converted
            self._connection.error = error
            self._connection.reset()

    def _sending_failed(self, error: SendError) -> None:
        """This peer accepts nothing more. The bytes that it sent before are still passed on."""
        self._connection.sending_failed(error)
        self._after_reset(self._connection.close)

    def _was_reset(self, error: SockkitError) -> None:
        """The peer has reset. Reading raises the error, too, after the bytes sent before it."""
        self._end.when_reset(None)
        if isinstance(error, PeerExited):
            self._exited()
        elif self._connection.receiving is not Direction.OPEN:
            self._connection.receiving_failed(error)
        elif not self._reset_timer:  # a write may have reported the reset already
            self._after_reset(lambda: self._give_up(error))

    def _exited(self) -> None:
        """This side is a program and has exited: deliver its output, then close both."""
        self._has_exited = True
        if self._connection.receiving is not Direction.OPEN:
            self._other._connection.close_lingering()
            self._connection.close()

    def _after_reset(self, callback: Callable[[], None]) -> None:
        """Call `callback` in RESET_SECONDS, unless the connection is closed by then."""
        if self._reset_timer:
            self._reset_timer.cancel()
        if self._connection.stage in (Stage.CLOSING, Stage.CLOSED):
            return
        self._reset_timer = self._loop.later(RESET_SECONDS, callback)

    def _give_up(self, error: SockkitError) -> None:
        if self._receiver.blocked:
            self._connection.receiving_failed(error)
        else:
            self._after_reset(lambda: self._give_up(error))
