"""Lines that are dialled: a connection or a socket for each conversation."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from sockkit.core.address import HostPort
from sockkit.core.player import Conversation
from sockkit.errors import ConnectError
from sockkit.events import Connected, Event
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.replay.client import Dialler
from sockkit.net.replay.datagram_line import DatagramLine
from sockkit.net.replay.lines import StreamLine
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.waiting import wait_for
from tests.net import kit
from tests.net.replay.kit import CLIENT
from tests.net.replay.test_lines import Host
from tests.support import HERE

loop = kit.loop


def dialler(loop: Loop, port: int, events: list[Event]) -> Dialler:
    context = kit.context(loop, emit=events.append)
    return Dialler(context, HostPort(HERE, port), ConnectOptions(), SocketOptions())


def test_a_connection_has_the_number_of_its_peer(loop: Loop) -> None:
    events: list[Event] = []
    with socket.create_server((HERE, 0)) as server:
        conversation = Conversation(CLIENT._replace(number=7), 0, None)
        made = dialler(loop, server.getsockname()[1], events)
        line = wait_for(loop, partial(made.open, Host(loop), conversation))  # type: ignore[arg-type]
        assert isinstance(line, StreamLine)
        (connected,) = (event for event in events if isinstance(event, Connected))
        assert connected.peer.number == 7
        with server.accept()[0] as peer:
            line.start()
            line.send(b"hello")
            assert peer.recv(100) == b"hello"
            line.stop()
        made.close()


def test_datagrams(loop: Loop) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((HERE, 0))
        peer.settimeout(kit.WAIT)
        conversation = Conversation(CLIENT._replace(transport="udp"), 0, None)
        made = dialler(loop, peer.getsockname()[1], [])
        line = wait_for(loop, partial(made.open, Host(loop), conversation))  # type: ignore[arg-type]
        assert isinstance(line, DatagramLine)
        line.send(b"")
        line.send(b"hello")
        assert [peer.recv(100), peer.recv(100)] == [b"", b"hello"]
        line.stop()


def test_nobody_listens(loop: Loop) -> None:
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        made = dialler(loop, sock.getsockname()[1], [])
        conversation = Conversation(CLIENT, 0, None)
        with pytest.raises(ConnectError, match="refused"):
            wait_for(loop, partial(made.open, Host(loop), conversation))  # type: ignore[arg-type]
