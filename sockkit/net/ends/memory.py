"""A pair of ends in memory, which tests use in place of a network.

It behaves like a TCP connection without delay: each direction is a bounded buffer, bytes can be
read as soon as they are written, and bytes that were read count as acknowledged. A reset destroys
unread bytes, which is the worst that TCP may do.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from sockkit.core.address import Address
from sockkit.errors import SockkitError
from sockkit.events import Peer
from sockkit.net.ends.end import Callback, Kind, os_error, receive_error, send_error
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop

CAPACITY_BYTES = 64 * 1024  # of each direction


def memory_pair(loop: Loop, *, capacity: int = CAPACITY_BYTES) -> tuple[MemoryEnd, MemoryEnd]:
    """Two ends, each of which reads what the other writes. `capacity` is in bytes."""
    there, back = _Buffer(capacity), _Buffer(capacity)
    first = MemoryEnd(loop, Peer(1, "there:1"), back, there)
    second = MemoryEnd(loop, Peer(2, "here:2"), there, back)
    first.other, second.other = second, first
    return first, second


class _Buffer:
    """Bytes that one end has written and the other has not read; `ended` after a half-close."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False


class MemoryEnd:
    """One end of a pair, made by `memory_pair`. It has no descriptor."""

    kind, descriptor = Kind.OTHER, -1
    other: MemoryEnd
    remote: Address | None = None

    def __init__(self, loop: Loop, peer: Peer, incoming: _Buffer, outgoing: _Buffer) -> None:
        self.peer = peer
        self._in, self._out = incoming, outgoing
        self._read_watch = Watch(loop, self._readable)
        self._write_watch = Watch(loop, self._writable)
        self._reset_watch = Watch(loop, lambda: self._reset and not self.closed)
        self._reset = self.closed = False
        self._fault = 0  # the error number of a reset, until a call has raised it

    @property
    def name(self) -> str:
        return self.peer.address

    def local(self) -> Address | None:
        return None

    @property
    def watched(self) -> bool:
        """Whether a callback of either kind is registered."""
        return bool(self._read_watch.callback or self._write_watch.callback)

    def when_readable(self, callback: Callback | None) -> None:
        self._read_watch.callback = callback
        self._read_watch.wake()

    def when_writable(self, callback: Callback | None) -> None:
        self._write_watch.callback = callback
        self._write_watch.wake()

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """See PeerEnd. Bytes sent before the reset can still be read."""
        error = self.read_failed(os_error(errno.ECONNRESET))
        self._reset_watch.callback = (lambda: callback(error)) if callback else None
        self._reset_watch.wake()

    def read_into(self, buffer: memoryview, /) -> int:
        if not self.has_bytes() and not (self._in.ended or self._reset):
            raise BlockingIOError
        size = min(len(buffer), len(self._in.data))
        buffer[:size] = self._in.data[:size]
        del self._in.data[:size]
        self.other._wake()
        return size

    def has_bytes(self) -> bool:
        unread = bool(self._in.data)
        more = not self.closed and (unread or self._in.ended)
        if not more and (error := self._take_fault()):
            raise self.read_failed(error) from error
        return unread

    def read_failed(self, error: OSError, /) -> SockkitError:
        return receive_error(self.name, error)

    def write(self, data: bytes | memoryview, /) -> int:
        error = self._take_fault()
        if not error and (self._reset or self._out.ended):
            error = os_error(errno.EPIPE)
        if error:
            raise self.write_failed(error) from error
        size = min(len(data), self._out.capacity - len(self._out.data))
        if data and not size:
            raise BlockingIOError
        self._out.data += data[:size]
        if size and self.other.closed:
            self._meet_reset()  # the first write is accepted, and the peer answers with a reset
        self.other._wake()
        return size

    def write_failed(self, error: OSError, /) -> SockkitError:
        return send_error(self.name, error)

    def half_close(self) -> None:
        if self.closed and (error := self._take_fault()):
            raise self.write_failed(error) from error
        if not self._reset:
            self._out.ended = True
            self.other._wake()

    def queued(self) -> int:
        return 0 if self.closed else len(self._out.data)

    def undelivered(self, queued: int | None = None) -> int:
        return self.queued() if queued is None else queued

    def failure(self) -> SockkitError | None:
        error = self._take_fault()
        return self.write_failed(error) if error else None

    def close(self) -> None:
        if self._in.data:
            self.abort()
        elif not self.closed:
            self.half_close()
            self.closed = True

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            if self._out.data:  # lost, and with it the half-close that came after it
                self._out.data.clear()
                self._out.ended = False
            self.other._meet_reset()

    def _meet_reset(self) -> None:
        if not (self._reset or self.closed):
            self._reset = True
            # As on Linux: an end that has read the peer's half-close gets EPIPE when it writes.
            self._fault = errno.EPIPE if self._in.ended else errno.ECONNRESET
            self._wake()

    def _take_fault(self) -> OSError | None:
        """The error that the current call must raise, if any. A reset is raised once."""
        code, self._fault = errno.EBADF if self.closed else self._fault, 0
        return os_error(code) if code else None

    def _readable(self) -> bool:
        return not self.closed and bool(self._in.data or self._in.ended or self._reset)

    def _writable(self) -> bool:
        space = len(self._out.data) < self._out.capacity
        return not self.closed and (space or self._out.ended or self._reset)

    def _wake(self) -> None:
        self._read_watch.wake()
        self._write_watch.wake()
        self._reset_watch.wake()
