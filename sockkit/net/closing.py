"""The close that waits until the peer has what was written to it.

To close a socket that still receives resets the connection, and a reset can destroy what was
written last, RFC 1122 section 4.2.2.13. So our side is ended first (half-close), and what the
peer still sends is read and thrown away until all is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.errors import SockkitError
from sockkit.net.ends.socket_end import STALL, Progress, Stream
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox

LONGEST = 60.0  # seconds, however steadily the peer takes it
DROPPED = 2.0  # seconds without an acknowledgement of one that has already been too slow
CHATTER = 2.0  # seconds for which one that has it all may go on sending
QUIET = 0.3  # seconds of the peer's silence that end it, when all is acknowledged
TICK = 0.05  # seconds between looks at what is acknowledged
SHARE = 4 * 1024 * 1024  # bytes read between two looks, of all who are closed together
MOST = 128  # connections that are being closed, before a newcomer costs the first its time


# Told how many of the bytes that an outbox gave are not acknowledged, and whether the peer has
# reset the connection.
OnClosed = Callable[[int, bool], None]


def close_now(loop: Loop, stream: Stream, outbox: Outbox) -> int:
    """Close `stream` without waiting; how many bytes that `outbox` gave are not acknowledged.

    A peer that does not get all that was put in `outbox` gets a reset in place of an end.
    """
    loop.when_readable(stream.descriptor, None)
    outbox.stop()
    left = stream.undelivered()
    if outbox.dropped:
        stream.abort()
    else:
        stream.close()
    return left


class Closings:
    """Connections that are being closed, all side by side. Owns their streams.

    The time, the processor and the descriptors that a peer can cost here are bounded.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._buffer = memoryview(bytearray(64 * 1024))
        self._open: dict[_Closing, None] = {}  # in the order they began
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self, stream: Stream, outbox: Outbox, on_closed: OnClosed, *, ended: bool = False
    ) -> None:
        """Close `stream` once the peer has what was put in `outbox`, which takes no more.

        `ended` is whether the peer has ended its side. `on_closed` may be called before this
        returns.
        """
        closing = _Closing(stream, outbox, self._loop.now, on_closed)
        closing.ended = ended
        self._open[closing] = None
        if ended:
            self._loop.when_readable(stream.descriptor, None)
            self._review(closing)
        else:
            self._watch(closing)
            self._read(closing)
        if self._open and not self._timer:
            self._timer = self._loop.later(TICK, self._tick)

    def make_room(self) -> None:
        """A connection has come: of MOST that are being closed, the first is closed now."""
        if len(self._open) >= MOST:
            self._close(next(iter(self._open)))

    def stop(self) -> None:
        """Close all of them now."""
        for closing in list(self._open):
            self._close(closing)
        if self._timer:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.later(TICK, self._tick) if self._open else None
        for closing in list(self._open):
            if closing.paused:
                self._watch(closing)
            closing.read = 0
            self._review(closing)

    def _watch(self, closing: _Closing) -> None:
        closing.paused = False
        self._loop.when_readable(closing.stream.descriptor, lambda: self._read(closing))

    def _read(self, closing: _Closing) -> None:
        try:
            size = closing.stream.read_into(self._buffer)
        except BlockingIOError:
            pass
        except SockkitError:
            closing.reset = True
            self._close(closing)
            return
        else:
            closing.ended = not size
            if size:
                closing.heard_at = self._loop.now
            closing.read += size
            closing.paused = closing.read >= SHARE // len(self._open)
            if closing.paused or closing.ended:
                self._loop.when_readable(closing.stream.descriptor, None)
        self._review(closing)

    def _review(self, closing: _Closing) -> None:
        now = self._loop.now
        if closing.settled(now):
            self._close(closing)
            return
        try:
            closing.end()
        except SockkitError:
            self._close(closing)

    def _close(self, closing: _Closing) -> None:
        del self._open[closing]
        left = close_now(self._loop, closing.stream, closing.outbox)
        closing.on_closed(left, closing.reset)


class _Closing:
    """One of them. `ended` is whether the peer has ended its side, `heard_at` when it last sent;
    `reset` is whether it has reset the connection. `read` counts bytes since the last look, and
    `paused` is whether that is enough.
    """

    __slots__ = (
        "_began",
        "_half_closed",
        "_progress",
        "ended",
        "heard_at",
        "on_closed",
        "outbox",
        "paused",
        "read",
        "reset",
        "stream",
    )

    def __init__(self, stream: Stream, outbox: Outbox, now: float, on_closed: OnClosed) -> None:
        self.stream, self.outbox, self.on_closed = stream, outbox, on_closed
        self._progress = Progress(stream, now)
        self._began = self.heard_at = now
        self._half_closed = self.ended = self.reset = self.paused = False
        self.read = 0

    def settled(self, now: float) -> bool:
        """Whether the peer has it all, or is not waited for any longer."""
        waits = self._progress.look(self.outbox.given, now) + self.outbox.size
        moved_at = self._progress.moved_at
        if waits:
            self.reset = self.ended and self.stream.failure() is not None
            stall = DROPPED if self.outbox.dropped else STALL
            return self.reset or now >= min(moved_at + stall, self._began + LONGEST)
        quiet_since = max(moved_at, self.heard_at)
        return self.ended or now >= min(quiet_since + QUIET, moved_at + CHATTER)

    def end(self) -> None:
        """Tell the peer once that nothing more comes, if it has got all there was."""
        if not (self._half_closed or self.outbox.size or self.outbox.dropped):
            self._half_closed = True
            self.stream.half_close()
