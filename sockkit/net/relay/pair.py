"""A pair of a relay: a client, and the connection to the target that was made for it.

What one side sends, the other gets, and so are its half-close and its reset. Neither side has a
linger: a half-closed connection lives until the other side ends, or nothing moves for too long.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.ending import EndOptions, HalfClose
from sockkit.core.text import Transform
from sockkit.errors import SendError, SockkitError, TimedOut, reason
from sockkit.events import Closed, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Result, closed_with_reason
from sockkit.net.context import Context
from sockkit.net.ends.end import Kind, PeerEnd
from sockkit.net.join import Joined
from sockkit.net.loop import Timer
from sockkit.net.pump import Pump
from sockkit.net.tcp.dial import lacks_resources
from sockkit.net.waiting import Done, OnDone, Pending
from sockkit.values import Value

_NOT_DIALLING = Done()
# Where the system has no socket for the target's connection, it may have one soon. So the client
# waits, but not for ever.
DIAL_PAUSE_SECONDS = 0.5
MAX_DIAL_PAUSES = 20
RESET_SECONDS = 5.0  # for one side to take what the other sent before its reset


# An encrypted peer may drop its answer when it is told the end: see HalfClose.
_ENDING = EndOptions(half_close=HalfClose.NOW, patient=True)
_ENCRYPTED_ENDING = EndOptions(half_close=HalfClose.AUTO, patient=True)


class PairOptions(Value):
    """What the pairs of a run share.

    `dial` connects to the target for a client. `to_target` and `to_client` make a connection's
    transforms. `idle` is in seconds, None for no bound; `buffer_size` is as in lanes.py.
    """

    context: Context
    closer: Closer
    dial: Callable[[PeerEnd, OnDone[PeerEnd]], Pending]
    to_target: Callable[[], Transform | None] = lambda: None
    to_client: Callable[[], Transform | None] = lambda: None
    idle: float | None = None
    buffer_size: int | None = None


class Outcome(Value):
    """How a pair has ended. `unreachable` is set if the target was not reached, and `closed` if it
    was; `error` is what has ended it early, or the failure of its close.
    """

    error: SockkitError | None = None
    closed: Closed | None = None
    unreachable: bool = False


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
        "_options",
        "_outcome",
        "_pauses",
        "_sides",
        "peer",
    )

    def __init__(
        self, options: PairOptions, end: PeerEnd, on_closed: Callable[[Pair, Outcome], None]
    ) -> None:
        self._options, self._end, self._on_closed = options, end, on_closed
        self._pauses = 0
        self._dialling: Pending | Timer = _NOT_DIALLING
        self._sides: list[_Side] = []
        self._open = 0  # sides
        self._outcome = _OPEN
        self.peer = end.peer

    def start(self) -> None:
        """Dial the target. The client is not read before that is done."""
        self._end.when_reset(self._left)
        self._dial()

    def _dial(self) -> None:
        self._dialling = _NOT_DIALLING
        dialling = self._options.dial(self._end, self._dialled)
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
        """The client has reset before it was relayed."""
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
        options = self._options
        ending = _ENCRYPTED_ENDING if target.kind is Kind.ENCRYPTED else _ENDING
        client = _Side(options, self._end, EndOptions(idle=options.idle, patient=True), self)
        server = _Side(options, target, ending, self)
        self._sides, self._open = [client, server], 2
        client.join(server, options.to_target())
        server.join(client, options.to_client())
        for side in self._sides:
            side.start()

    def _waits(self, error: SockkitError) -> bool:
        """Dial again later if it was not the target that could not be reached."""
        if self._pauses >= MAX_DIAL_PAUSES or not lacks_resources(error):
            return False
        self._pauses += 1
        context = self._options.context
        why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error)
        told = f"no socket for a connection to the target ({why})"
        context.emit(Notice(f"{told}: its client waits", f"{told}: a client waits"))
        self._dialling = context.loop.later(DIAL_PAUSE_SECONDS, self._dial)
        return True

    def closed(self, side: _Side, result: Result) -> None:
        """One side is closed. If it has failed, the other ends in the same way."""
        self._open -= 1
        last = not self._open  # the other may be closed within this call
        other = self._sides[side is self._sides[0]]
        failed = result.error or (result.failure if result.undelivered else None)
        if not self._outcome.error and (failed or side is self._sides[0]):
            self._outcome = Outcome(failed, closed_with_reason(side.connection, result))
        if failed:
            other.other_failed(failed)
        if last:
            self._on_closed(self, self._outcome)


def _nothing() -> None:
    pass


class _Side(Joined):
    """One of the two connections. What it receives, the other sends."""

    __slots__ = ("_buffer_size", "_end", "_loop", "_other", "_pair", "_timed")
    _other: _Side

    def __init__(self, options: PairOptions, end: PeerEnd, ending: EndOptions, pair: Pair) -> None:
        context = options.context
        super().__init__(context.emit, context.loop, end, options.closer, ending, "the other side")
        self._end, self._loop, self._buffer_size = end, context.loop, options.buffer_size
        self._pair = pair
        # Without a bound on silence nobody asks when something has passed.
        self._timed = options.idle is not None or ending.half_close is HalfClose.AUTO

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
            on_progress=self._moved if self._timed or other._timed else _nothing,
            on_end=self._connection.receiver_ended,
            on_fail=self._failed,
        )

    def start(self) -> None:
        self._connection.start(self._receiver, self._sender)
        self._end.when_reset(self._was_reset)

    def other_failed(self, error: SockkitError) -> None:
        """The other side is gone: end this one in the same way."""
        if isinstance(error, TimedOut):
            self._connection.close()
        else:
            self._connection.reset_lingering()

    def peer_ended(self) -> None:
        self._emit(PeerEnded(self._connection.end.peer, self._connection.bytes_received))
        self._other._input_end.reached()

    def closing(self) -> None:
        self._end.when_reset(None)
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
        else:
            self._connection.receiving_failed(error)

    def _sending_failed(self, error: SendError) -> None:
        """What this peer has sent is still passed on, if the other takes it in time."""
        self._connection.sending_failed(error)
        self._loop.later(RESET_SECONDS, self._connection.close)

    def _was_reset(self, error: SockkitError) -> None:
        """Whoever reads the connection meets the error itself, after what was sent before it."""
        self._end.when_reset(None)
        if self._connection.receiving is not Direction.OPEN:
            self._connection.receiving_failed(error)
        elif self._receiver.blocked:
            self._loop.later(RESET_SECONDS, lambda: self._give_up(error))

    def _give_up(self, error: SockkitError) -> None:
        if self._connection.is_open:
            self._connection.receiving_failed(error)
