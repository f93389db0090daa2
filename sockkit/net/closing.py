"""The lingering close: it waits until the peer has acknowledged everything that we sent.

Closing a socket while the peer still sends resets the connection, and a reset can destroy the bytes
that we sent last: RFC 1122, section 4.2.2.13. So we half-close first. Then we receive and drop
bytes until the peer has acknowledged everything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from sockkit.core.units import show_seconds
from sockkit.errors import SendError, SockkitError, without_traceback
from sockkit.net.delivery import MAX_STALL_SECONDS, Progress
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox

MAX_CLOSE_SECONDS = 60.0  # for one close, even if the peer keeps acknowledging
MAX_SLOW_STALL_SECONDS = 2.0  # without acknowledgement, if we drop the peer because it is too slow
MAX_CHATTER_SECONDS = 2.0  # a peer that has acknowledged everything may send for so long
QUIET_SECONDS = 0.3  # after such a silence we close, if the peer has acknowledged everything
TICK_SECONDS = 0.05  # between checks of the acknowledgements
TICK_ALONE_SECONDS = 0.01  # the same, if the program ends with this connection
MAX_READ_BYTES_PER_TICK = 4 * 1024 * 1024  # from all connections together
# The most that a hasty close reads of the bytes that have arrived by then. Linux buffers at most
# 6 MiB for a receiver that does not ask for more: tcp(7), tcp_rmem.
MAX_ARRIVED_BYTES = 8 * 1024 * 1024
MAX_CLOSING_CONNECTIONS = 128  # before we accept one more, we close the oldest at once

# Called with the number of bytes that are not acknowledged, and with the error, if any.
OnClosed = Callable[[int, SockkitError | None], None]


class Closer:
    """Closes many connections side by side. Owns the ends that it closes.

    The time, work and descriptors that one peer can cost are bounded. A connection that is `alone`
    competes with no others: its close may last for as long as the peer acknowledges more. By
    default it is closed as soon as everything is acknowledged, after reading the bytes that have
    arrived, because a view may show them. With `polite` the peer first gets some time to end its
    own direction, as on a server with many clients.
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
        """Close `end` once the peer has acknowledged the bytes of `outbox`, or a bound is exceeded.

        Put nothing in `outbox` afterwards. `ended` is whether the peer has half-closed,
        `half_closed` whether we have. With `abort` we do not half-close, and close with a reset.
        `on_closed` is called once, perhaps before this returns.
        """
        closing = _LingeringClose(end, outbox, self._loop.now, on_closed)
        if abort:
            closing.ours = _Ours.RESET
        elif half_closed:
            closing.ours = _Ours.HALF_CLOSED
        if ended:
            closing.theirs = _Theirs.ENDED
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

        If bytes of `outbox` were dropped, the peer gets a reset instead of a regular end. Not if it
        is `alone`: then the peer has closed, or a signal ends the program.
        """
        return _close(end, outbox, abort=bool(outbox.size + outbox.dropped) and not self._alone)

    def reset(self, end: End, outbox: Outbox) -> int:
        """Close `end` at once with a reset. Returns the same as `close`."""
        return _close(end, outbox, abort=True)

    def failed(self, end: End, error: SockkitError) -> None:
        """Writing to `end` has failed: close it now."""
        for closing in list(self._closing):
            if closing.end is end:
                closing.failure = error
                self._close(closing)

    def make_space(self) -> None:
        """Call it before a connection is accepted: bounds how many are closing."""
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
            if closing.theirs is _Theirs.PAUSED:
                self._watch(closing)
            closing.read = 0
            self._review(closing)
        if self._closing and not self._timer:
            self._plan_check()

    def _watch(self, closing: _LingeringClose) -> None:
        closing.theirs = _Theirs.OPEN
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
            most = MAX_READ_BYTES_PER_TICK // len(self._closing)
            closing.received(size, self._loop.now, most)
            if closing.theirs is not _Theirs.OPEN:
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
        """Read the bytes that have arrived. Returns True if some must wait for a full view."""
        try:
            while closing.theirs is not _Theirs.ENDED and closing.arrived < MAX_ARRIVED_BYTES:
                size = closing.end.read_into(self._buffer)
                closing.arrived += size
                closing.received(size, self._loop.now, MAX_ARRIVED_BYTES)
        except BlockingIOError:
            held = self._loop.now < closing.last_received + MAX_STALL_SECONDS
            with suppress(SockkitError):
                return held and closing.end.has_bytes()
        except SockkitError:
            pass  # the peer has all that was sent to it
        return False

    def _close(self, closing: _LingeringClose) -> None:
        del self._closing[closing]
        close = self.reset if closing.ours is _Ours.RESET else self.close
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


class _Ours(Enum):
    """Our direction. OPEN: to be half-closed once all is written. RESET: to be reset at the end."""

    OPEN = auto()
    HALF_CLOSED = auto()
    RESET = auto()


class _Theirs(Enum):
    """The peer's direction. PAUSED: not read until the next check. ENDED: it has half-closed."""

    OPEN = auto()
    PAUSED = auto()
    ENDED = auto()


class _LingeringClose:
    """The close of one connection.

    `last_received` is the time of the last receive. `read` counts the bytes received since the last
    check, and `arrived` the bytes read by `_drain`. `failure` is the error that ended the close
    early.
    """

    __slots__ = (
        "_began",
        "_progress",
        "arrived",
        "end",
        "failure",
        "last_received",
        "on_closed",
        "ours",
        "outbox",
        "read",
        "theirs",
    )

    def __init__(self, end: End, outbox: Outbox, now: float, on_closed: OnClosed) -> None:
        self.end, self.outbox, self.on_closed = end, outbox, on_closed
        self._progress = Progress(end, now)
        self._began = self.last_received = now
        self.ours, self.theirs = _Ours.OPEN, _Theirs.OPEN
        self.failure: SockkitError | None = None
        self.read = self.arrived = 0

    def received(self, size: int, now: float, most: int) -> None:
        """A read has returned `size` bytes. After `most` bytes it pauses until the next check."""
        self.read += size
        if not size:
            self.theirs = _Theirs.ENDED
            return
        self.last_received = now
        if self.read >= most:
            self.theirs = _Theirs.PAUSED

    def settled(self, now: float, *, alone: bool, hasty: bool) -> bool:
        """Whether the peer has acknowledged everything, or has used up its time."""
        ended, resets = self.theirs is _Theirs.ENDED, self.ours is _Ours.RESET
        undelivered = self._progress.check(self.outbox.bytes_written, now) + self.outbox.size
        acknowledged_at = self._progress.acknowledged_at
        if undelivered:
            self.failure = self.end.failure() if ended else None
            stall = MAX_SLOW_STALL_SECONDS if self.outbox.dropped else MAX_STALL_SECONDS
            stalled = now >= acknowledged_at + stall
            if stalled and alone and not self.failure:
                self.failure = SendError(f"the peer accepted no data for {show_seconds(stall)}")
            too_long = not alone and now >= self._began + MAX_CLOSE_SECONDS
            return bool(self.failure) or stalled or too_long
        quiet_since = max(acknowledged_at, self.last_received)
        quiet_enough = min(quiet_since + QUIET_SECONDS, acknowledged_at + MAX_CHATTER_SECONDS)
        return ended or resets or hasty or now >= quiet_enough

    def half_close(self) -> None:
        """Half-close, once, when everything in the outbox has been written."""
        if self.ours is _Ours.OPEN and not (self.outbox.size or self.outbox.dropped):
            self.ours = _Ours.HALF_CLOSED
            self.end.half_close()
