"""TLS as an end: an ssl.SSLObject between two buffers in memory, on top of another end.

Nothing here blocks. The end below moves encrypted bytes. A read may have to write (the answer to a
key update), and a write may have to wait. Python's documentation of ssl.MemoryBIO describes the two
buffers; close_notify is RFC 8446, section 6.1.

A call reads from the end below at most once. A peer can send records without data, such as key
updates, faster than we decrypt them: a call that read until there is data might never return to the
loop.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from enum import Enum, auto

from sockkit.core.address import Address
from sockkit.errors import ReceiveError, SendError, SockkitError
from sockkit.net.ends.end import Callback, End, Kind, os_error
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.tls_inbox import Receiving, TlsInbox
from sockkit.net.ends.tls_outbox import Sending, TlsOutbox
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop

BAD_CERTIFICATE = b"\x15\x03\x03\x00\x02\x02\x2a"  # an alert: RFC 8446, sections 5.1 and 6
_AHEAD_BYTES = 16 * 1024  # decrypted at a time if the caller passes no buffer


class _State(Enum):
    OPEN = auto()
    HALF_CLOSED = auto()  # by us
    CLOSED = auto()


class TlsEnd:
    """Owns `end`, and speaks TLS over it. Call `handshake` first.

    Sizes are in decrypted bytes, except `queued`, which counts encrypted bytes. `undelivered` is an
    upper bound. `prefix` begins the names of the options in hints.
    """

    kind, descriptor, prefix = Kind.ENCRYPTED, -1, "--tls"

    def __init__(
        self, loop: Loop, end: End, context: ssl.SSLContext, name: str | None, *, server: bool
    ) -> None:
        """`name` is the server's name, which a client asks for (SNI) and checks."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=name)
        self._end, self.peer, self.remote = end, end.peer, end.remote
        self._inbox = TlsInbox(end, incoming)
        self._outbox = TlsOutbox(loop, end, outgoing, self._nothing_waits)
        self._plain = bytearray()  # decrypted, not read
        self._state = _State.OPEN
        self._read_watch = Watch(loop, self._readable)
        self._write_watch = Watch(loop, self._writable)

    @property
    def name(self) -> str:
        return self._end.name

    def local(self) -> Address | None:
        return self._end.local()

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """Call `callback` in each turn once the peer has reset the socket below; None to stop."""
        if isinstance(self._end, SocketEnd):
            self._end.when_reset(callback)

    def handshake(self, *, confirm: bool = True) -> None:
        """Continue the handshake. Unless `confirm`, call `confirm` or `refuse` when it is done.

        Raises BlockingIOError while it waits for the peer, ssl.SSLError, and SockkitError.
        """
        for filled in (False, True):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._outbox.flush()
                if not filled:
                    self._fill()
            except ssl.SSLError:
                self._outbox.try_flush()  # the alert that says why
                raise
            else:
                if confirm:
                    self.confirm()
                return
        raise BlockingIOError  # see the module's docstring

    def confirm(self) -> None:
        """Send our last message of the handshake. Raises SockkitError."""
        self._outbox.flush()

    def refuse(self) -> None:
        """Tell a server that we do not accept its certificate, although OpenSSL does.

        With TLS 1.3 we send an alert instead of our last message of the handshake; at that point it
        may be in plain text, RFC 8446, section 5.1. With older versions the server has finished its
        handshake already, and we end the session regularly. Raises BlockingIOError and
        SockkitError.
        """
        if self.tls.version() == "TLSv1.3":
            self._end.write(BAD_CERTIFICATE)
        else:
            self.half_close()

    # Reading.

    def when_readable(self, callback: Callback | None) -> None:
        self._read_watch.callback = callback
        self._watch_below()
        self._read_watch.wake()

    def _watch_below(self) -> None:
        stalled = self._state is not _State.CLOSED and self._outbox.state is Sending.FULL
        wanted = self._read_watch.callback and not stalled
        self._end.when_readable(self._arrived if wanted else None)

    def _arrived(self) -> None:
        if callback := self._read_watch.callback:
            callback()

    def _readable(self) -> bool:
        if self._state is _State.CLOSED:
            return False
        waits = self._plain or self.tls.pending() or self._inbox.has_encrypted()
        return bool(waits or self._inbox.over)

    def read_into(self, buffer: memoryview, /) -> int:
        self._check_open(self.read_failed)
        size = self._read(buffer)
        self._read_watch.wake()
        return size

    def _read(self, buffer: memoryview) -> int:
        if self._plain:
            size = min(len(buffer), len(self._plain))
            buffer[:size] = self._plain[:size]
            del self._plain[:size]
            return size
        if not (size := self._decrypt(buffer)) and not self._inbox.over:
            self._fill(len(buffer))
            size = self._decrypt(buffer)
        if size:
            return size
        if error := self._inbox.take_error():
            raise self._broken(error) from error
        if not self._inbox.over:
            raise BlockingIOError  # see the module's docstring
        return 0

    def _decrypt(self, buffer: memoryview) -> int:
        size = self._inbox.decrypt(self.tls, buffer)
        self._outbox.answer()  # to a key update; or an alert that says what failed
        return size

    def _broken(self, error: ssl.SSLError) -> SockkitError:
        if isinstance(error, ssl.SSLEOFError):
            return ReceiveError(
                f"receiving from {self.name} failed: it closed without close_notify, "
                "so data may be missing",
                "compare its size, or ask for it again",
                kind="closed without close_notify, so data may be missing",
            )
        from sockkit.net.tls.words import broken, renamed

        return renamed(broken(self.name, error), self.prefix)

    def _fill(self, size: int = 0) -> None:
        """Read from the end below. Raises BlockingIOError."""
        if self._outbox.check_full() is Sending.FULL:
            self._watch_below()
            raise BlockingIOError
        self._inbox.fill(size)

    def _decrypt_ahead(self) -> None:
        """Decrypt all bytes that have come."""
        piece = memoryview(bytearray(_AHEAD_BYTES))
        while size := self._decrypt(piece):
            self._plain += piece[:size]

    def has_bytes(self) -> bool:
        self._check_open(self.read_failed)
        if not self._plain:
            self._decrypt_ahead()
        if not (self._plain or self._inbox.over):
            try:
                self._fill()
            except BlockingIOError:
                pass
            else:
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
        return self._state is not _State.CLOSED and self._outbox.state is Sending.EMPTY

    def write(self, data: bytes | memoryview, /) -> int:
        self._check_open(self.write_failed)
        if self._state is _State.HALF_CLOSED:
            ended = os_error(errno.EPIPE)
            raise self.write_failed(ended) from ended
        self._outbox.flush()
        if self._outbox.state is not Sending.EMPTY:
            raise BlockingIOError
        if not data:
            return 0
        try:
            return self._outbox.write(self.tls, data)
        except ssl.SSLError as error:  # received bytes have broken the session: reading reports how
            raise SendError(
                f"sending to {self.name} failed: its TLS session is broken", kind="sending failed"
            ) from error

    def _nothing_waits(self) -> None:
        self._watch_below()
        self._write_watch.wake()

    def write_failed(self, error: OSError, /) -> SockkitError:
        return self._end.write_failed(error)

    def queued(self) -> int:
        return 0 if self._state is _State.CLOSED else self._outbox.queued()

    def undelivered(self, queued: int | None = None) -> int:
        if self._state is _State.CLOSED:
            return 0
        return self._outbox.undelivered(self.queued() if queued is None else queued)

    # The end.

    def half_close(self) -> None:
        """Send close_notify. We can still read what the peer sends."""
        self._check_open(self.write_failed)
        if self._state is _State.HALF_CLOSED:
            return
        self._state = _State.HALF_CLOSED
        self._decrypt_ahead()  # with data left, the next call would fail
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # OpenSSL waits for the peer's close_notify, or the session is broken
        try:
            self._outbox.flush()
        except SockkitError:
            if self._inbox.state is not Receiving.RESET:
                raise

    def failure(self) -> SockkitError | None:
        if self._state is _State.CLOSED:
            return self.write_failed(os_error(errno.EBADF))
        return self._outbox.take_failure() or self._end.failure()

    def close(self) -> None:
        """Close the end. Bytes that it has accepted are still written, for a bounded time."""
        if self._state is _State.CLOSED:
            return
        failed = unread = False
        try:
            unread = self.has_bytes()
            if not unread:
                self.half_close()
        except SockkitError:
            failed = True
        if unread:
            self.abort()  # the peer must not mistake this for a regular end
            return
        reset, outbox = self._inbox.state is Receiving.RESET, self._outbox
        self.release()
        if failed or reset:
            outbox.close()
        else:
            outbox.finish()

    def abort(self) -> None:
        if self._state is not _State.CLOSED:
            self.release()
            self._end.when_writable(None)
            self._end.abort()

    def release(self) -> None:
        """Stop, and free OpenSSL's memory. The end below stays open. May be called twice."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._read_watch.callback = self._write_watch.callback = None
        self._end.when_readable(None)
        # Callers may refer to this end for a while, and a failure refers to many objects. So we
        # drop the references here, and do not wait for the garbage collector.
        self._outbox.take_failure()
        self._plain.clear()
        del self.tls, self._inbox, self._outbox

    def _check_open(self, failed: Callable[[OSError], SockkitError]) -> None:
        if self._state is _State.CLOSED:
            error = os_error(errno.EBADF)
            raise failed(error) from error
