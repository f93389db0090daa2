"""Ends: one interface to a peer, a file, a terminal or a program.

An End never blocks. It reports itself when it is readable or writable: a socket asks its
descriptor, but others may hold bytes that no descriptor shows. It also turns the OSErrors of its
calls into errors of ours, because what an EPIPE means depends on the call. A new kind of end is a
module here, and a maker in the conformance kit of the tests.
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
    """The kind of an end's descriptor, by which a lane is chosen.

    ENCRYPTED and OTHER ends must be copied. OTHER is for a terminal, an end without a descriptor,
    or a socket that was inherited, on which splice(2) might block.
    """

    FILE = auto()
    PIPE = auto()
    SOCKET = auto()
    DEVICE = auto()
    ENCRYPTED = auto()
    OTHER = auto()


class Source(Protocol):
    """The reading half of an end. `name` is for error messages, `descriptor` for lanes only."""

    descriptor: int
    kind: Kind

    @property
    def name(self) -> str: ...

    def read_into(self, buffer: memoryview, /) -> int:
        """Read into `buffer`; returns the number of bytes, 0 at the end.

        Raises BlockingIOError if there are none now, and SockkitError.
        """
        ...

    def has_bytes(self) -> bool:
        """Whether a read would return any now; False if unknown. Raises SockkitError."""
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
        """Write some of `data`; returns how many bytes were accepted.

        Raises BlockingIOError if none can be now, and SockkitError.
        """
        ...

    def when_writable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn of the loop while a write would not block; None to stop."""
        ...

    def write_failed(self, error: OSError, /) -> SockkitError:
        """The error to raise when a write has failed with `error`."""
        ...


class End(Source, Sink, Protocol):
    """Both halves of a connection to one peer, owned by its maker.

    Each direction ends by itself: `read_into` returns 0 once the peer has half-closed, and
    `half_close` ends our direction.
    """

    peer: Peer
    remote: Address | None  # the peer's, or the target's behind a proxy

    def local(self) -> Address | None:
        """Our own address on the connection."""
        ...

    def half_close(self) -> None:
        """End our direction, FIN. What was written is still delivered. Raises SockkitError."""
        ...

    def queued(self) -> int:
        """How much waits on this machine for the peer, in a unit of the end's own."""
        ...

    def undelivered(self, queued: int | None = None) -> int:
        """Bytes written that are not acknowledged; `queued` saves a call of `queued()`."""
        ...

    def failure(self) -> SockkitError | None:
        """The error that has ended the connection since the last call, if any."""
        ...

    def close(self) -> None:
        """Close it. What was written is still delivered, unless unread bytes cause a reset."""
        ...

    def abort(self) -> None:
        """Close it with a reset. What is not delivered is lost."""
        ...


class PeerEnd(End, Protocol):
    """An end whose peer may reset it while nobody reads."""

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """Call `callback` in each turn of the loop once the peer has reset; None to stop.

        A program that has exited calls it with PeerExited.
        """
        ...


class PeerExited(SockkitError):  # noqa: N818 - no failure
    """The peer is a program, and has exited. What it has written can still be read."""


def os_error(code: int) -> OSError:
    """The error that a call raises for the number `code`, with the system's words."""
    return OSError(code, os.strerror(code))


def failure_kind(error: OSError) -> str:
    """The `kind` of the error for a connection that could not be made."""
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
