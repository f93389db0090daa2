"""What the tests of the responder share: responders and their clients."""

from __future__ import annotations

import contextlib
import socket

import pytest

from sockkit.core.address import HostPort
from sockkit.core.responder import MESSAGE_TIME, RuleResponder, UpperResponder, parse_rule
from sockkit.events import Closed, Event
from sockkit.net.echo.tcp import EchoOptions, TcpEcho
from sockkit.net.echo.udp import UdpEcho
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.scheduler import Scheduler
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.net.kit import HERE, of_kind, run_until

LOCAL = ListenOptions(HostPort(HERE, 0))
PLAIN = EchoOptions()
UPPER = EchoOptions(lambda: UpperResponder("utf-8"))
LATE = EchoOptions(delay=0.05)
RULED = EchoOptions(lambda: RuleResponder([parse_rule("PING=PONG", regex=False)], "utf-8"))
each = pytest.mark.parametrize(
    "options", [PLAIN, UPPER, LATE, RULED], ids=["plain", "upper", "late", "ruled"]
)
MIB = 1024 * 1024


class Site:
    """Makes responders and their clients, which are closed with the test."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []

    def tcp(self, options: EchoOptions) -> TcpEcho:
        sockets = SocketOptions(reuse_address=True)
        listener = kit.listening(self.loop, LOCAL, sockets, self.events.append)
        echo = TcpEcho(
            kit.context(self.loop, emit=self.events.append),
            listener,
            options,
            Scheduler(self.loop, MESSAGE_TIME),
        )
        self._stack.callback(echo.close)
        echo.start()
        assert listener.port
        self._to = (HERE, listener.port)
        return echo

    def udp(self, options: EchoOptions) -> UdpEcho:
        context = kit.context(self.loop, emit=self.events.append)
        sock = kit.bound(self.loop, LOCAL, emit=self.events.append)
        self._stack.callback(sock.close)
        echo = UdpEcho(context, sock, options, Scheduler(self.loop, MESSAGE_TIME))
        echo.start()
        assert sock.port
        self._to = (HERE, sock.port)
        return echo

    def client(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, kind))
        sock.connect(self._to)
        sock.setblocking(False)
        return sock

    def asks(self, sock: socket.socket, data: bytes, size: int) -> bytes:
        """`size` bytes that `sock` gets for `data`, or fewer if it ends."""
        waits, got = memoryview(data), bytearray()
        ended = False

        def turn() -> bool:
            nonlocal waits, ended
            with contextlib.suppress(BlockingIOError):
                waits = waits[sock.send(waits) :] if waits else waits
            with contextlib.suppress(BlockingIOError):
                while len(got) < size and not ended:
                    chunk = sock.recv(min(MIB, size - len(got)))
                    ended = not chunk
                    got.extend(chunk)
            return ended or (not waits and len(got) >= size)

        run_until(self.loop, turn)
        return bytes(got)

    def datagram(self, sock: socket.socket) -> bytes:
        got: list[bytes] = []

        def turn() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.append(sock.recv(65536))
            return bool(got)

        run_until(self.loop, turn)
        return got[0]

    @property
    def closed(self) -> list[tuple[int, int, str]]:
        closed = of_kind(self.events, Closed)
        return [(event.sent, event.received, event.problem) for event in closed]


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)
