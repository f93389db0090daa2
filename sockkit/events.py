"""Events: what happens on connections, as values.

Code calls `emit(event)` where something happens. The renderer decides whether and how to show the
event. Sizes are in bytes, times in seconds. Chunks of data have no events.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.values import Value


class Peer(Value):
    """The other side of a connection, or an address that datagrams come from.

    A server numbers its peers from 1 and never uses a number again. A client's only peer has the
    number 0. `address` is for people: `10.0.0.7:51234`.
    """

    number: int
    address: str


class SocketCall(Value):
    """A socket call was made, such as `bind` with the detail `127.0.0.1:8080`.

    `on` is the peer of the connected socket that was called, if it is one. When our side is ended,
    `peer_first` says whether the peer's FIN had come by then, read or not. `unread` says whether
    received bytes were unread when we closed: then the system resets the connection, RFC 2525,
    section 2.17.
    """

    call: str
    detail: str
    on: Peer | None = None
    peer_first: bool = False
    unread: bool = False


class Listening(Value):
    """The server accepts connections or datagrams; with `loopback` only from this machine."""

    address: str
    loopback: bool


class Connecting(Value):
    """An attempt to connect to one endpoint has begun."""

    address: str


class ConnectFailed(Value):
    """An attempt to connect to one of several endpoints has failed; others may succeed."""

    address: str
    reason: str


class Connected(Value):
    """A connection is established; `local` is our address on it."""

    peer: Peer
    local: str


class Named(Value):
    """The peer is a member of the chat room, and has this name."""

    peer: Peer
    name: str


class Tunnelled(Value):
    """A proxy has connected us to `peer`, whose address also names the proxy."""

    peer: Peer


class PeerUser(Value):
    """The process at the other side of a unix socket, and its user and group, unix(7).

    It is the one that connected or sent; another process may use its socket by now.
    """

    peer: Peer
    process: int
    user: int
    group: int


class Secured(Value):
    """A TLS handshake is done. `subject` to `fingerprint` describe the peer's certificate.

    They are empty if the peer sent none. `fingerprint` is its SHA-256 in hexadecimal. The other
    three are empty if the certificate was not checked.
    """

    peer: Peer
    version: str
    cipher: str
    protocol: str
    subject: str
    issuer: str
    expires: str
    fingerprint: str


class InputEnded(Value):
    """Our input has ended, and all of it was sent."""

    peer: Peer
    sent: int
    half_closed: bool = True


class HalfClosed(Value):
    """We have half-closed some time after our input ended. `answered`: the peer answered before
    that.
    """

    peer: Peer
    answered: bool


class PeerEnded(Value):
    """The peer has ended its side, and all that it sent has been written to the output."""

    peer: Peer
    received: int


class StreamTotal(Value):
    """The bytes moved in one direction of a connection, by which lane, and how long that took."""

    peer: Peer
    direction: str
    size: int
    lane: str
    seconds: float


class FrameTotal(Value):
    """How many frames have passed in one direction of a connection that is closed."""

    peer: Peer
    direction: str
    frames: int


class Closed(Value):
    """A connection of a server is closed. `problem` says what went wrong, if anything did.

    `kind` is the problem without the parts that differ from peer to peer. `lost` is False if no
    bytes were lost, and the peer only closed in an unusual way. The sizes are None if the socket
    was lent to a program. `seconds` is how long the connection lasted, if that is known.
    """

    peer: Peer
    sent: int | None
    received: int | None
    problem: str = ""
    kind: str = ""
    lost: bool = True
    seconds: float | None = None


class Unreachable(Value):
    """A relay could not reach its target, and has closed the client's connection."""

    text: str


class FaultInjected(Value):
    """A relay has injected a fault on purpose. `fault` names it, as in `stalled`.

    `direction` is empty for a fault of the whole connection. `passed` is how many bytes had passed,
    or 0 if they do not matter. `detail` describes a fault of all bytes.
    """

    peer: Peer
    direction: str
    fault: str
    passed: int = 0
    detail: str = ""


class ProgramStarted(Value):
    """A program runs for a peer. `streams` says what its standard input and output are."""

    peer: Peer
    name: str
    process: int
    streams: str


class ProgramEnded(Value):
    """The program has exited with `code`, or with -n if signal n has killed it.

    `crashed` says that this was a signal that it should not have got.
    """

    peer: Peer
    name: str
    code: int
    crashed: bool = False


class Notice(Value):
    """Something that a person should know, although nothing has failed.

    A notice that peers can cause any number of times has a `kind`, the same text for every peer.
    """

    text: str
    kind: str = ""


class Hint(Value):
    """What to try if something is missing. Shown only with -v."""

    text: str


class Waiting(Value):
    """What the command waits for while nothing happens, for a person who watches stderr."""

    text: str


class CommandsOffered(Value):
    """A person at the line editor can type commands from now on; `key` opens the prompt."""

    key: str


class TargetChosen(Value):
    """Datagrams will be sent to `address`. Whether anybody receives them is not known."""

    address: str
    local: str


class NewPeer(Value):
    """The first datagram from a peer was received."""

    peer: Peer


class PeerForgotten(Value):
    """A new peer has replaced this one, which was silent for longest."""

    peer: Peer


class Unanswered(Value):
    """A datagram from `address` was not answered, for the reason `why`."""

    address: str
    why: str


class DatagramTotal(Value):
    """The datagrams of one direction, their bytes, and the time from the first to the last."""

    direction: str
    datagrams: int
    size: int
    seconds: float = 0.0


class Transferred(Value):
    """The bytes that the whole run has sent and received. Emitted at the end, if asked for.

    The time of each direction is from the first byte of the run to that direction's last one.
    """

    sent: int
    received: int
    seconds: float
    sent_seconds: float
    received_seconds: float


class Answer(Value):
    """The answer to a command of the operator."""

    text: str


class Failure(Value):
    """Something was lost, and the command goes on. `kind` is as in a Notice."""

    text: str
    kind: str = ""


Event = (
    SocketCall
    | Listening
    | Connecting
    | ConnectFailed
    | Connected
    | Named
    | Tunnelled
    | PeerUser
    | Secured
    | InputEnded
    | HalfClosed
    | PeerEnded
    | StreamTotal
    | FrameTotal
    | Closed
    | Unreachable
    | FaultInjected
    | ProgramStarted
    | ProgramEnded
    | CommandsOffered
    | TargetChosen
    | NewPeer
    | PeerForgotten
    | Unanswered
    | DatagramTotal
    | Transferred
    | Notice
    | Hint
    | Waiting
    | Answer
    | Failure
)
Emit = Callable[[Event], None]
