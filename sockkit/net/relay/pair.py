"""A pair of a relay: a client, and the connection to the target that was made for it.

What one side sends, the other gets, and so are its half-close and its reset. Neither side has a
linger: a half-closed connection lives until the other side ends, or nothing moves for too long.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from sockkit.core.ending import EndOptions, HalfClose, Limit, idle_error
from sockkit.core.text import Transform
from sockkit.errors import ReceiveError, SendError, SockkitError, TimedOut, reason
from sockkit.events import Closed, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Result, closed_with_reason
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

_NOT_DIALLING = Done()
# Where the system has no socket for the target's connection, it may have one soon. So the client
# waits, but not for ever.
DIAL_PAUSE_SECONDS = 0.5
MAX_DIAL_PAUSES = 20
RESET_SECONDS = 5.0  # for one side to take what the other sent before its reset


class Shared(Value):
    """What the pairs of a run share.

    `dial` connects to the target for a client. `to_target` and `to_client` make a connection's
    transforms. `idle` is in seconds, None for no bound; `buffer_size` is as in lanes.py. `faults`
    are what to disturb the pairs with.
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
    """How a pair has ended. `unreachable` is set if the target was not reached, and `closed` if it
    was; `error` is what has ended it early, or the failure of its close. `totals` says how much was
    moved by then.
    """

    error: SockkitError | None = None
    closed: Closed | None = None
    unreachable: bool = False
    totals: str = ""


_OPEN = Outcome()


