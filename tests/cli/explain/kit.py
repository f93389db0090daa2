"""What is told of events and records, and those of a usual run."""

from __future__ import annotations

from typing import get_args

from sockkit.cli.explain.en import SENTENCES
from sockkit.cli.explain.narrator import Narrator
from sockkit.cli.explain.role import Role
from sockkit.core.records import Closed as ClosedRecord
from sockkit.core.records import Ended, Opened, Record, Stream
from sockkit.errors import (
    SockkitError,
)
from sockkit.events import (
    Connected,
    Connecting,
    Event,
    InputEnded,
    Listening,
    Peer,
    PeerEnded,
    SocketCall,
)

SERVER = Peer(0, "127.0.0.1:8080")
FIRST, SECOND = Peer(1, "127.0.0.1:50001"), Peer(2, "127.0.0.1:50002")
LOCAL = "127.0.0.1:8080"


class Told:
    """What was told; each sentence is filled in, so that nothing is missing from it."""

    def __init__(self, *, full: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.steps: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self._full = full  # the kinds that are only counted

    def __call__(self, kind: str, code: str, *keys: str, **holes: str | int) -> bool:
        assert f"kind.{kind}" in SENTENCES
        if kind in self._full:
            return False
        self.steps.append((code, keys))
        self.text += [SENTENCES[key].format(**holes) for key in keys]
        return True

    @property
    def code(self) -> list[str]:
        return [code for code, _ in self.steps if code]

    @property
    def keys(self) -> list[str]:
        return [key for _, keys in self.steps for key in keys]


class Lesson:
    def __init__(
        self, *, serves: bool = False, relays: bool = False, framed: bool = False, full: str = ""
    ) -> None:
        self.told = Told(full=set(full.split()))
        self._narrator = Narrator(self.told, Role(serves=serves, relays=relays, framed=framed))

    def tell(self, *happened: Event | Record | SockkitError) -> Told:
        """What is told of that alone."""
        self.told.steps.clear()
        self.told.text.clear()
        for one in happened:
            if isinstance(one, SockkitError):
                self._narrator.failed(one)
            elif isinstance(one, get_args(Event)):
                self._narrator.tell(one)  # type: ignore[arg-type]
            else:
                self._narrator.show(one)  # type: ignore[arg-type]
        return self.told


def stream(peer: Peer = SERVER, *, dialled: bool = True, transport: str = "tcp") -> Stream:
    local = "127.0.0.1:50001" if dialled else LOCAL
    return Stream(peer.number, transport, local, peer.address, dialled)


def listening(bind: str = LOCAL) -> list[Event]:
    return [
        SocketCall("socket", "IPv4, stream"),
        SocketCall("setsockopt", "SO_REUSEADDR = 1"),
        SocketCall("bind", bind),
        SocketCall("listen", "backlog 5"),
        Listening(LOCAL, loopback=True),
    ]


def accepted(peer: Peer = FIRST) -> list[Event | Record]:
    return [
        SocketCall("accept", peer.address),
        Connected(peer, LOCAL),
        Opened(0, stream(peer, dialled=False)),
    ]


def connected(*before: Event) -> list[Event | Record]:
    return [
        Connecting(SERVER.address),
        SocketCall("socket", "IPv4, stream"),
        *before,
        SocketCall("connect", SERVER.address),
        Connected(SERVER, FIRST.address),
        Opened(0, stream()),
    ]


def client() -> Lesson:
    lesson = Lesson()
    lesson.tell(*connected())
    return lesson


def server(**more: bool | str) -> Lesson:
    lesson = Lesson(serves=True, **more)  # type: ignore[arg-type]
    lesson.tell(*listening(), *accepted())
    return lesson


def closing(
    peer: Peer = SERVER, *, peer_first: bool = False, unread: bool = False
) -> list[Event | Record]:
    """Our call of close, and what a tap then records."""
    of = stream(peer, dialled=not peer.number)
    call = SocketCall("close", f"the connection to {peer.address}", peer, peer_first, unread)
    return [call, Ended(0, of, "sent"), ClosedRecord(0, of)]


def shutting(peer: Peer = SERVER, *, peer_first: bool = False) -> list[Event | Record]:
    call = SocketCall("shutdown", f"the sending side to {peer.address}", peer, peer_first)
    of = stream(peer, dialled=not peer.number)
    return [call, Ended(0, of, "sent"), InputEnded(peer, 5)]


def ended(peer: Peer = SERVER) -> list[Event | Record]:
    of = stream(peer, dialled=not peer.number)
    return [Ended(0, of, "received"), PeerEnded(peer, 5)]
