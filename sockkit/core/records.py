"""Records: everything that happens on connections, in order, one record each.

Taps make them (net/views.py), views show them, and a recording is a file of them. Times are whole
microseconds since 1970 in UTC. The bytes are those of the protocol: after TLS, before a transform.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Direction = Literal["sent", "received"]  # by us


class Stream(NamedTuple):
    """One connection, or the datagrams to and from one peer.

    `number` is the peer's: a server counts from 1, a client's only peer is 0. `transport` is tcp,
    udp, unix, unix-datagram or program. `local` and `remote` are addresses as a user writes them; a
    program's is its name. `dialled` says that we connected, or started it.
    """

    number: int
    transport: str
    local: str
    remote: str
    dialled: bool

    @property
    def datagrams(self) -> bool:
        """Whether this is datagrams and not a connection."""
        return self.transport in ("udp", "unix-datagram")


class Begun(NamedTuple):
    """A run of a command has begun. Every record up to the next Begun belongs to it.

    `encoding` is that of `-E`. `send_encoding` is the one for sending if it differs. Without them,
    bytes were not converted.
    """

    time: int
    command: str
    encoding: str = ""
    send_encoding: str = ""


class Listening(NamedTuple):
    """A server has bound `address`."""

    time: int
    transport: str
    address: str


class Opened(NamedTuple):
    """A connection is established, or the first datagram to or from a peer follows."""

    time: int
    stream: Stream


class Message(NamedTuple):
    """Bytes that passed: a frame, a datagram, or what one system call moved.

    `mark` says why a frame is not an ordinary one: overlong, stray or cut.
    """

    time: int
    stream: Stream
    direction: Direction
    data: bytes
    mark: str = ""


class Ended(NamedTuple):
    """One direction has ended: FIN."""

    time: int
    stream: Stream
    direction: Direction


class Closed(NamedTuple):
    """A connection is closed. If it was reset, `reset` says by whom: "sent" means by us."""

    time: int
    stream: Stream
    reset: Direction | Literal[""] = ""


class Injected(NamedTuple):
    """A relay has injected a fault into a connection or datagrams.

    `direction` is empty for a fault of both. `passed` counts the bytes that had passed before.
    `detail` describes a fault of all bytes from now on.
    """

    time: int
    stream: Stream
    fault: str
    direction: Direction | Literal[""] = ""
    passed: int = 0
    detail: str = ""


class Exit(NamedTuple):
    """The run has ended with this exit status. `error` is the message on stderr, if any."""

    time: int
    status: int
    error: str = ""


Record = Begun | Listening | Opened | Message | Ended | Closed | Injected | Exit