class Pair:
    """Owns the client's end, and the target's once it is dialled.

    `on_closed` is called once, after both are closed; not after `close`. There may be thousands:
    what is needed for a while only is dropped then.
    """

    __slots__ = (
        "_dialling",
        "_end",
        "_on_closed",
        "_open",
        "_outcome",
        "_pauses",
        "_shared",
        "_sides",
        "peer",
    )

    def __init__(
        self, shared: Shared, end: PeerEnd, on_closed: Callable[[Pair, Outcome], None]
    ) -> None:
        self._shared, self._end, self._on_closed = shared, end, on_closed
        self._pauses = 0
        self._dialling: Pending | Timer = _NOT_DIALLING
        self._sides: list[_Side] = []
        self._open = 0  # sides
        self._outcome = _OPEN
        self.peer = end.peer

    def start(self) -> None:
        """Dial the target. The client is not read before that is done."""
        faults = self._shared.faults
        if faults and faults.refuses(self._end):
            self._end.abort()
            self._on_closed(self, Outcome(closed=Closed(self.peer, 0, 0)))
            return
        self._end.when_reset(self._left)
        self._dial()

    def _dial(self) -> None:
        self._dialling = _NOT_DIALLING
        dialling = self._shared.dial(self._end, self._dialled)
        if not (self._sides or isinstance(self._dialling, Timer)):
            self._dialling = dialling

    def close(self) -> None:
        """Close all at once, and report nothing."""
        self._on_closed = lambda *_: None
        if not self._sides:
            self._give_up()
        for side in self._sides:
            side.connection.close()

    def _left(self, error: SockkitError) -> None:
        """The client has reset before it was relayed. What it had sent is still passed on."""
        with suppress(SockkitError):  # the reset itself
            if self._end.has_bytes():
                self._end.when_reset(None)
                return
        self._give_up()
        self._on_closed(self, Outcome(error, Closed(self.peer, 0, 0, error.kind, lost=False)))

    def _give_up(self) -> None:
        self._dialling.cancel()
        self._end.when_reset(None)
        self._end.close()

    def _dialled(self, target: PeerEnd | SockkitError) -> None:
        if isinstance(target, SockkitError) and self._waits(target):
            return
        self._end.when_reset(None)
        self._dialling = _NOT_DIALLING
        if isinstance(target, SockkitError):
            self._end.close()
            self._on_closed(self, Outcome(target, unreachable=True))
            return
        shared = self._shared
        # An encrypted peer may drop its answer when it is told the end: see HalfClose.
        auto = HalfClose.AUTO if target.kind is Kind.ENCRYPTED else HalfClose.NOW
        if shared.faults:
            self._end, target = shared.faults.disturb(self._end, target, self._stopped)
        client = _Side(shared, self._end, _ending(shared.idle, HalfClose.NOW), self)
        server = _Side(shared, target, _ending(shared.idle, auto), self)
        self._sides, self._open = [client, server], 2
        client.join(server, shared.to_target())
        server.join(client, shared.to_client())
        for side in self._sides:
            side.start()

    def _stopped(self, fault: Fault) -> None:
        """A direction has stopped on purpose, and perhaps the connection with it."""
        for side in self._sides:
            side.stopped(fault)

    def _waits(self, error: SockkitError) -> bool:
        """Dial again later if it was not the target that could not be reached."""
        if self._pauses >= MAX_DIAL_PAUSES or not lacks_resources(error):
            return False
        self._pauses += 1
        context = self._shared.context
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        told = f"no socket for a connection to the target ({why})"
        context.emit(Notice(f"{told}: its client waits", f"{told}: a client waits"))
        self._dialling = context.loop.later(DIAL_PAUSE_SECONDS, self._dial)
        return True

    def closed(self, side: _Side, result: Result) -> None:
        """One side is closed. If it has failed, the other ends in the same way."""
        self._open -= 1
        other = self._sides[side is self._sides[0]]
        failed = result.error or (result.failure if result.undelivered else None)
        if not self._outcome.error and (failed or side is self._sides[0]):
            closed = closed_with_reason(side.connection, result)
            if side is self._sides[0]:  # sent is what the client has sent, as in records
                closed = closed._replace(sent=closed.received, received=closed.sent)
            self._outcome = Outcome(failed, closed, totals=self._sides[1].connection.totals)
        if not self._open:
            self._on_closed(self, self._outcome)
        elif failed:
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
        "_timed",
    )
    _other: _Side

    def __init__(self, shared: Shared, end: PeerEnd, ending: EndOptions, pair: Pair) -> None:
        context = shared.context
        super().__init__(context, end, shared.closer, ending, "the other side")
        self._end, self._loop, self._buffer_size = end, context.loop, shared.buffer_size
        self._pair, self._faults, self._has_exited = pair, shared.faults, False
        # Without a bound on silence nobody asks when something has passed.
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
        """Reset or close it, once its peer has what was sent until now."""
        if fault == "reset":
            self._connection.reset_lingering()
        elif fault == "closed":
            self._connection.close_lingering()

    def other_failed(self, error: SockkitError) -> None:
        """The other side is gone: end this one in the same way."""
        if isinstance(error, TimedOut):
            self._close_silent()
        else:
            self._connection.reset_lingering()

    def held_up(self, limit: Limit) -> bool:
        """The other peer is not silent while it acknowledges what this one has sent. And what is
        held on purpose is our silence.
        """
        if limit is Limit.IDLE:
            ends = (self._end, self._other._end)
            if self._faults and any(map(self._faults.holds, ends)):
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
        """A peer that has not taken everything must not see a clean end."""
        if self._sender.lane.held:
            self._connection.reset()
        else:
            self._connection.close()

    def peer_ended(self) -> None:
        if self._connection.error:
            return  # it has reset, and a write has met that: this is no half-close
        self._emit(PeerEnded(self._connection.end.peer, self._connection.bytes_received))
        self._other._input_end.reached()
        if self._has_exited:
            self._exited()

    def closing(self) -> None:
        self._end.when_reset(None)
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
        elif isinstance(error, PeerExited):  # what it wrote has stalled
            self._other._connection.reset_lingering()
            self._connection.close()
        else:  # what this peer has sent cannot be converted
            self._connection.error = error
            self._connection.reset()

    def _sending_failed(self, error: SendError) -> None:
        """What this peer has sent is still passed on, if the other takes it in time."""
        self._connection.sending_failed(error)
        self._loop.later(RESET_SECONDS, self._connection.close)

    def _was_reset(self, error: SockkitError) -> None:
        """Whoever reads the connection meets the error itself, after what was sent before it."""
        self._end.when_reset(None)
        if isinstance(error, PeerExited):
            self._exited()
        elif self._connection.receiving is not Direction.OPEN:
            self._connection.receiving_failed(error)
        else:
            self._loop.later(RESET_SECONDS, lambda: self._give_up(error))

    def _exited(self) -> None:
        """It is a program that has exited: close both once the other has what it wrote."""
        self._has_exited = True
        if self._connection.receiving is not Direction.OPEN:
            self._other._connection.close_lingering()
            self._connection.close()

    def _give_up(self, error: SockkitError) -> None:
        if not self._connection.is_open:
            return
        if self._receiver.blocked:
            self._connection.receiving_failed(error)
        else:
            self._loop.later(RESET_SECONDS, lambda: self._give_up(error))
