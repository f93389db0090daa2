"""The two ends bytes move between, and the one that is a connected socket.

A Source gives bytes, a Sink takes them; neither blocks. Each turns the OSError of its own
calls into one of ours, because only the place of a call knows what an EPIPE means.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from enum import Enum, auto
from typing import Protocol

from sockkit.errors import ReceiveError, SendError, SockkitError, reason
from sockkit.events import Emit, Peer, Step
from sockkit.system import TIOCOUTQ, ask


class Kind(Enum):
    """What a descriptor is, as far as lanes differ by it.

    OTHER is what only a copy can be trusted with: a terminal, or a socket somebody else
    opened, which splice(2) might block on.
    """

    FILE = auto()
    PIPE = auto()
    SOCKET = auto()
    DEVICE = auto()
    OTHER = auto()


class Source(Protocol):
    """`read_into` gives the number of bytes, 0 at the end, or raises BlockingIOError.

    `has_bytes` is whether it would give any now.
    """

    descriptor: int
    kind: Kind

    def read_into(self, buffer: memoryview, /) -> int: ...

    def has_bytes(self) -> bool: ...

    def read_failed(self, error: OSError, /) -> SockkitError: ...


class Sink(Protocol):
    """`write` gives how many bytes were taken, or raises BlockingIOError."""

    descriptor: int
    kind: Kind

    def write(self, data: bytes | memoryview, /) -> int: ...

    def write_failed(self, error: OSError, /) -> SockkitError: ...


def words(error: OSError) -> str:
    """What the network said, as it reads inside a sentence."""
    text = reason(error)
    return text[:1].lower() + text[1:]


class Stream:
    """A connected stream socket, owned: Source and Sink of one peer.

    Both directions end separately: `read_into` gives 0 when the peer has ended its side,
    `half_close` ends ours.
    """

    __slots__ = ("_emit", "_half_closed", "_socket", "descriptor", "peer")
    kind = Kind.SOCKET

    def __init__(self, sock: socket.socket, peer: Peer, emit: Emit) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._emit = emit
        self._half_closed = False
        self.peer = peer
        self.descriptor = sock.fileno()

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.read_failed(error) from error

    def has_bytes(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        except OSError as error:
            raise self.read_failed(error) from error

    def read_failed(self, error: OSError, /) -> SockkitError:
        why = words(error)
        return ReceiveError(
            f"receiving from {self.peer.address} failed: {why}", kind=f"receiving failed: {why}"
        )

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.write_failed(error) from error

    def write_failed(self, error: OSError, /) -> SockkitError:
        why = "the peer has closed" if error.errno == errno.EPIPE else words(error)
        return SendError(
            f"sending to {self.peer.address} failed: {why}", kind=f"sending failed: {why}"
        )

    def half_close(self) -> None:
        """Tell the peer that nothing more comes; what was written is still delivered."""
        self._emit(Step("shutdown", f"the sending side to {self.peer.address}"))
        try:
            self._socket.shutdown(socket.SHUT_WR)
            self._half_closed = True
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # the peer has reset: receiving will say so
                raise self.write_failed(error) from error

    def undelivered(self, queued: int | None = None) -> int:
        """Bytes written that the peer's system has not acknowledged, of what is `queued`.

        What a unix socket has taken is with the peer: nothing can destroy it.
        """
        if self._socket.family == socket.AF_UNIX:
            return 0
        # The FIN counts as one byte, and is acknowledged last: RFC 9293, section 3.4.
        queued = self.queued() if queued is None else queued
        return max(queued - self._half_closed, 0)

    def queued(self) -> int:
        """How much the system holds until the peer has taken it, tcp(7) and unix(7) SIOCOUTQ.

        TCP counts bytes and a FIN, a unix socket the memory it uses. Where nothing tells, it is 0.
        """
        return ask(self.descriptor, TIOCOUTQ) or 0

    def failure(self) -> SockkitError | None:
        """What has ended the connection since the last call, as an error of sending.

        Reading does not tell of a reset once the peer has ended its side.
        """
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return self.write_failed(OSError(code, os.strerror(code))) if code else None

    def close(self) -> None:
        self._emit(Step("close", f"the connection to {self.peer.address}"))
        self._socket.close()

    def abort(self) -> None:
        """Close with a reset: what was not delivered is thrown away, tcp(7) SO_LINGER."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # the peer was faster
        self.close()


# Seconds without any acknowledgement before a peer is given up. One that reads 20 KB/s without a
# pause acknowledges once in 7 s: its system waits until much of the buffer is free.
STALL = 10.0


class Progress:
    """Whether a peer takes what is written to it.

    The system tells of no acknowledgement: it has to be asked, now and then. `moved_at` is
    when one was last seen of bytes that had waited.
    """

    def __init__(self, stream: Stream, now: float) -> None:
        self._stream = stream
        self._acknowledged = self._waited = 0
        self.moved_at = now

    def look(self, written: int, now: float) -> int:
        """How many of the bytes `written` so far are not acknowledged."""
        queued = self._stream.queued()
        acknowledged = written - queued
        if self._waited and acknowledged > self._acknowledged:
            self.moved_at = now
        self._acknowledged, self._waited = acknowledged, queued
        return self._stream.undelivered(queued)
