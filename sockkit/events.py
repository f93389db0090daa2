"""What happens on a connection, as values.

A part that does something says so by `emit(event)`; what becomes of it (a line on
stderr, nothing) is decided by the renderer. Sizes are bytes, times are seconds.
There is no event per chunk.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.values import Value


class Peer(Value):
    """The other end of one connection.

    `number` counts a server's connections from 1 and is never reused in a run;
    a client's only peer is number 0. `address` is for people: `10.0.0.7:51234`.
    """

    number: int
    address: str


class Step(Value):
    """One call on a socket was made: `bind` of `127.0.0.1:8080`."""

    call: str
    detail: str


class Listening(Value):
    """The server is ready; `loopback` when only this machine can reach it."""

    address: str
    loopback: bool


class Connecting(Value):
    """One address of a name is tried."""

    address: str


class ConnectFailed(Value):
    """One address of several did not answer; others may."""

    address: str
    reason: str


class Connected(Value):
    """A connection stands; `local` is our own address on it."""

    peer: Peer
    local: str


class InputEnded(Value):
    """Our input has ended and the peer has been told (half-close)."""

    peer: Peer
    sent: int


class PeerEnded(Value):
    """The peer has ended its side, and what it sent has been written out."""

    peer: Peer
    received: int


class Moved(Value):
    """The total of one direction, and the lane that ran."""

    peer: Peer
    direction: str
    size: int
    lane: str
    seconds: float


class Closed(Value):
    """A server's connection is over; `problem` says what went wrong, if anything.

    `kind` is the problem without what differs from one peer to the next. Nothing is `lost`
    where the peer has only left in its own way.
    """

    peer: Peer
    sent: int
    received: int
    problem: str = ""
    kind: str = ""
    lost: bool = True


class Notice(Value):
    """Something a person should know although nothing has failed.

    What a peer can cause any number of times has a `kind`: the same words for every peer.
    """

    text: str
    kind: str = ""


class Aimed(Value):
    """Datagrams will go to `address`: nobody need be there."""

    address: str
    local: str


class Heard(Value):
    """A datagram has come from somebody new."""

    peer: Peer


class Forgotten(Value):
    """A peer that was silent for longest has made room for another."""

    peer: Peer


class Unanswered(Value):
    """A datagram has come from where no answer may go, and `why` not."""

    address: str
    why: str


class Exchanged(Value):
    """The datagrams of one direction, in total."""

    direction: str
    datagrams: int
    size: int


class Answer(Value):
    """What the person at the terminal asked for."""

    text: str


class Failure(Value):
    """Something was lost, and the command goes on. `kind` is as a Notice's."""

    text: str
    kind: str = ""


Event = (
    Step
    | Listening
    | Connecting
    | ConnectFailed
    | Connected
    | InputEnded
    | PeerEnded
    | Moved
    | Closed
    | Aimed
    | Heard
    | Forgotten
    | Unanswered
    | Exchanged
    | Notice
    | Answer
    | Failure
)
Emit = Callable[[Event], None]
