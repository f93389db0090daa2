"""The sending half of a TLS end: encrypted bytes for the end below.

An ssl.MemoryBIO never shrinks, so we empty it after each record.
"""

from __future__ import annotations

import ssl
from enum import Enum, auto

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.ends.end import Callback, End
from sockkit.net.loop import Loop, Timer

RECORD_BYTES = 16 * 1024  # the most data in one record, RFC 8446, section 5.1
MAX_WRITE_BYTES = 128 * 1024  # the most that one write encrypts
# The most encrypted bytes that wait for the end below. We encrypt data only while none wait, so if
# there are more, the peer has caused answers, such as key updates, that it does not read. Then we
# read nothing more from it.
MAX_WAITING_BYTES = 4 * MAX_WRITE_BYTES
MAX_CLOSE_SECONDS = 10.0  # a closed end still writes its waiting bytes for so long

_NOTHING = memoryview(b"")  # an empty slice of a buffer would keep the whole buffer in memory


class Sending(Enum):
    EMPTY = auto()
    WAITING = auto()  # until the end below is writable
    FULL = auto()  # more than MAX_WAITING_BYTES have waited, and some still do


class TlsOutbox:
    """Writes the bytes that OpenSSL puts in `bio` to `end`, when `end` accepts them.

    `on_empty` is called when no bytes wait any more: they are written, or writing has failed.
    """

    __slots__ = (
        "_bio", "_data_end", "_end", "_failure", "_flushed", "_loop", "_on_empty", "_timer",
        "_waiting", "_written", "state",
    )  # fmt: skip

    def __init__(self, loop: Loop, end: End, bio: ssl.MemoryBIO, on_empty: Callback) -> None:
        self._loop, self._end, self._bio, self._on_empty = loop, end, bio, on_empty
        self.state = Sending.EMPTY
        self._waiting = _NOTHING
        self._failure: SockkitError | None = None  # to be raised by the next write
        self._timer: Timer | None = None
        self._written = 0  # bytes of data, before encryption
        self._flushed = 0  # encrypted bytes that the end below has accepted
        self._data_end = 0  # encrypted bytes up to the end of the last data

    def write(self, tls: ssl.SSLObject, data: bytes | memoryview) -> int:
        """Encrypt and write up to MAX_WRITE_BYTES of `data`. Returns how many bytes were accepted.

        Call it only while nothing waits. Raises ssl.SSLError if the TLS session is broken, and
        SendError.
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
        """Write as many of the waiting bytes as the end below accepts. Raises SendError."""
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
        """The same, but do not raise a failure: `write` or `take_failure` reports it later."""
        try:
            self.flush()
        except SockkitError as error:
            self._bio.read()
            self._waiting = _NOTHING
            self._failure = without_traceback(error)
            self._update()

    def answer(self) -> None:
        """Write messages that OpenSSL has made by itself, such as an alert."""
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
        """Set `state` to FULL if too many bytes wait, and return it."""
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
            del failure  # the error refers to this frame: avoid a reference cycle

    def _produced(self) -> int:
        """How many encrypted bytes there have been in all, written or not."""
        return self._flushed + len(self._waiting) + self._bio.pending

    def queued(self) -> int:
        """Encrypted bytes that the peer has not acknowledged."""
        return self._end.undelivered() + len(self._waiting) + self._bio.pending

    def undelivered(self, queued: int) -> int:
        """The most bytes of data that the last `queued` encrypted bytes can hold."""
        acknowledged = self._produced() - queued
        return min(max(self._data_end - acknowledged, 0), self._written)

    def finish(self) -> None:
        """Write the waiting bytes, for at most MAX_CLOSE_SECONDS; then close the end below."""
        if self.state is Sending.EMPTY:
            self.close()
        else:
            self._on_empty = self.close
            self._timer = self._loop.later(MAX_CLOSE_SECONDS, self.close)

    def close(self) -> None:
        """Close the end below. Waiting bytes are lost."""
        if self._timer:
            self._timer.cancel()
        self._end.when_writable(None)
        self._end.close()
