"""An end with a tap: it works like the end that it wraps, and a tap sees the bytes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from sockkit.core.records import Direction
from sockkit.errors import SockkitError
from sockkit.events import FrameTotal
from sockkit.net.ends.end import Callback, Kind, PeerEnd
from sockkit.net.ends.wrapped_end import WrappedEnd
from sockkit.net.taps import Gate

if TYPE_CHECKING:
    from sockkit.net.taps import Tap
    from sockkit.net.views import Views


# The most that one read returns if frames are shown: each byte can be a frame, which takes 10 µs to
# show. A smaller read would count as a tiny piece, coalesce.py.
FRAMED_READ_BYTES = 4096


class TappedEnd(WrappedEnd):
    """Reports the bytes to `tap`. While the views are full, it is neither readable nor writable.

    Even then it reports a reset, once all bytes sent before it are read: a read or a write then
    raises the error. Otherwise a run whose view nobody reads would keep the memory and descriptors
    of all connections that peers have reset.
    """

    __slots__ = (
        "_ended",
        "_on_reset",
        "_read_gate",
        "_reset",
        "_reset_told",
        "_reset_watched",
        "_tap",
        "_views",
        "_write_gate",
        "kind",
    )

    def __init__(self, end: PeerEnd, views: Views, tap: Tap) -> None:
        super().__init__(end)
        self._views, self._tap = views, tap
        self.kind = Kind.ENCRYPTED if end.kind is Kind.ENCRYPTED else Kind.OTHER
        self._read_gate = Gate(views, end.when_readable, self._watch_reset)
        self._write_gate = Gate(views, end.when_writable, self._watch_reset)
        self._on_reset: Callable[[SockkitError], None] | None = None
        self._reset_watched = self._reset_told = False
        self._ended: set[Direction] = set()
        self._reset: Direction | Literal[""] = ""

    # What passes.

    def when_readable(self, callback: Callback | None) -> None:
        self._read_gate.when_ready(callback)

    def when_writable(self, callback: Callback | None) -> None:
        self._write_gate.when_ready(callback)

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            if self._views.full:
                self._meet_reset(self.end.read_failed)
            size = self.end.read_into(buffer[:FRAMED_READ_BYTES] if self._tap.frames else buffer)
        except SockkitError as error:
            self._failed(error)
            raise
        if size:
            self._tap.passed("received", bytes(buffer[:size]))
        elif len(buffer):
            self._has_ended("received")
        return size

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            if self._views.full:
                self._meet_reset(self.end.write_failed)
            size = self.end.write(data)
        except SockkitError as error:
            self._failed(error)
            raise
        if size:
            self._tap.passed("sent", bytes(data[:size]))
        return size

    def half_close(self) -> None:
        self.end.half_close()
        self._has_ended("sent")

    def close(self) -> None:
        if self._views.lack_bytes():  # a regular end would say that all was taken
            self.abort()
            return
        self.when_reset(None)
        self.end.close()
        if not self._reset:
            self._has_ended("sent")
        self._closed(self._reset)

    def abort(self) -> None:
        self.when_reset(None)
        self.end.abort()
        self._closed(self._reset or "sent")

    def _closed(self, reset: Direction | Literal[""]) -> None:
        self._tap.closed(reset)
        for direction, frames in self._tap.frames.items():
            self._views.emit(FrameTotal(self.peer, direction, frames))

    def _has_ended(self, direction: Direction) -> None:
        if direction not in self._ended:
            self._ended.add(direction)
            self._tap.ended(direction)

    def _failed(self, error: SockkitError) -> None:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.ECONNRESET, errno.EPIPE):
            self._reset = "received"

    # The peer's reset. While the views are full, nobody reads, so no read raises it.

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        self._on_reset = callback
        if callback:
            self._watch_reset()
        else:
            self._views.forget(self._watch_reset)
            self._unwatch_reset()

    def _watch_reset(self) -> None:
        self._reset_watched = True
        self.end.when_reset(self._was_reset)

    def _unwatch_reset(self) -> None:
        if self._reset_watched:
            self._reset_watched = False
            self.end.when_reset(None)

    def _was_reset(self, error: SockkitError) -> None:
        if self._views.full:
            self._unwatch_reset()  # unread bytes have to wait
            if self._on_reset:
                self._views.when_room(self._watch_reset)
            self._reset_told = True
            self._read_gate.call()
            self._write_gate.call()
        elif not self._on_reset:
            self._unwatch_reset()  # the next read or write raises it
        if self._on_reset:
            self._on_reset(error)

    def _meet_reset(self, failed: Callable[[OSError], SockkitError]) -> None:
        """Raise BlockingIOError, unless the peer has reset and all its bytes are read.

        After a reset, raise the error, or return if the next call on the wrapped end raises it.
        """
        try:
            if self._reset_told and not self.end.has_bytes():
                return
        except SockkitError as error:
            if isinstance(cause := error.__cause__, OSError):
                raise failed(cause) from cause
            raise
        raise BlockingIOError

    def failure(self) -> SockkitError | None:
        error = self.end.failure()
        if error:
            self._failed(error)
        return error
