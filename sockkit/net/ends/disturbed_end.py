"""An end that applies faults to the bytes that its peer sends: they come late, in pieces, or stop.

It reads ahead from the end that it wraps, as long as there is room, and returns the bytes that are
due. Writing is not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sockkit.core.faults import Fault
from sockkit.core.stream_faults import StreamFaults
from sockkit.errors import SockkitError, without_traceback
from sockkit.net.ends.end import Callback, Kind, PeerEnd
from sockkit.net.ends.watch import Watch
from sockkit.net.ends.wrapped_end import WrappedEnd
from sockkit.net.loop import Loop, Timer

MAX_READ_BYTES = 64 * 1024  # at a time


class DisturbedEnd(WrappedEnd):
    """Each read returns one piece.

    If a fault stops the stream, `on_stop` is called once, with the fault and the number of bytes
    returned before it. That is after the reader has asked for more, so it has passed them all on.
    """

    __slots__ = (
        "_error",
        "_faults",
        "_loop",
        "_on_stop",
        "_reading",
        "_released",
        "_reset",
        "_timer",
        "_told",
        "_watch",
    )
    kind = Kind.OTHER

    def __init__(
        self,
        loop: Loop,
        end: PeerEnd,
        faults: StreamFaults,
        on_stop: Callable[[Fault, int], None],
    ) -> None:
        super().__init__(end)
        self._loop, self._faults, self._on_stop = loop, faults, on_stop
        self._watch = Watch(loop, self._is_due)
        self._timer: Timer | None = None  # until something is due
        self._reset: Timer | None = None  # until we report a reset by the peer
        self._error: SockkitError | None = None  # to raise after all bytes that are held
        self._reading = self._released = self._told = False

    @property
    def due(self) -> float:
        """When what waits here can be read, in the loop's time; 0 if nothing waits."""
        return self._faults.due or 0.0

    @property
    def stalled(self) -> bool:
        """Whether a fault has stopped the stream, so that bytes may have been withheld."""
        return bool(self._faults.stop)

    def release(self) -> None:
        """End the faults: drop the bytes that are held, and read the wrapped end from now on."""
        if not self._released:
            callback = self._watch.callback
            self._stop()
            if callback:
                self.end.when_readable(callback)

    # What is read.

    def when_readable(self, callback: Callback | None) -> None:
        if self._released:
            self.end.when_readable(callback)
            return
        self._watch.callback = callback
        if callback:
            self._read_ahead()
        self._wait()

    def read_into(self, buffer: memoryview, /) -> int:
        if self._released:
            return self.end.read_into(buffer)
        if not self._is_due():
            raise BlockingIOError
        if stop := self._faults.stop:
            self._told = True
            self._loop.call_soon(partial(self._on_stop, stop, self._faults.passed))
            raise BlockingIOError
        data = self._faults.take(len(buffer), self._loop.now)
        if not data and len(buffer):
            self._raise_error()
        buffer[: len(data)] = data
        self._read_ahead()
        self._wait()
        return len(data)

    def has_bytes(self) -> bool:
        if self._released:
            return self.end.has_bytes()
        if not self._is_due() or self._faults.stop:
            return False
        if self._faults.at_end:
            self._raise_error()
        return not self._faults.at_end

    def _is_due(self) -> bool:
        """Whether a read has a result now: bytes, the end, an error, or a stop to report."""
        if self._faults.stop:
            return not self._told
        due = self._faults.due
        return due is not None and due <= self._loop.now

    def _raise_error(self) -> None:
        """Raise the error that has ended the stream, once."""
        error, self._error = self._error, None
        if error:
            raise error

    def _wait(self) -> None:
        """Have the reader called when bytes are due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due = self._faults.due
        if self._watch.callback and due is not None and due > self._loop.now:
            self._timer = self._loop.at(due, self._watch.wake)
        self._watch.wake()

    # The end below.

    def _read_ahead(self) -> None:
        """Watch the wrapped end while there is room for more bytes."""
        wanted = self._faults.room > 0
        if wanted != self._reading:
            self._reading = wanted
            self.end.when_readable(self._arrived if wanted else None)

    def _arrived(self) -> None:
        room = min(self._faults.room, MAX_READ_BYTES)
        if not room:  # other ends have used up the space that all of them share
            self._read_ahead()
            return
        buffer = memoryview(bytearray(room))
        try:
            size = self.end.read_into(buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self._error, size = without_traceback(error), 0
        before = self._faults.due
        self._faults.feed(bytes(buffer[:size]), self._loop.now)
        self._read_ahead()
        if self._faults.due != before:
            self._wait()

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """As for every PeerEnd, but a reset is reported with the delay that bytes have.

        A direction that has stalled then fails, because nobody reads it any more.
        """
        if self._reset:
            self._reset.cancel()
            self._reset = None
        if not callback or self._released:
            self.end.when_reset(callback)
        else:
            self.end.when_reset(partial(self._was_reset, callback))

    def _was_reset(self, callback: Callable[[SockkitError], None], error: SockkitError) -> None:
        def tell() -> None:
            if self._faults.stop:
                self._error = error
                self._faults.fail(self._loop.now)
                self._wait()
            callback(error)

        self.end.when_reset(None)
        self._reset = self._loop.later(self._faults.delay, tell)

    def _stop(self) -> None:
        """Cancel the timers, drop the bytes that are held, and read the wrapped end from now on."""
        self._released = True
        self._watch.callback = None
        self._faults.drop()
        self._wait()
        if self._reset:
            self._reset.cancel()
        if self._reading:
            self._reading = False
            self.end.when_readable(None)

    def close(self) -> None:
        unread = self._faults.held and not self._faults.at_end
        self._stop()
        if unread:  # a socket that is closed with unread bytes also resets
            self.end.abort()
        else:
            self.end.close()

    def abort(self) -> None:
        self._stop()
        self.end.abort()

    def failure(self) -> SockkitError | None:
        """Also returns an error that reading ahead has met and no read has raised yet."""
        failed = self.end.failure()
        if not failed and self._error:
            error, self._error = self._error, None
            cause = error.__cause__
            failed = self.end.write_failed(cause) if isinstance(cause, OSError) else error
        return failed
