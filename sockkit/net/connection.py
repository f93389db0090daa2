"""The life of one stream connection.

Movers move the bytes. The receiver passes the bytes of the peer to another end (a Pump) or to a
message handler (a Reader). The peer gets the bytes of the outbox and, where two ends are joined, of
the sender (a Pump). This module decides when the connection is over: by the state of each
direction, by the bounds on silence (core/ending.py), and by the lingering close (closing.py).

A connection reports to its owner. It does not stop the loop, and its callbacks do not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from sockkit.core.ending import FAULT_LINGER, Ending, EndOptions, Limit, next_check
from sockkit.core.units import show_size
from sockkit.errors import ReceiveError, SendError, SockkitError, without_traceback
from sockkit.events import Closed
from sockkit.net.closing import Closer
from sockkit.net.delivery import Progress
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.values import Value

HELD_UP_CHECK_SECONDS = 0.1  # between checks of a silence that is not the peer's fault


class Direction(Enum):
    """The state of one direction.

    ENDED: it has ended regularly (half-close). FAILED: an error ended it.
    """

    OPEN = auto()
    ENDED = auto()
    FAILED = auto()


class Stage(Enum):
    """How far the close of a connection has come. It never goes back.

    FINISHING: it reads no more, and writes the bytes that were read. CLOSING: it waits until the
    peer has acknowledged everything. CLOSED: it is closed, and the owner knows.
    """

    OPEN = auto()
    FINISHING = auto()
    CLOSING = auto()
    CLOSED = auto()


class Mover(Protocol):
    """Moves the bytes of one direction.

    `finish` reads no more, and reports to the connection once all bytes read are written. After
    `stop` it uses neither end.
    """

    @property
    def bytes_read(self) -> int: ...

    @property
    def bytes_written(self) -> int: ...

    def start(self) -> None: ...

    def finish(self) -> None: ...

    def stop(self) -> None: ...


class Result(Value):
    """How a connection ended.

    `error` ended it early; `failure` happened during the close. `undelivered` counts the bytes
    written but not acknowledged; `unsent` also counts the bytes that were never written.
    """

    error: SockkitError | None
    failure: SockkitError | None
    undelivered: int
    unsent: int


class Owner:
    """Gets the reports of a connection. A subclass overrides the methods that it needs."""

    __slots__ = ()

    def peer_ended(self) -> None:
        """The peer has half-closed, and the receiver has passed on everything that it sent."""

    def drained(self) -> None:
        """The outbox is empty: everything in it was written, or sending has failed."""

    def held_up(self, limit: Limit) -> bool:
        """Whether we ourselves cause the silence that exceeds `limit`. Then it ends nothing."""
        return False

    def over(self, limit: Limit | None) -> None:
        """End the connection: both directions have ended, or a silence has exceeded `limit`.

        For Limit.HALF_CLOSE only half-close it. Called only if the connection has `options`.
        """

    def closing(self) -> None:
        """Nothing more is received or sent. Called once, before `closed`."""

    def closed(self, result: Result) -> None:
        """The end is closed. Called once, and nothing is called after it."""


class Connection:
    """Owns `end`. Without `options` it ends only when its owner ends it, or on an error."""

    __slots__ = (
        "_closer",
        "_loop",
        "_outbox",
        "_owner",
        "_progress",
        "_timer",
        "end",
        "ending",
        "error",
        "receiver",
        "receiving",
        "sender",
        "sending",
        "stage",
    )

    def __init__(
        self, loop: Loop, end: End, owner: Owner, closer: Closer, options: EndOptions | None = None
    ) -> None:
        self._loop, self._owner, self._closer = loop, owner, closer
        self._timer: Timer | None = None
        self._progress = Progress(end, loop.now)
        self.end = end
        self.ending = Ending(options, loop.now) if options else None
        self._outbox: Outbox | None = None
        self.receiver: Mover | None = None
        self.sender: Mover | None = None
        self.sending = self.receiving = Direction.OPEN
        self.stage = Stage.OPEN
        self.error: SockkitError | None = None

    def start(self, receiver: Mover, sender: Mover | None = None) -> None:
        """Start receiving. The owner starts `sender`, once the outbox is empty."""
        self.receiver, self.sender = receiver, sender
        if self.stage is not Stage.OPEN:
            return  # sending has failed already, before the start
        receiver.start()
        self.review()

    @property
    def outbox(self) -> Outbox:
        """The outbox, made on first use: the two sides of a relay need none."""
        if not self._outbox:
            self._outbox = Outbox(
                self.end, on_progress=self.sent, on_empty=self._drained, on_fail=self.sending_failed
            )
        return self._outbox

    @property
    def bytes_sent(self) -> int:
        put = self._outbox.bytes_written if self._outbox else 0
        return put + (self.sender.bytes_written if self.sender else 0)

    @property
    def bytes_received(self) -> int:
        return self.receiver.bytes_read if self.receiver else 0

    @property
    def seconds(self) -> float:
        """How long the connection has lasted."""
        return self._loop.now - self._progress.began

    @property
    def is_open(self) -> bool:
        return self.stage is Stage.OPEN

    @property
    def totals(self) -> str:
        return f"sent {show_size(self.bytes_sent)}, received {show_size(self.bytes_received)}"

    @property
    def unsent(self) -> int:
        """How many of the bytes put in the outbox are not acknowledged."""
        return self.outbox.size + self.outbox.dropped + self.end.undelivered()

    def send(self, data: bytes) -> None:
        """Send `data`. The bytes that the end does not accept now wait in the outbox."""
        self.sent()
        self.outbox.put(data)

    def half_close(self) -> None:
        """End our direction, shutdown(2). All of our input must have been written."""
        if self.sending is Direction.OPEN:
            self.sending = Direction.ENDED
            if self.ending:
                self.ending.half_closed = True
            try:
                self.end.half_close()
            except SockkitError as error:
                self.sending_failed(without_traceback(error))

    def end_input(self) -> None:
        """Note that our input has ended: from now on only the peer keeps the connection open."""
        if self.ending:
            self.ending.end_input(self._loop.now)
        self.review()

    # What the movers report.

    def sent(self) -> None:
        if self.ending:
            self.ending.sent(self._loop.now)

    def received(self) -> None:
        if self.ending:
            self.ending.received(self._loop.now)

    def receiver_ended(self) -> None:
        """The receiver reads no more, and has passed on everything that it read."""
        if self.stage is Stage.FINISHING:
            self._deliver()
        elif self.stage is Stage.OPEN:
            self.receiving = Direction.ENDED
            self._owner.peer_ended()
            if self.stage is not Stage.OPEN:
                return
            if self.error:
                self.close()
                return
            if self.ending:
                self.ending.end_peer(self._loop.now)
            self.review()

    def receiving_failed(self, error: SockkitError) -> None:
        self.receiving = Direction.FAILED
        self.close(error)

    def sending_failed(self, error: SockkitError) -> None:
        """Sending has failed. We still receive what the peer has sent, for up to FAULT_LINGER."""
        self.sending = Direction.FAILED
        if self.stage is Stage.CLOSING:
            self._closer.failed(self.end, error)
            return
        self.error = self.error or error
        if self.stage is not Stage.OPEN:
            return  # it is being closed already
        if self.sender:
            self.sender.stop()
        if self.receiving is not Direction.OPEN:
            self.close()
        elif isinstance(error, SendError):
            self._wait(self._loop.now + FAULT_LINGER, self.finish)
            self._owner.drained()
        else:  # reading our input failed: the connection still works
            self.finish()

    def _drained(self) -> None:
        if self.stage is Stage.OPEN:
            self._owner.drained()
            self.review()

    # The end.

    def review(self) -> None:
        """Report `over` if the connection is over; otherwise set the timer for the next bound."""
        if self.stage is not Stage.OPEN or self.error or not self.ending:
            return
        self._cancel_timer()
        if self.ending.over():
            self._owner.over(None)
        elif bounds := self.ending.bounds():
            self._wait(next_check(bounds[0][0], self._loop.now), self._silent)

    def acknowledged_at(self) -> float:
        """When we last found that the peer had acknowledged more bytes."""
        self._progress.check(self.bytes_sent, self._loop.now)
        return self._progress.acknowledged_at

    def _silent(self) -> None:
        assert self.ending
        self.ending.delivered(self.acknowledged_at())
        exceeded = [limit for when, limit in self.ending.bounds() if when <= self._loop.now]
        if not exceeded:
            self.review()  # bytes have moved since the timer was set
            return
        for limit in exceeded:
            if not self._owner.held_up(limit):
                self._owner.over(limit)
                return
        if self.stage is Stage.OPEN:
            self._wait(self._loop.now + HELD_UP_CHECK_SECONDS, self._silent)

    def finish(self, error: SockkitError | None = None) -> None:
        """Read no more, write the bytes that were read, and close: at once if there is an error."""
        if self.stage is not Stage.OPEN:
            return
        self.stage = Stage.FINISHING
        self.error = self.error or error
        self._cancel_timer()
        if self.sender:
            self.sender.stop()
        if self.receiver and self.receiving is Direction.OPEN:
            self.receiver.finish()
        else:
            self._deliver()

    def close_lingering(self, error: SockkitError | None = None, *, drop: bool = False) -> None:
        """Close once the peer has acknowledged everything. With `drop`, empty the outbox first."""
        if self.stage is Stage.OPEN:
            self.error = self.error or error
            if drop:
                self.outbox.stop()
            self._linger()

    def close(self, error: SockkitError | None = None) -> None:
        """Close at once. The peer gets a reset if bytes in the outbox were dropped."""
        if self.stage in (Stage.OPEN, Stage.FINISHING):
            self.error = self.error or error
            self._stop()
            self._closed(self._closer.close(self.end, self.outbox), None)

    def reset(self) -> None:
        """Close with a reset: bytes that the peer has not received are lost."""
        if self.stage in (Stage.OPEN, Stage.FINISHING):
            self._stop()
            self._closed(self._closer.reset(self.end, self.outbox), None)

    def reset_lingering(self) -> None:
        """Close with a reset once the peer has acknowledged everything."""
        if self.stage in (Stage.OPEN, Stage.FINISHING):
            self._linger(abort=True)

    def _deliver(self) -> None:
        if self.error:
            self.close()
        else:
            self._linger()

    def _linger(self, *, abort: bool = False) -> None:
        self._stop()
        self._closer.close_lingering(
            self.end,
            self.outbox,
            self._closed,
            ended=self.receiving is Direction.ENDED,
            half_closed=self.sending is Direction.ENDED,
            abort=abort,
        )

    def _stop(self) -> None:
        self.stage = Stage.CLOSING
        self._cancel_timer()
        for mover in (self.receiver, self.sender):
            if mover:
                mover.stop()
        self._owner.closing()

    def _closed(self, undelivered: int, failure: SockkitError | None) -> None:
        self.stage = Stage.CLOSED
        unsent = self.outbox.dropped + undelivered
        self._owner.closed(Result(self.error, failure, undelivered, unsent))

    def _wait(self, when: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.at(when, callback)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def closed_event(
    connection: Connection,
    result: Result,
    unsent: int,
    why: str = "",
    kind: str = "",
    *,
    lost: bool = True,
) -> Closed:
    """The event of a closed connection: `why` it ended, and how many bytes the peer did not get."""
    sent, received = connection.bytes_sent - result.undelivered, connection.bytes_received
    problems = [why] if why else []
    if unsent:
        problems.append(f"{show_size(unsent)} not sent")
        kind = kind or why or "part was not sent"
    told, seconds = ", ".join(problems), connection.seconds
    return Closed(connection.end.peer, sent, received, told, kind or why, lost, seconds)


def closed_with_reason(connection: Connection, result: Result) -> Closed:
    """The event of a closed connection, with the error and the unsent bytes of its `result`."""
    error, unsent = result.error, result.unsent
    why = _why(error) if error else "connection reset" if result.failure and unsent else ""
    # If the peer had received everything before it reset the connection, nothing is lost.
    lost = connection.receiving is not Direction.FAILED or bool(unsent)
    return closed_event(connection, result, unsent, why, error.kind if error else "", lost=lost)


def _why(error: SockkitError) -> str:
    """The error that ended the connection, without its address: the line begins with that."""
    failed = isinstance(error, SendError | ReceiveError)
    return error.kind if failed and error.kind else str(error)
