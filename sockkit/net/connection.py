"""The life of one stream connection, written once.

Bytes move by two movers. The receiver takes what the peer sends to another end (a Pump) or to a
message handler (a Reader). What goes to the peer comes from the outbox, and where two ends are
joined, from the sender (a Pump). What is here is when the connection is over: the state of each
direction, the bounds on silence (core/ending.py), and the close that delivers what was sent
(closing.py).

A connection reports to its owner. It neither stops the loop nor raises out of a callback.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from sockkit.core.ending import FAULT_LINGER, Ending, EndOptions, Limit, next_check
from sockkit.errors import SendError, SockkitError
from sockkit.net.closing import Closer
from sockkit.net.delivery import Progress
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.values import Value

HELD_UP_CHECK = 0.1  # seconds between looks at a silence that has another cause


class Direction(Enum):
    """The state of one direction: OPEN until its end was passed on, or an error has ended it."""

    OPEN = auto()
    ENDED = auto()
    FAILED = auto()


class Stage(Enum):
    """How far a connection is on its way to the close; it never goes back.

    FINISHING reads no more, and writes what was read. CLOSING waits until the peer has what was
    sent. CLOSED is reported to the owner.
    """

    OPEN = auto()
    FINISHING = auto()
    CLOSING = auto()
    CLOSED = auto()


class Mover(Protocol):
    """What moves the bytes of one direction. `finish` reads no more, and tells when all is
    written; `stop` leaves both ends alone at once.
    """

    @property
    def bytes_read(self) -> int: ...

    @property
    def bytes_written(self) -> int: ...

    def start(self) -> None: ...

    def finish(self) -> None: ...

    def stop(self) -> None: ...


class Outcome(Value):
    """How a connection ended.

    `error` ended it too early, `failure` was met while it was being closed. The peer's system has
    not acknowledged `undelivered` bytes; `unsent` adds what was never written.
    """

    error: SockkitError | None
    failure: SockkitError | None
    undelivered: int
    unsent: int


class Owner(Protocol):
    """Whom a connection reports to."""

    def peer_ended(self) -> None:
        """The peer has ended its side, and what it sent has been passed on."""
        ...

    def drained(self) -> None:
        """The outbox waited, and waits no longer."""
        ...

    def held_up(self, limit: Limit) -> bool:
        """Whether a silence that is too long has another cause than who is silent."""
        ...

    def over(self, limit: Limit | None) -> None:
        """Both ends have ended as the rules want, or a silence is too long: end the connection."""
        ...

    def closed(self, outcome: Outcome) -> None:
        """It is over, and its end is closed. Called once."""
        ...


class Connection:
    """Owns `end`. Without `options` only the owner knows when it is over."""

    __slots__ = (
        "_closer",
        "_loop",
        "_owner",
        "_progress",
        "_timer",
        "end",
        "ending",
        "error",
        "outbox",
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
        self.outbox = Outbox(
            end, on_progress=self.sent, on_empty=self._drained, on_fail=self.sending_failed
        )
        self.receiver: Mover | None = None
        self.sender: Mover | None = None
        self.sending = self.receiving = Direction.OPEN
        self.stage = Stage.OPEN
        self.error: SockkitError | None = None

    def start(self, receiver: Mover, sender: Mover | None = None) -> None:
        """Receive from now on. The owner starts the `sender`, once the outbox is empty."""
        self.receiver, self.sender = receiver, sender
        receiver.start()
        self.review()

    @property
    def bytes_sent(self) -> int:
        return self.outbox.bytes_written + (self.sender.bytes_written if self.sender else 0)

    @property
    def bytes_received(self) -> int:
        return self.receiver.bytes_read if self.receiver else 0

    @property
    def unsent(self) -> int:
        """Bytes put in the outbox that the peer's system does not have."""
        return self.outbox.size + self.outbox.dropped + self.end.undelivered()

    def send(self, data: bytes) -> None:
        """Write `data`, or keep in the outbox what the peer does not accept now."""
        self.sent()
        self.outbox.put(data)

    def half_close(self) -> None:
        """Tell the peer that our input has ended; everything of it is written."""
        if self.sending is Direction.OPEN:
            self.sending = Direction.ENDED
            try:
                self.end.half_close()
            except SockkitError as error:
                self.sending_failed(error)

    def end_input(self) -> None:
        """Our input has ended: only the peer keeps the connection open."""
        if self.ending:
            self.ending.end_input(self._loop.now)
        self.review()

    # What the movers tell.

    def sent(self) -> None:
        if self.ending:
            self.ending.sent(self._loop.now)

    def received(self) -> None:
        if self.ending:
            self.ending.received(self._loop.now)

    def receiver_ended(self) -> None:
        """All that was read has been passed on, and no more will be read."""
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
        """Nothing more can be sent, but what the peer has sent can still be received."""
        self.sending = Direction.FAILED
        self.error = self.error or error
        if self.stage is not Stage.OPEN:
            return  # then it ends soon
        if self.sender:
            self.sender.stop()
        if self.receiving is not Direction.OPEN:
            self.close()
        elif isinstance(error, SendError):
            self._wait(self._loop.now + FAULT_LINGER, self.finish)
            self._owner.drained()
        else:  # the input is at fault, not the connection
            self.finish()

    def _drained(self) -> None:
        if self.stage is Stage.OPEN:
            self._owner.drained()
            self.review()

    # The end.

    def review(self) -> None:
        """End what is over; otherwise wait, for as long as the silence may last."""
        if self.stage is not Stage.OPEN or self.error or not self.ending:
            return
        self._cancel_timer()
        if self.ending.over():
            self._owner.over(None)
        elif bound := self.ending.bound():
            self._wait(next_check(bound[0], self._loop.now), self._silent)

    def acknowledged_at(self) -> float:
        """When the peer's system was last seen to get more of what waited for it."""
        self._progress.look(self.bytes_sent, self._loop.now)
        return self._progress.moved_at

    def _silent(self) -> None:
        assert self.ending
        self.ending.delivered(self.acknowledged_at())
        bound = self.ending.bound()
        if not bound or bound[0] > self._loop.now:
            self.review()  # there has been progress since the timer was set
        elif self._owner.held_up(bound[1]):
            self._wait(self._loop.now + HELD_UP_CHECK, self._silent)
        else:
            self._owner.over(bound[1])

    def finish(self, error: SockkitError | None = None) -> None:
        """Read no more. Close once what was read is written and what was sent is delivered.

        With an `error` nobody waits for what was sent.
        """
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

    def leave(self, error: SockkitError | None = None, *, drop: bool = False) -> None:
        """Close once the peer has what was sent; `drop` what waits in the outbox."""
        if self.stage is Stage.OPEN:
            self.error = self.error or error
            if drop:
                self.outbox.stop()
            self._linger()

    def close(self, error: SockkitError | None = None) -> None:
        """Close now. A peer that does not get all that was to be sent gets a reset."""
        if self.stage in (Stage.OPEN, Stage.FINISHING):
            self.error = self.error or error
            self._stop()
            self._closed(self._closer.close_now(self.end, self.outbox), None)

    def _deliver(self) -> None:
        if self.error:
            self.close()
        else:
            self._linger()

    def _linger(self) -> None:
        self._stop()
        self._closer.close(
            self.end,
            self.outbox,
            self._closed,
            ended=self.receiving is Direction.ENDED,
            half_closed=self.sending is Direction.ENDED,
        )

    def _stop(self) -> None:
        self.stage = Stage.CLOSING
        self._cancel_timer()
        for mover in (self.receiver, self.sender):
            if mover:
                mover.stop()

    def _closed(self, undelivered: int, failure: SockkitError | None) -> None:
        self.stage = Stage.CLOSED
        unsent = self.outbox.size + self.outbox.dropped + undelivered
        self._owner.closed(Outcome(self.error, failure, undelivered, unsent))

    def _wait(self, when: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._loop.at(when, callback)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
