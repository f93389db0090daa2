"""A line over a datagram socket, as what plays over it sees it."""

from __future__ import annotations

from sockkit.core.address import HostPort
from sockkit.core.player import Conversation
from sockkit.errors import ConnectError
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.replay.datagram_line import DatagramLine
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.net.replay.kit import CLIENT
from tests.net.replay.test_lines import Host
from tests.support import HERE, datagrams

loop, stack = kit.loop, kit.stack


def test_datagrams_both_ways(loop: Loop, stack: kit.Stack) -> None:
    server = kit.bound(loop, ListenOptions(HostPort(HERE, 0)), SocketOptions())
    stack.callback(server.close)
    assert server.port
    with datagrams(server.port) as peer:
        host = Host(loop)
        stream = CLIENT._replace(transport="udp")
        address = peer.getsockname()
        line = DatagramLine(host, Conversation(stream, 0, None), server, address)
        line.start()
        for data in (b"one", b"", b"three"):
            line.send(data)
            assert peer.recv(100) == data
            peer.send(data)
        kit.run_until(loop, lambda: len(host.got) == 3)
        assert host.got == [b"one", b"", b"three"]
        line.finish()
        line.stop()
        line.send(b"late")
        assert host.told == ["closed"]


def test_a_refusal_closes_a_line_of_datagrams(loop: Loop, stack: kit.Stack) -> None:
    with datagrams(9) as other:
        port = other.getsockname()[1]
    sock, _ = next(kit.aimed(loop, HostPort(HERE, port)))
    host = Host(loop)
    line = DatagramLine(host, Conversation(CLIENT, 0, None), sock)
    line.start()
    line.send(b"x")
    kit.run_until(loop, lambda: bool(host.told))
    assert isinstance(host.told[0], ConnectError)
