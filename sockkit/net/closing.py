"""The lingering close: it waits until the peer has what was written to it.

To close a socket that still receives resets the connection, and a reset can destroy what was
written last, RFC 1122 section 4.2.2.13. So our side is ended first (half-close), and what the
peer still sends is read and thrown away until all is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.units import show_seconds
from sockkit.errors import SendError, SockkitError
from sockkit.net.delivery import STALL, Progress
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox

MAX_CLOSE = 60.0  # seconds, however steadily the peer acknowledges
TOO_SLOW = 2.0  # seconds without an acknowledgement of a peer that has already been too slow
CHATTER = 2.0  # seconds for which a peer that has it all may go on sending
QUIET = 0.3  # seconds of the peer's silence that end it, when all is acknowledged
TICK = 0.05  # seconds between looks at what is acknowledged
TICK_ALONE = 0.01  # the same, of one connection alone: somebody waits for the program's end
READ_A_TICK = 4 * 1024 * 1024  # bytes read between two looks, of all connections together
MAX_CLOSING = 128  # connections: when one more comes, the first of them gets no more time


# Told how many of the bytes that an outbox wrote are not acknowledged, and what has failed.
OnClosed = Callable[[int, SockkitError | None], None]


class Closer:
    """Closes connections, all side by side. Owns the ends it is given.

    The time, the processor and the descriptors that a peer can cost here are bounded. A
    connection that is `alone` costs nobody anything: it has as long as its peer acknowledges
    more, and is closed as soon as everything is acknowledged.
    """

    def __init__(self, loop: Loop, *, alone: bool = False) -> None:
        self._loop, self._alone = loop, alone
        self._buffer = memoryview(bytearray(64 * 1024))
        self._open: dict[_Closing, None] = {}  # in the order they began
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._open)

    def close(
        self,
        end: End,
        outbox: Outbox,
        on_closed: OnClosed,
        *,
        ended: bool,
        half_closed: bool = False,
    ) -> None:
        """Close `end` once the peer has what was put in `outbox`, which accepts no more.

        `ended` is whether the peer has ended its side, `half_closed` whether we have ended ours.
        `on_closed` may be called before this returns.
        """
        closing = _Closing(end, outbox, self._loop.now, on_closed)
        closing.ended, closing.half_closed = ended, half_closed
        self._open[closing] = None
        if ended:
            end.when_readable(None)
            self._review(closing)
        else:
            self._watch(closing)
            self._read(closing)
        if self._open and not self._timer:
            self._wait()

    def close_now(self, end: End, outbox: Outbox) -> int:
        """Close `end` without waiting; how many bytes that `outbox` wrote are not acknowledged.

        A peer that does not get all that was put in `outbox` gets a reset in place of an end, but
        for one that is alone: it has closed its side, or somebody has ended the program.
        """
        end.when_readable(None)
        outbox.stop()
        undelivered = end.undelivered()
        if outbox.dropped and not self._alone:
            end.abort()
        else:
            end.close()
        return undelivered

    def failed(self, end: End, error: SockkitError) -> None:
        """What waited for `end` could not be written: close it now."""
        for closing in list(self._open):
            if closing.end is end:
                closing.failure = error
                self._close(closing)

    def make_space(self) -> None:
        """A connection has come: of MAX_CLOSING that are being closed, close the first now."""
        if len(self._open) >= MAX_CLOSING:
            self._close(next(iter(self._open)))

    def stop(self) -> None:
        """Close all of them now."""
        for closing in list(self._open):
            self._close(closing)
        if self._timer:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._loop.later(TICK_ALONE if self._alone else TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for closing in list(self._open):
            if closing.paused:
                self._watch(closing)
            closing.read = 0
            self._review(closing)
        if self._open and not self._timer:
            self._wait()

    def _watch(self, closing: _Closing) -> None:
        closing.paused = False
        closing.end.when_readable(lambda: self._read(closing))

    def _read(self, closing: _Closing) -> None:
        try:
            size = closing.end.read_into(self._buffer)
        except BlockingIOError:
            pass
        except SockkitError as error:
            cause = error.__cause__
            if isinstance(cause, OSError):
                error = closing.end.write_failed(cause)  # what was sent may not have come
            closing.failure = error
            self._close(closing)
            return
        else:
            closing.ended = not size
            if size:
                closing.heard_at = self._loop.now
            closing.read += size
            closing.paused = closing.read >= READ_A_TICK // len(self._open)
            if closing.paused or closing.ended:
                closing.end.when_readable(None)
        self._review(closing)

    def _review(self, closing: _Closing) -> None:
        if closing.settled(self._loop.now, self._alone):
            self._close(closing)
            return
        try:
            closing.half_close()
        except SockkitError as error:
            closing.failure = error
            self._close(closing)

    def _close(self, closing: _Closing) -> None:
        del self._open[closing]
        undelivered = self.close_now(closing.end, closing.outbox)
        closing.on_closed(undelivered, closing.failure)


class _Closing:
    """One of them. `ended` is whether the peer has ended its side, `half_closed` whether we have
    ended ours; `heard_at` is when the peer last sent, `failure` what has ended it too early.
    `read` counts bytes since the last look, and `paused` is whether that is enough.
    """

    __slots__ = (
        "_began",
        "_progress",
        "end",
        "ended",
        "failure",
        "half_closed",
        "heard_at",
        "on_closed",
        "outbox",
        "paused",
        "read",
    )

    def __init__(self, end: End, outbox: Outbox, now: float, on_closed: OnClosed) -> None:
        self.end, self.outbox, self.on_closed = end, outbox, on_closed
        self._progress = Progress(end, now)
        self._began = self.heard_at = now
        self.half_closed = self.ended = self.paused = False
        self.failure: SockkitError | None = None
        self.read = 0

    def settled(self, now: float, alone: bool) -> bool:
        """Whether the peer has it all, or is not waited for any longer."""
        undelivered = self._progress.look(self.outbox.bytes_written, now) + self.outbox.size
        moved_at = self._progress.moved_at
        if undelivered:
            self.failure = self.end.failure() if self.ended else None
            stall = TOO_SLOW if self.outbox.dropped else STALL
            stalled = now >= moved_at + stall
            if stalled and alone and not self.failure:
                self.failure = SendError(f"the peer has taken nothing for {show_seconds(stall)}")
            too_long = not alone and now >= self._began + MAX_CLOSE
            return bool(self.failure) or stalled or too_long
        quiet_since = max(moved_at, self.heard_at)
        return self.ended or alone or now >= min(quiet_since + QUIET, moved_at + CHATTER)

    def half_close(self) -> None:
        """Tell the peer once that nothing more comes, if it has got all there was."""
        if not (self.half_closed or self.outbox.size or self.outbox.dropped):
            self.half_closed = True
            self.end.half_close()
