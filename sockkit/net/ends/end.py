"""Ends: one interface to a peer, a file, a terminal or a program.

An End never blocks. It reports when it is readable or writable. A socket end has the loop watch its
descriptor, but other ends may hold bytes that no descriptor shows. An end also turns OSErrors into
SockkitErrors, because the meaning of an EPIPE depends on the call. To add a kind of end, add a
module here, and a maker to the conformance kit of the tests.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from sockkit.core.address import Address
from sockkit.errors import REFUSED, ReceiveError, SendError, SockkitError, reason
from sockkit.events import Peer

Callback = Callable[[], None]


class Kind(Enum):
    """The kind of an end's descriptor. Lanes are chosen by it.

    ENCRYPTED and OTHER ends can only be copied. OTHER is a terminal, an end without a descriptor,
    or an inherited socket, on which splice(2) might block.
    """

    FILE = auto()
    PIPE = auto()
    SOCKET = auto()
    DEVICE = auto()
    ENCRYPTED = auto()
    OTHER = auto()


class Source(Protocol):
    """The reading half of an end. `name` is for error messages; only lanes use `descriptor`."""

    descriptor: int
    kind: Kind

    @property
    def name(self) -> str: ...

    def read_into(self, buffer: memoryview, /) -> int:
        """Read into `buffer`. Returns the number of bytes, 0 at the end.

        Raises BlockingIOError if there are no bytes now, and SockkitError if reading fails.
        """
        ...

    def has_bytes(self) -> bool:
        """Whether a read would return bytes now; False if unknown. Raises SockkitError."""
        ...

    def when_readable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn of the loop while a read would not block; None to stop."""
        ...

    def read_failed(self, error: OSError, /) -> SockkitError:
        """The error to raise when a read has failed with `error`."""
        ...


class Sink(Protocol):
    """The writing half of an end; see Source."""

    descriptor: int
    kind: Kind

    @property
    def name(self) -> str: ...

    def write(self, data: bytes | memoryview, /) -> int:
        """Write `data`, or the first part of it. Returns how many bytes were accepted.

        Raises BlockingIOError if no byte is accepted now, and SockkitError if writing fails.
        """
        ...

    def when_writable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn of the loop while a write would not block; None to stop."""
        ...

    def write_failed(self, error: OSError, /) -> SockkitError:
        """The error to raise when a write has failed with `error`."""
        ...


class End(Source, Sink, Protocol):
    """Both halves of a connection to one peer.

    Each direction ends by itself: `read_into` returns 0 once the peer has half-closed, and
    `half_close` ends our direction.
    """

    peer: Peer
    remote: Address | None  # the peer's, or the target's behind a proxy

    def local(self) -> Address | None:
        """Our own address on the connection."""
        ...

    def half_close(self) -> None:
        """End our direction, FIN. Bytes written before are still delivered. Raises SockkitError."""
        ...

    def queued(self) -> int:
        """How much waits on this machine for the peer. The unit depends on the kind of end."""
        ...

    def undelivered(self, queued: int | None = None) -> int:
        """How many of the bytes written are not acknowledged.

        Pass the result of `queued()` as `queued` if you have it, to save a call.
        """
        ...

    def failure(self) -> SockkitError | None:
        """The error that has ended the connection, if any. Each error is returned once."""
        ...

    def close(self) -> None:
        """Close the end. Bytes written are still delivered, unless unread bytes cause a reset."""
        ...

    def abort(self) -> None:
        """Close the end with a reset. Undelivered bytes are lost."""
        ...


class PeerEnd(End, Protocol):
    """An end that reports a reset by its peer even while nobody reads."""

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """Call `callback` in each turn of the loop once the peer has reset; None to stop.

        If the peer is a program and exits, `callback` gets PeerExited.
        """
        ...


class PeerExited(SockkitError):  # noqa: N818 - no failure
    """The peer is a program, and has exited. Its output can still be read."""


def os_error(code: int) -> OSError:
    """The OSError that a system call raises for the error number `code`."""
    return OSError(code, os.strerror(code))


def failure_kind(error: OSError) -> str:
    """The `kind` of the error if connecting fails."""
    return REFUSED if error.errno == errno.ECONNREFUSED else reason(error)


def receive_error(name: str, error: OSError) -> ReceiveError:
    why = reason(error)
    told = ReceiveError(f"receiving from {name} failed: {why}", kind=f"receiving failed: {why}")
    told.why = why
    return told


def send_error(name: str, error: OSError) -> SendError:
    why = "the peer has closed" if error.errno == errno.EPIPE else reason(error)
    told = SendError(f"sending to {name} failed: {why}", kind=f"sending failed: {why}")
    told.why = why
    return told
