"""What a TLS end has read from the end below: encrypted bytes, and how that direction ends.

An ssl.MemoryBIO never shrinks. So it is fed little at a time, however much was read.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import Enum, auto

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.ends.end import Source

MAX_RECORD_BYTES = 5 + 16 * 1024 + 256  # RFC 8446, section 5.2
# That OpenSSL holds: more than a record, or it would have half of one and wait for the rest.
MAX_FED_BYTES = MAX_RECORD_BYTES * 3 // 2
# Of one read from a peer that sends little data in many bytes: 64 KiB of key updates would take
# OpenSSL 20 to 50 ms, and all others wait.
COSTLY_READ_BYTES = 4 * 1024

# Small pieces stay in the processor's cache from one copy to the next.
_buffer = memoryview(bytearray(96 * 1024))  # of encrypted bytes that one read takes; all share it
_NOTHING = memoryview(b"")  # an empty part of other bytes would keep them all


class Receiving(Enum):
    OPEN = auto()  # there may be something to decrypt
    DRAINED = auto()  # there is nothing, until more has come
    BROKEN = auto()  # by an error that is to be told once all before it has been read
    ENDED = auto()  # by close_notify, or by an error that was told
    RESET = auto()  # by an error of the end below, which was told


class TlsInbox:
    """Reads from `end`, and feeds `bio`, from which OpenSSL decrypts."""

    __slots__ = ("_bio", "_end", "_error", "_read_size", "_rest", "state")

    def __init__(self, end: Source, bio: ssl.MemoryBIO) -> None:
        self._end, self._bio = end, bio
        self._rest = _NOTHING  # that was read and not fed
        self._read_size = _ReadSize()
        self.state = Receiving.OPEN
        self._error: ssl.SSLError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is decrypted."""
        return self.state not in (Receiving.OPEN, Receiving.DRAINED)

    def has_encrypted(self) -> bool:
        return bool(self._rest or self._bio.pending)

    def fill(self, size: int = 0) -> None:
        """Read for about `size` decrypted bytes, but one record at least; all must be drained.

        What is more than a record is to be decrypted at once: others use the buffer next. Raises
        BlockingIOError and SockkitError.
        """
        space = self._read_size.space()[: max(size, MAX_RECORD_BYTES)]
        try:
            count = self._end.read_into(space)
        except BlockingIOError:
            raise
        except SockkitError:
            self.state = Receiving.RESET
            raise
        self.state = Receiving.OPEN
        self._read_size.filled = count
        if count:
            self._rest = space[:count]
            self._feed()
        else:
            self._bio.write_eof()

    def _feed(self) -> None:
        fed = self._bio.pending
        if self._rest and fed < MAX_RECORD_BYTES:
            space = MAX_FED_BYTES - fed
            self._bio.write(self._rest[:space])
            self._rest = self._rest[space:] or _NOTHING

    def decrypt(self, tls: ssl.SSLObject, buffer: memoryview) -> int:
        """Decrypt into `buffer`, until it is full or there is no more; returns how many bytes."""
        read: Callable[[int, memoryview], int] = tls.read  # type: ignore[assignment]
        size, space = 0, len(buffer)
        while size < space and self.state is Receiving.OPEN:
            self._feed()
            try:  # each call decrypts one record at most
                count = read(space - size, buffer[size:])
                if not count:
                    raise ssl.SSLZeroReturnError
                size += count
            except ssl.SSLWantReadError:
                if not self._rest:
                    self.state = Receiving.DRAINED
            except ssl.SSLZeroReturnError:
                self.state = Receiving.ENDED
            except ssl.SSLError as error:
                self.state = Receiving.BROKEN
                self._error = without_traceback(error)
        self._read_size.decrypted += size
        if not self._rest.readonly:  # it lies in the buffer that all share
            self._rest = memoryview(bytes(self._rest))
        return size

    def take_error(self) -> ssl.SSLError | None:
        """What has broken the session, once; the direction has ended then."""
        error, self._error = self._error, None
        if error:
            self.state = Receiving.ENDED
        return error


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
