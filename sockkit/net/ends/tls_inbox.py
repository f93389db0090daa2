"""The receiving half of a TLS end: encrypted bytes from the end below, and how they end.

An ssl.MemoryBIO never shrinks, so we feed it little at a time, however much we have read.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import Enum, auto

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.ends.end import Source

MAX_RECORD_BYTES = 5 + 16 * 1024 + 256  # RFC 8446, section 5.2
# The most that OpenSSL holds. It must be more than a record: otherwise OpenSSL could hold a part of
# one and wait for the rest for ever.
MAX_FED_BYTES = MAX_RECORD_BYTES * 3 // 2
# Of one read, if the peer sends many bytes with little data: 64 KiB of key updates take OpenSSL 20
# to 50 ms, and all others wait meanwhile.
COSTLY_READ_BYTES = 4 * 1024

# The encrypted bytes of one read. All ends share it, and it fits the processor's cache.
_buffer = memoryview(bytearray(96 * 1024))
_NOTHING = memoryview(b"")  # an empty slice of a buffer would keep the whole buffer in memory


class Receiving(Enum):
    OPEN = auto()  # there may be bytes to decrypt
    DRAINED = auto()  # there is nothing to decrypt until more bytes come
    BROKEN = auto()  # by an error, which is raised once all data before it has been read
    ENDED = auto()  # by close_notify, or by an error that was raised
    RESET = auto()  # by an error of the end below, which was raised


class TlsInbox:
    """Reads from `end` and feeds `bio`, from which OpenSSL decrypts."""

    __slots__ = ("_bio", "_end", "_error", "_read_size", "_rest", "state")

    def __init__(self, end: Source, bio: ssl.MemoryBIO) -> None:
        self._end, self._bio = end, bio
        self._rest = _NOTHING  # bytes read and not yet fed
        self._read_size = _ReadSize()
        self.state = Receiving.OPEN
        self._error: ssl.SSLError | None = None

    @property
    def over(self) -> bool:
        """Whether there will be no more data."""
        return self.state not in (Receiving.OPEN, Receiving.DRAINED)

    def has_encrypted(self) -> bool:
        return bool(self._rest or self._bio.pending)

    def fill(self, size: int = 0) -> None:
        """Read about `size` bytes, and at least one record. Call it only if all is decrypted.

        Call `decrypt` right afterwards, because other ends share the buffer. Raises BlockingIOError
        and SockkitError.
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
        """Decrypt into `buffer` until it is full or no bytes are left. Returns how many bytes."""
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
        """The error that has broken the session, if any. Returned once: then the state is ENDED."""
        error, self._error = self._error, None
        if error:
            self.state = Receiving.ENDED
        return error


class _ReadSize:
    """Decides how many encrypted bytes to read: few, if they have held little data so far."""

    __slots__ = ("_costly", "decrypted", "filled")

    def __init__(self) -> None:
        self.filled = 0  # encrypted bytes that the last read returned
        self.decrypted = 0  # decrypted bytes since then
        self._costly = False

    def space(self) -> memoryview:
        """The buffer for the next read."""
        if self.decrypted * 2 >= self.filled:
            self._costly = False
        elif self.filled > MAX_RECORD_BYTES:
            self._costly = True
        self.decrypted = 0
        return _buffer[:COSTLY_READ_BYTES] if self._costly else _buffer
