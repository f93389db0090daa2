"""What a tap of a datagram socket sees, over real sockets."""

from __future__ import annotations

import contextlib
import socket

import pytest

from sockkit.core.peers import MAX_PEERS
from sockkit.core.records import Closed, Message, Opened, Record
from sockkit.errors import SockkitError
from sockkit.events import Event
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket
from sockkit.net.udp.tap import DatagramTap
from sockkit.net.views import Views
from tests.net import kit
from tests.support import HERE

loop, stack = kit.loop, kit.stack


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def show(self, *records: Record) -> None:
        self.records += records

    def close(self) -> None:
        pass

    @property
    def messages(self) -> list[tuple[int, str, bytes]]:
        """The number of the peer, the direction and the data of each."""
        return [
            (record.stream.number, record.direction, record.data)
            for record in self.records
            if isinstance(record, Message)
        ]


def no_events(event: Event) -> None:
    pass


def fail(error: SockkitError) -> None:
    raise error


def bound(
    context: Context, stack: contextlib.ExitStack, remote: socket.socket | None = None
) -> DatagramSocket:
    """A socket on a free port; with `remote` that of a client."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind((HERE, 0))
    to = None
    if remote:
        sock.connect(remote.getsockname())
        to = Endpoint(socket.AF_INET, remote.getsockname())
    made = DatagramSocket(context, sock, to, SocketOptions(), dialled=bool(remote))
    stack.callback(made.close)
    return made


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def context(loop: Loop, kept: Kept) -> Context:
    views = Views(loop, no_events)
    views.add(kept)
    return kit.context(loop)._replace(views=views)


def test_a_server_sees_each_peer_by_its_number(
    context: Context, kept: Kept, stack: contextlib.ExitStack
) -> None:
    sock = bound(context, stack)
    there = (HERE, sock.port)
    peers = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)]
    for peer, data in ((peers[0], b"one"), (peers[1], b""), (peers[0], b"three")):
        peer.sendto(data, there)
        list(sock.incoming(fail))
    sock.send(b"abcde", 2, (HERE, peers[1].getsockname()[1]))
    assert kept.messages == [
        (1, "received", b"one"),
        (2, "received", b""),
        (1, "received", b"three"),
        (2, "sent", b"ab"),
        (2, "sent", b"cd"),
        (2, "sent", b"e"),
    ]
    opened = [record.stream for record in kept.records if isinstance(record, Opened)]
    assert [stream.number for stream in opened] == [1, 2]
    assert {stream.transport for stream in opened} == {"udp"}
    assert not opened[0].dialled
    assert opened[0].local == sock.address
    assert opened[0].remote == f"{HERE}:{peers[0].getsockname()[1]}"


def test_a_client_has_one_peer_whose_number_is_0(
    context: Context, kept: Kept, stack: contextlib.ExitStack
) -> None:
    peer = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    peer.bind((HERE, 0))
    sock = bound(context, stack, peer)
    sock.send(b"ping", 10)
    _, address = peer.recvfrom(10)
    peer.sendto(b"pong", address)
    list(sock.incoming(fail))
    assert kept.messages == [(0, "sent", b"ping"), (0, "received", b"pong")]
    assert kept.records[0].stream.dialled  # type: ignore[union-attr]


def test_one_of_many_sockets_has_the_number_that_it_is_given(
    context: Context, kept: Kept, stack: contextlib.ExitStack
) -> None:
    peer = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    peer.bind((HERE, 0))
    sock = bound(context, stack, peer)
    assert sock.tap
    sock.tap.number = 7
    sock.send(b"a", 1)
    sock.send(b"b", 1)
    assert kept.messages == [(7, "sent", b"a"), (7, "sent", b"b")]
    assert sum(isinstance(record, Opened) for record in kept.records) == 1


def test_who_is_forgotten_is_closed(loop: Loop, kept: Kept) -> None:
    views = Views(loop, no_events)
    views.add(kept)
    tap = DatagramTap(views, "udp", "127.0.0.1:1", None, dialled=False)
    for port in range(MAX_PEERS + 1):
        tap.sent(b"x", 1, (HERE, 1024 + port))
    closed = [record.stream.number for record in kept.records if isinstance(record, Closed)]
    assert closed == [1]


def test_nothing_is_sent_or_received_while_what_was_seen_waits_for_its_reader(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    class Full(Views):
        is_full = True

        @property
        def full(self) -> bool:
            return self.is_full

    views = Full(loop, no_events)
    context = kit.context(loop)._replace(views=views)
    sock = bound(context, stack)
    empty: list[bool] = []
    outbox = DatagramOutbox(sock, on_empty=lambda: empty.append(True), on_fail=fail)
    outbox.put(b"x", 1, (HERE, sock.port))
    assert outbox.waits
    ready: list[bool] = []
    sock.when_readable(lambda: ready.append(True))
    kit.settle(loop)
    assert not ready
    assert not empty
    views.is_full = False
    views._has_room()
    kit.settle(loop)
    assert ready
    assert empty
    assert not outbox.waits
    sock.when_readable(None)


def test_who_is_sent_to_is_forgotten_as_the_commands_forget(loop: Loop, kept: Kept) -> None:
    """They count what has come, not what was sent."""
    views = Views(loop, no_events)
    views.add(kept)
    tap = DatagramTap(views, "udp", "127.0.0.1:1", None, dialled=False)
    for port in range(MAX_PEERS):
        tap.sent(b"x", 1, (HERE, 1024 + port))
    tap.sent(b"again", 5, (HERE, 1024))
    tap.sent(b"x", 1, (HERE, 1024 + MAX_PEERS))
    closed = [record.stream.number for record in kept.records if isinstance(record, Closed)]
    assert closed == [1]
