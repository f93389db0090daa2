"""TLS as an end: an ssl.SSLObject between two buffers in memory, over another end.

Nothing here blocks. The end below moves encrypted bytes, and this one decides when: a read may
have to write (the answer to a key update), and a write may have to wait. Python's documentation of
ssl.MemoryBIO describes the two buffers; close_notify is RFC 8446, section 6.1.

A call reads from the end below once at most. A peer can send without end what decrypts to nothing,
such as key updates, faster than it is decrypted: whoever read until there is data would never
return to the loop.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable

from sockkit.errors import ReceiveError, SendError, SockkitError
from sockkit.net.ends.end import Callback, End, Kind
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop, Timer

MAX_WRITE_BYTES = 128 * 1024  # that one write encrypts
# Encrypted bytes that wait for the end below. A write adds some only while none wait; beyond this
# a peer has asked for answers that it does not read, and nothing more is read from it.
MAX_BACKLOG_BYTES = 4 * MAX_WRITE_BYTES
MAX_CLOSE_SECONDS = 10.0  # for which a closed end still writes what it has accepted
MAX_RECORD_BYTES = 5 + 16 * 1024 + 256  # RFC 8446, section 5.2
# Of one read from a peer that sends little data in many bytes: 64 KiB of key updates would take
# OpenSSL 20 to 50 ms, and all others wait.
COSTLY_READ_BYTES = 4 * 1024

# Small pieces stay in the processor's cache from one copy to the next.
_buffer = memoryview(bytearray(96 * 1024))  # of encrypted bytes that one read takes; all share it


class TlsEnd:
    """Owns `end`, and speaks TLS over it. `handshake` comes first.

    Sizes are those of the decrypted bytes, but `queued` counts encrypted ones, and `undelivered`
    as many at most.
    """

    kind, descriptor = Kind.ENCRYPTED, -1

    def __init__(
        self, loop: Loop, end: End, context: ssl.SSLContext, name: str | None, *, server: bool
    ) -> None:
        """`name` is that of the server, for a client to ask for and to check."""
        self._loop, self._end = loop, end
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server, server_hostname=name
        )
        self._plain = bytearray()  # decrypted, not read
        self._waiting = memoryview(b"")  # encrypted, not accepted by the end below
        self._state, self._read_size = _State(), _ReadSize()
        self._read_watch = Watch(loop, self._readable)
        self._write_watch = Watch(loop, self._writable)
        self.peer = end.peer

    @property
    def name(self) -> str:
        return self._end.name

    def local(self) -> str:
        return self._end.local()

    def handshake(self) -> None:
        """Go on with the handshake.

        Raises BlockingIOError while it waits for the peer, ssl.SSLError, and SockkitError.
        """
        for filled in (False, True):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not filled:
                    self._fill()
            except ssl.SSLError:
                self._try_flush()  # the alert that says why
                raise
            else:
                self._flush()
                return
        raise BlockingIOError  # see the module's docstring

    # Reading.

    def when_readable(self, callback: Callback | None) -> None:
        self._read_watch.callback = callback
        self._watch_below()
        self._read_watch.wake()

    def _watch_below(self) -> None:
        wanted = self._read_watch.callback and not self._state.stalled
        self._end.when_readable(self._arrived if wanted else None)

    def _arrived(self) -> None:
        if callback := self._read_watch.callback:
            callback()

    def _readable(self) -> bool:
        if self._state.closed:
            return False
        waits = self._plain or self.tls.pending() or self._incoming.pending
        return bool(waits or self._state.fault or self._state.peer_ended)

    def read_into(self, buffer: memoryview, /) -> int:
        size = self._read(buffer)
        self._read_watch.wake()
        return size

    def _read(self, buffer: memoryview) -> int:
        self._check_open(self.read_failed)
        if self._plain:
            size = min(len(buffer), len(self._plain))
            buffer[:size] = self._plain[:size]
            del self._plain[:size]
            return size
        filled = False
        while not self._state.peer_ended:
            if fault := self._state.fault:
                self._state.fault, self._state.peer_ended = None, True
                raise fault
            if not self._state.drained and (size := self._decrypt(buffer)):
                return size
            if self._state.peer_ended or self._state.fault:
                continue
            if filled:
                raise BlockingIOError  # see the module's docstring
            self._fill()
            filled = True
        return 0

    def _decrypt(self, buffer: memoryview) -> int:
        """Decrypt what has come, into `buffer`. An error is kept for when all has been read."""
        size, space = 0, len(buffer)
        read: Callable[[int, memoryview], int] = self.tls.read  # type: ignore[assignment]
        try:
            while size < space:  # each call decrypts one record at most
                count = read(space - size, buffer[size:])
                if not count:
                    raise ssl.SSLZeroReturnError
                size += count
        except ssl.SSLWantReadError:
            self._state.drained = True
        except ssl.SSLZeroReturnError:
            self._state.peer_ended = True
        except ssl.SSLEOFError as error:
            self._state.fault = ReceiveError(
                f"receiving from {self.name} failed: it ended without close_notify, "
                "so what it sent may be truncated",
                kind="receiving failed: truncated",
            )
            self._state.fault.__cause__ = error
        except ssl.SSLError as error:
            self._state.fault = self._tls_failed(error)
        self._read_size.decrypted += size
        if self._outgoing.pending:  # answers to key updates, or the alert that says what failed
            self._try_flush()
        return size

    def _tls_failed(self, error: ssl.SSLError) -> SockkitError:
        from sockkit.net.tls.words import broken

        return broken(self.name, error)

    def _fill(self) -> None:
        """Read from the end below. Raises BlockingIOError."""
        if len(self._waiting) + self._outgoing.pending > MAX_BACKLOG_BYTES:
            self._state.stalled = True
            self._watch_below()
            raise BlockingIOError
        try:
            size = self._end.read_into(self._read_size.space())
        except BlockingIOError:
            raise
        except SockkitError:
            self._state.peer_ended = self._state.reset = True
            raise
        self._state.drained = False
        self._read_size.filled = size
        if size:
            self._incoming.write(_buffer[:size])
        else:
            self._incoming.write_eof()

    def _decrypt_ahead(self) -> None:
        """Decrypt what has come, so that nothing of it waits."""
        piece = memoryview(bytearray(16 * 1024))
        while not (self._state.peer_ended or self._state.fault):
            if not (size := self._decrypt(piece)):
                return
            self._plain += piece[:size]

    def has_bytes(self) -> bool:
        self._check_open(self.read_failed)
        if not (self._plain or self._state.peer_ended or self._state.fault):
            try:
                self._fill()
            except BlockingIOError:
                pass
            self._decrypt_ahead()
            self._read_watch.wake()
        return bool(self._plain)

    def read_failed(self, error: OSError, /) -> SockkitError:
        return self._end.read_failed(error)

    # Writing.

    def when_writable(self, callback: Callback | None) -> None:
        self._write_watch.callback = callback
        self._write_watch.wake()

    def _writable(self) -> bool:
        return not self._waiting and not self._state.closed

    def write(self, data: bytes | memoryview, /) -> int:
        self._check_open(self.write_failed)
        if self._state.half_closed:
            ended = _os_error(errno.EPIPE)
            raise self.write_failed(ended) from ended
        self._flush()
        if self._waiting:
            raise BlockingIOError
        if not data:
            return 0
        try:
            size = self.tls.write(memoryview(data)[:MAX_WRITE_BYTES])
        except ssl.SSLError as error:
            raise self._cannot_write(error) from error
        self._state.written += size
        self._flush()
        self._state.data_end = self._produced()
        return size

    def _cannot_write(self, error: ssl.SSLError) -> SockkitError:
        """What was received has broken the session, and reading tells of that."""
        return SendError(f"sending to {self.name} failed: its TLS is broken", kind="sending failed")

    def _flush(self) -> None:
        """Write encrypted bytes, as many as the end below accepts. Raises SendError."""
        state = self._state
        if fault := state.send_fault:
            state.send_fault = None
            raise fault
        while self._waiting or self._outgoing.pending:
            if not self._waiting:
                self._waiting = memoryview(self._outgoing.read())
            try:
                size = self._end.write(self._waiting)
            except BlockingIOError:
                break
            state.flushed += size
            self._waiting = self._waiting[size:]
        self._end.when_writable(self._flush_more if self._waiting else None)
        self._end_stall()

    def _end_stall(self) -> None:
        """Read again below if that had to wait, and nothing waits to be written any more."""
        if self._state.stalled and not self._waiting:
            self._state.stalled = False
            self._watch_below()

    def _try_flush(self) -> None:
        """The same where a failure is to be told later: by writing, or by `failure`."""
        try:
            self._flush()
        except SockkitError as error:
            self._end.when_writable(None)
            self._outgoing.read()
            self._waiting = memoryview(b"")
            self._state.send_fault = error
            self._end_stall()

    def _flush_more(self) -> None:
        self._try_flush()
        if self._state.closed and not self._waiting:
            self._close_below()
        self._write_watch.wake()

    def write_failed(self, error: OSError, /) -> SockkitError:
        return self._end.write_failed(error)

    def _produced(self) -> int:
        """Encrypted bytes that there have been, written or not."""
        return self._state.flushed + len(self._waiting) + self._outgoing.pending

    def queued(self) -> int:
        if self._state.closed:
            return 0
        return self._end.undelivered() + len(self._waiting) + self._outgoing.pending

    def undelivered(self, queued: int | None = None) -> int:
        if self._state.closed:
            return 0
        queued = self.queued() if queued is None else queued
        acknowledged = self._produced() - queued
        return min(max(self._state.data_end - acknowledged, 0), self._state.written)

    # The end.

    def half_close(self) -> None:
        """Send close_notify. What the peer sends can still be read."""
        self._check_open(self.write_failed)
        if self._state.half_closed:
            return
        self._state.half_closed = True
        self._decrypt_ahead()  # what waits would make the next call fail
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # it waits for the peer's close_notify, or the session is broken
        try:
            self._flush()
        except SockkitError:
            if not self._state.reset:
                raise

    def failure(self) -> SockkitError | None:
        if self._state.closed:
            return self.write_failed(_os_error(errno.EBADF))
        fault, self._state.send_fault = self._state.send_fault, None
        return fault or self._end.failure()

    def close(self) -> None:
        """Close it. What it has accepted is still written, for MAX_CLOSE_SECONDS at most."""
        state = self._state
        if state.closed:
            return
        failed = unread = False
        try:
            unread = self.has_bytes()
            if not unread:
                self.half_close()
        except SockkitError:
            failed = True
        if unread:
            self.abort()  # the peer must not take it for a regular end
            return
        self._be_closed()
        if self._waiting and not (failed or state.reset):
            state.closing = self._loop.later(MAX_CLOSE_SECONDS, self._close_below)
        else:
            self._close_below()

    def abort(self) -> None:
        if not self._state.closed:
            self._be_closed()
            self._end.when_writable(None)
            self._end.abort()

    def _be_closed(self) -> None:
        self._state.closed = True
        self._read_watch.callback = self._write_watch.callback = None
        self._end.when_readable(None)

    def _close_below(self) -> None:
        if self._state.closing:
            self._state.closing.cancel()
        self._end.when_writable(None)
        self._end.close()

    def _check_open(self, failed: Callable[[OSError], SockkitError]) -> None:
        if self._state.closed:
            error = _os_error(errno.EBADF)
            raise failed(error) from error


class _State:
    """What has happened on a TlsEnd, and how many bytes were moved."""

    __slots__ = (
        "closed", "closing", "data_end", "drained", "fault", "flushed", "half_closed", "peer_ended",
        "reset", "send_fault", "stalled", "written",
    )  # fmt: skip

    def __init__(self) -> None:
        self.drained = False  # nothing more can be decrypted until more has come
        self.peer_ended = False  # there is nothing more to read
        self.reset = False  # and that was told as an error
        self.half_closed = self.closed = False
        self.stalled = False  # nothing is read until what waits is written
        self.fault: SockkitError | None = None  # to raise when all has been read
        self.send_fault: SockkitError | None = None  # to raise by the next write
        self.closing: Timer | None = None
        self.written = 0  # decrypted bytes
        self.flushed = 0  # encrypted bytes that the end below has accepted
        self.data_end = 0  # encrypted bytes up to the last of `written`


class _ReadSize:
    """How many encrypted bytes to read: few while the peer says little with many."""

    __slots__ = ("_costly", "decrypted", "filled")

    def __init__(self) -> None:
        self.filled = 0  # encrypted bytes that the last read gave
        self.decrypted = 0  # decrypted bytes since then
        self._costly = False

    def space(self) -> memoryview:
        """Where to read the next ones to."""
        if self.decrypted * 2 >= self.filled:
            self._costly = False
        elif self.filled > MAX_RECORD_BYTES:
            self._costly = True
        self.decrypted = 0
        return _buffer[:COSTLY_READ_BYTES] if self._costly else _buffer


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
