"""The lingering close: it waits until the peer has what was written to it.

Closing a socket while the peer still sends resets the connection, and a reset can destroy what
was written last: RFC 1122, section 4.2.2.13. So we half-close first. Then we read and drop what
the peer still sends, until it has acknowledged everything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sockkit.core.units import show_seconds
from sockkit.errors import SendError, SockkitError, without_traceback
from sockkit.net.delivery import MAX_STALL_SECONDS, Progress
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox

MAX_CLOSE_SECONDS = 60.0  # for one close, however steadily the peer acknowledges
MAX_SLOW_STALL_SECONDS = 2.0  # without acknowledgement, of a peer dropped for being too slow
MAX_CHATTER_SECONDS = 2.0  # for which a peer that has acknowledged everything may go on sending
QUIET_SECONDS = 0.3  # of silence after which a peer that has acknowledged everything is closed
TICK_SECONDS = 0.05  # between checks of what is acknowledged
TICK_ALONE_SECONDS = 0.01  # the same, when the program ends with this connection
MAX_READ_BYTES_PER_TICK = 4 * 1024 * 1024  # from all connections together
# Read of what has arrived, once all that was sent is acknowledged and only we are left to close.
# Linux keeps at most 6 MiB for a receiver that does not ask for more, tcp(7), tcp_rmem.
MAX_ARRIVED_BYTES = 8 * 1024 * 1024
MAX_CLOSING_CONNECTIONS = 128  # when one more is accepted, the oldest is closed at once

# Called with the number of bytes that are not acknowledged, and with the error, if any.
OnClosed = Callable[[int, SockkitError | None], None]


class Closer:
    """Closes many connections side by side. Owns the ends that it closes.

    The time, work and descriptors that one peer can cost are bounded. A connection that is
    `alone` shares them with nobody: it may last for as long as its peer acknowledges more. It is
    closed as soon as everything is acknowledged, and what has arrived by then is read: somebody
    may look at it. Unless it is `polite`: then the peer has some time to end its side as well, as
    it has on a server of many.
    """

    def __init__(self, loop: Loop, *, alone: bool = False, polite: bool = False) -> None:
        self._loop, self._alone = loop, alone
        self._hasty = alone and not polite
        self._buffer = memoryview(bytearray(64 * 1024))
        self._closing: dict[_LingeringClose, None] = {}  # oldest first
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._closing)

    def close_lingering(
        self,
        end: End,
        outbox: Outbox,
        on_closed: OnClosed,
        *,
        ended: bool,
        half_closed: bool,
        abort: bool = False,
    ) -> None:
        """Close `end` once the peer has acknowledged what was put in `outbox`, or a bound is met.

        Nothing may be put in `outbox` any more. `ended` is whether the peer has half-closed,
        `half_closed` whether we have. With `abort` it is not half-closed, and then closed with a
        reset. `on_closed` is called once, perhaps before this returns.
        """
        closing = _LingeringClose(end, outbox, self._loop.now, on_closed)
        closing.abort = abort
        closing.ended, closing.half_closed = ended, half_closed
        self._closing[closing] = None
        if ended:
            end.when_readable(None)
            self._review(closing)
        else:
            self._watch(closing)
            self._read(closing)
        if self._closing and not self._timer:
            self._plan_check()

    def close(self, end: End, outbox: Outbox) -> int:
        """Close `end` at once. Returns how many bytes written to it are not acknowledged.

        If part of what was put in `outbox` was dropped, the peer gets a reset instead of a regular
        end. Not when `alone`: then the peer has closed, or the program was told to end.
        """
        return _close(end, outbox, abort=bool(outbox.size + outbox.dropped) and not self._alone)

    def reset(self, end: End, outbox: Outbox) -> int:
        """The same with a reset."""
        return _close(end, outbox, abort=True)

    def failed(self, end: End, error: SockkitError) -> None:
        """What waited for `end` could not be written: close it now."""
        for closing in list(self._closing):
            if closing.end is end:
                closing.failure = error
                self._close(closing)

    def make_space(self) -> None:
        """Close the oldest at once if there are MAX_CLOSING_CONNECTIONS: one more is accepted."""
        if len(self._closing) >= MAX_CLOSING_CONNECTIONS:
            self._close(next(iter(self._closing)))

    def close_all(self) -> None:
        """Close all of them at once."""
        for closing in list(self._closing):
            self._close(closing)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _plan_check(self) -> None:
        self._timer = self._loop.later(
            TICK_ALONE_SECONDS if self._alone else TICK_SECONDS, self._check_all
        )

    def _check_all(self) -> None:
        self._timer = None
        for closing in list(self._closing):
            if closing.paused:
                self._watch(closing)
            closing.read = 0
            self._review(closing)
        if self._closing and not self._timer:
            self._plan_check()

    def _watch(self, closing: _LingeringClose) -> None:
        closing.paused = False
        closing.end.when_readable(lambda: self._read(closing))

    def _read(self, closing: _LingeringClose) -> None:
        try:
            size = closing.end.read_into(self._buffer)
        except BlockingIOError:
            pass
        except SockkitError as error:
            cause = without_traceback(error).__cause__
            if isinstance(cause, OSError):
                error = closing.end.write_failed(cause)  # what was sent may be lost
            closing.failure = error
            self._close(closing)
            return
        else:
            closing.ended = not size
            if size:
                closing.last_received = self._loop.now
            closing.read += size
            closing.paused = closing.read >= MAX_READ_BYTES_PER_TICK // len(self._closing)
            if closing.paused or closing.ended:
                closing.end.when_readable(None)
        self._review(closing)

    def _review(self, closing: _LingeringClose) -> None:
        if closing.settled(self._loop.now, alone=self._alone, hasty=self._hasty):
            if not (self._hasty and self._drain(closing)):
                self._close(closing)
            return
        try:
            closing.half_close()
        except SockkitError as error:
            closing.failure = without_traceback(error)
            self._close(closing)

    def _drain(self, closing: _LingeringClose) -> bool:
        """Read what has arrived. Returns whether some of it waits for a view that is full."""
        try:
            while not closing.ended and closing.arrived < MAX_ARRIVED_BYTES:
                size = closing.end.read_into(self._buffer)
                closing.arrived += size
                closing.ended, closing.last_received = not size, self._loop.now
        except BlockingIOError:
            held = self._loop.now < closing.last_received + MAX_STALL_SECONDS
            with suppress(SockkitError):
                return held and closing.end.has_bytes()
        except SockkitError:
            pass  # the peer has all that was sent to it
        return False

    def _close(self, closing: _LingeringClose) -> None:
        del self._closing[closing]
        close = self.reset if closing.abort else self.close
        undelivered = close(closing.end, closing.outbox)
        closing.on_closed(undelivered, closing.failure)


def _close(end: End, outbox: Outbox, *, abort: bool) -> int:
    end.when_readable(None)
    outbox.stop()
    undelivered = end.undelivered()
    if abort:
        end.abort()
    else:
        end.close()
    return undelivered


class _LingeringClose:
    """The close of one connection.

    `abort` is whether it ends with a reset. `ended` is whether the peer has half-closed,
    `half_closed` whether we have. `last_received` is the time of the last receive, `read` the
    bytes received since the last check, and `paused` whether they are as many as allowed. `arrived`
    are those read once all was acknowledged. `failure` is the error that ended the close early.
    """

    __slots__ = (
        "_began",
        "_progress",
        "abort",
        "arrived",
        "end",
        "ended",
        "failure",
        "half_closed",
        "last_received",
        "on_closed",
        "outbox",
        "paused",
        "read",
    )

    def __init__(self, end: End, outbox: Outbox, now: float, on_closed: OnClosed) -> None:
        self.end, self.outbox, self.on_closed = end, outbox, on_closed
        self._progress = Progress(end, now)
        self._began = self.last_received = now
        self.half_closed = self.ended = self.paused = self.abort = False
        self.failure: SockkitError | None = None
        self.read = self.arrived = 0

    def settled(self, now: float, *, alone: bool, hasty: bool) -> bool:
        """Whether the peer has acknowledged everything, or has used up its time."""
        undelivered = self._progress.check(self.outbox.bytes_written, now) + self.outbox.size
        acknowledged_at = self._progress.acknowledged_at
        if undelivered:
            self.failure = self.end.failure() if self.ended else None
            stall = MAX_SLOW_STALL_SECONDS if self.outbox.dropped else MAX_STALL_SECONDS
            stalled = now >= acknowledged_at + stall
            if stalled and alone and not self.failure:
                self.failure = SendError(f"the peer has taken nothing for {show_seconds(stall)}")
            too_long = not alone and now >= self._began + MAX_CLOSE_SECONDS
            return bool(self.failure) or stalled or too_long
        quiet_since = max(acknowledged_at, self.last_received)
        quiet_enough = min(quiet_since + QUIET_SECONDS, acknowledged_at + MAX_CHATTER_SECONDS)
        return self.ended or self.abort or hasty or now >= quiet_enough

    def half_close(self) -> None:
        """Half-close, once, when everything in the outbox has been written."""
        if not (self.half_closed or self.abort or self.outbox.size or self.outbox.dropped):
            self.half_closed = True
            self.end.half_close()
