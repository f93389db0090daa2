"""What a TLS end writes to the end below: encrypted bytes, and those of them that wait.

An ssl.MemoryBIO never shrinks. So it is emptied after each record.
"""

from __future__ import annotations

import ssl
from enum import Enum, auto

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.ends.end import Callback, End
from sockkit.net.loop import Loop, Timer

RECORD_BYTES = 16 * 1024  # that one record holds, RFC 8446, section 5.1
MAX_WRITE_BYTES = 128 * 1024  # that one write encrypts
# Encrypted bytes that wait for the end below. A write adds some only while none wait; beyond this
# a peer has asked for answers that it does not read, and nothing more is read from it.
MAX_WAITING_BYTES = 4 * MAX_WRITE_BYTES
MAX_CLOSE_SECONDS = 10.0  # for which a closed end still writes what it has accepted

_NOTHING = memoryview(b"")  # an empty part of other bytes would keep them all


class Sending(Enum):
    EMPTY = auto()
    WAITING = auto()  # for the end below to be writable
    FULL = auto()  # it was once beyond MAX_WAITING_BYTES, and some of it still waits


class TlsOutbox:
    """Writes to `end` what OpenSSL has put in `bio`, when `end` accepts it.

    `on_empty` is called when nothing waits any more: all of it is written, or could not be.
    """

    __slots__ = (
        "_bio", "_data_end", "_end", "_failure", "_flushed", "_loop", "_on_empty", "_timer",
        "_waiting", "_written", "state",
    )  # fmt: skip

    def __init__(self, loop: Loop, end: End, bio: ssl.MemoryBIO, on_empty: Callback) -> None:
        self._loop, self._end, self._bio, self._on_empty = loop, end, bio, on_empty
        self.state = Sending.EMPTY
        self._waiting = _NOTHING
        self._failure: SockkitError | None = None  # to raise by the next write
        self._timer: Timer | None = None
        self._written = 0  # decrypted bytes
        self._flushed = 0  # encrypted bytes that the end below has accepted
        self._data_end = 0  # encrypted bytes up to the last of `_written`

    def write(self, tls: ssl.SSLObject, data: bytes | memoryview) -> int:
        """Encrypt some of `data`, while nothing waits, and write it. Returns how many bytes.

        Raises ssl.SSLError if there can be no more, and SendError.
        """
        data = memoryview(data)[:MAX_WRITE_BYTES]
        records = []
        for start in range(0, len(data), RECORD_BYTES):
            self._written += tls.write(data[start : start + RECORD_BYTES])
            records.append(self._bio.read())
        self._waiting = memoryview(b"".join(records))
        self.flush()
        self._data_end = self._produced()
        return len(data)

    def flush(self) -> None:
        """Write what waits, as much of it as the end below accepts. Raises SendError."""
        self._raise_failure()
        while self._waiting or self._bio.pending:
            self._waiting = self._waiting or memoryview(self._bio.read())
            try:
                size = self._end.write(self._waiting)
            except BlockingIOError:
                break
            self._flushed += size
            self._waiting = self._waiting[size:] or _NOTHING
        self._update()

    def try_flush(self) -> None:
        """The same where a failure is to be told later: by writing, or by `take_failure`."""
        try:
            self.flush()
        except SockkitError as error:
            self._bio.read()
            self._waiting = _NOTHING
            self._failure = without_traceback(error)
            self._update()

    def answer(self) -> None:
        """Write what OpenSSL has to say by itself, if there is any."""
        if self._bio.pending:
            self.try_flush()

    def _update(self) -> None:
        before = self.state
        if self._waiting and before is Sending.EMPTY:
            self.state = Sending.WAITING
            self._end.when_writable(self.try_flush)
        elif not self._waiting and before is not Sending.EMPTY:
            self.state = Sending.EMPTY
            self._end.when_writable(None)
            self._on_empty()

    def check_full(self) -> Sending:
        """`state`, which from now on may be FULL."""
        if len(self._waiting) + self._bio.pending > MAX_WAITING_BYTES:
            self.state = Sending.FULL
        return self.state

    def take_failure(self) -> SockkitError | None:
        failure, self._failure = self._failure, None
        return failure

    def _raise_failure(self) -> None:
        failure = self.take_failure()
        try:
            if failure:
                raise failure
        finally:
            del failure  # the error keeps this frame, which must not keep the error

    def _produced(self) -> int:
        """Encrypted bytes that there have been, written or not."""
        return self._flushed + len(self._waiting) + self._bio.pending

    def queued(self) -> int:
        """Encrypted bytes that the peer has not acknowledged."""
        return self._end.undelivered() + len(self._waiting) + self._bio.pending

    def undelivered(self, queued: int) -> int:
        """How many bytes of `_written` there may be in the last `queued` encrypted ones."""
        acknowledged = self._produced() - queued
        return min(max(self._data_end - acknowledged, 0), self._written)

    def finish(self) -> None:
        """Write what waits, for MAX_CLOSE_SECONDS at most; then close the end below."""
        if self.state is Sending.EMPTY:
            self.close()
        else:
            self._on_empty = self.close
            self._timer = self._loop.later(MAX_CLOSE_SECONDS, self.close)

    def close(self) -> None:
        """Close the end below. What waits is lost."""
        if self._timer:
            self._timer.cancel()
        self._end.when_writable(None)
        self._end.close()
