"""What bytes come from and go to: the one way to a peer, a file, a terminal or a program.

An End never blocks. It says itself when it is readable or writable, because only it knows: a
socket asks its descriptor, others may hold bytes that no descriptor tells of. It turns the
OSError of its own calls into one of ours, because only the place of a call knows what an EPIPE
means. A new kind of end is a module here, and a maker in the conformance kit of the tests.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from sockkit.errors import ReceiveError, SendError, SockkitError, reason
from sockkit.events import Peer

Callback = Callable[[], None]


class Kind(Enum):
    """What the descriptor of an end is, as far as lanes differ by it.

    OTHER is what only a copy can be trusted with: a terminal, an end without a descriptor, or a
    socket somebody else opened, which splice(2) might block on.
    """

    FILE = auto()
    PIPE = auto()
    SOCKET = auto()
    DEVICE = auto()
    OTHER = auto()


class Source(Protocol):
    """The reading half of an end. Errors call it `name`; `descriptor` is for lanes alone."""

    descriptor: int
    kind: Kind

    @property
    def name(self) -> str: ...

    def read_into(self, buffer: memoryview, /) -> int:
        """How many bytes came, 0 at the end. Raises BlockingIOError for none now, SockkitError."""
        ...

    def has_bytes(self) -> bool:
        """Whether a read would give any now, as far as that is known. Raises as a read does."""
        ...

    def when_readable(self, callback: Callback | None) -> None:
        """Call `callback` for as long as a read would not block; None to stop."""
        ...

    def read_failed(self, error: OSError, /) -> SockkitError:
        """What `error` means, which a read met."""
        ...


class Sink(Protocol):
    """The writing half of an end; see Source."""

    descriptor: int
    kind: Kind

    @property
    def name(self) -> str: ...

    def write(self, data: bytes | memoryview, /) -> int:
        """How many bytes were accepted. Raises BlockingIOError for none now, SockkitError."""
        ...

    def when_writable(self, callback: Callback | None) -> None:
        """Call `callback` for as long as a write would not block; None to stop."""
        ...

    def write_failed(self, error: OSError, /) -> SockkitError:
        """What `error` means, which a write met."""
        ...


class End(Source, Sink, Protocol):
    """Both halves of a connection to one peer, owned by whoever made it.

    Each direction ends by itself: `read_into` gives 0 when the peer has ended its side,
    `half_close` ends ours.
    """

    peer: Peer

    def half_close(self) -> None:
        """Tell the peer that nothing more comes; what was written is still delivered."""
        ...

    def queued(self) -> int:
        """How much is held for the peer on this machine; the unit is the end's own."""
        ...

    def undelivered(self, queued: int | None = None) -> int:
        """Bytes written that the peer's system has not acknowledged, of what is `queued`."""
        ...

    def failure(self) -> SockkitError | None:
        """What has ended the connection since the last call, as an error of sending."""
        ...

    def close(self) -> None:
        """Close it. What was written is still delivered if the peer has sent nothing unread."""
        ...

    def abort(self) -> None:
        """Close it with a reset: what was not delivered is thrown away."""
        ...


def words(error: OSError) -> str:
    """What the system said, as it reads inside a sentence."""
    text = reason(error)
    return text[:1].lower() + text[1:]


def receive_error(name: str, error: OSError) -> ReceiveError:
    why = words(error)
    return ReceiveError(f"receiving from {name} failed: {why}", kind=f"receiving failed: {why}")


def send_error(name: str, error: OSError) -> SendError:
    why = "the peer has closed" if error.errno == errno.EPIPE else words(error)
    return SendError(f"sending to {name} failed: {why}", kind=f"sending failed: {why}")
