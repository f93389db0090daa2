"""A relay over UDP on the test's loop, between plain sockets of the test's."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort
from sockkit.core.faults import FaultOptions, Held
from sockkit.events import Event, Failure
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.relay.datagram_way import Convert, WayOptions
from sockkit.net.relay.udp import DatagramRelay, RelayOptions
from sockkit.net.relay.udp_target import Target
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import Route
from sockkit.net.views import Views
from tests.net import kit
from tests.net.kit import of_kind
from tests.net.views_kit import Kept
from tests.support import HERE, refuses_datagrams


def turn_until(loop: Loop, true: Callable[[], bool]) -> None:
    """Turn the loop until `true`, also on a clock that stands still."""
    kit.do(loop, true, loop.stop)
    loop.run()


class Plain:
    """A plain socket, which counts what it hears while the loop turns."""

    def __init__(self, loop: Loop, sock: Any) -> None:
        self._loop, self.sock = loop, sock
        self.sock.setblocking(False)
        self.got: list[tuple[bytes, Any]] = []
        self.address = sock.getsockname()

    def heard(self, count: int = 1) -> list[bytes]:
        """The next datagrams."""
        turn_until(self._loop, lambda: self._read() >= count)
        got, self.got = self.got[:count], self.got[count:]
        self.sender = got[-1][1]
        return [data for data, _ in got]

    def _read(self) -> int:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                self.got.append(self.sock.recvfrom(70_000))
        return len(self.got)

    @property
    def nothing(self) -> bool:
        """Whether nothing more has come once the loop is at rest."""
        kit.settle(self._loop)
        return not self._read()


class Relaying:
    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.kept = Kept()
        self.target = self.plain()
        self.target.sock.bind((HERE, 0))
        self.target.address = self.target.sock.getsockname()
        self.sock: DatagramSocket

    def nowhere(self) -> tuple[str, int]:
        """An address that refuses what comes."""
        return HERE, self._stack.enter_context(refuses_datagrams())

    def plain(self, family: int = socket.AF_INET) -> Plain:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        return Plain(self.loop, self._stack.enter_context(sock))

    def start(
        self,
        *routes: Any,
        most: int = 10,
        idle: float = 60.0,
        to_target: Convert | None = None,
        to_client: Convert | None = None,
        viewed: bool = False,
        **faults: Any,
    ) -> DatagramRelay:
        """Relay to these addresses, by default to that of `target`."""
        loop, emit = self.loop, self.events.append
        context = kit.context(loop, emit=emit)
        self.sock = kit.bound(loop, ListenOptions(HostPort(HERE, 0)), emit=emit)
        self._stack.callback(self.sock.close)
        if viewed:
            self.views = Views(loop, emit)
            self.views.add(self.kept)
            context = context._replace(views=self.views)
        to: Address = HostPort(HERE, self.target.address[1])
        found = [Route(Endpoint(socket.AF_INET, at)) for at in routes or [self.target.address]]
        options, delayed = FaultOptions(**faults), Held()
        sent = WayOptions(loop, emit, "sent", to_target, options, delayed)
        received = WayOptions(loop, emit, "received", to_client, options, delayed)
        target = Target(context, to, found, SocketOptions())
        relay = DatagramRelay(context, self.sock, target, RelayOptions(sent, received, most, idle))
        relay._service.start()
        self._stack.callback(self._stop, relay)
        self.relay = relay
        return relay

    def _stop(self, relay: DatagramRelay) -> None:
        self.loop.call_soon(self.loop.stop)
        relay.run()

    def peer(self, at: str = HERE) -> Plain:
        peer = self.plain()
        peer.sock.bind((at, 0))
        peer.sock.connect((HERE, self.sock.port))
        peer.address = peer.sock.getsockname()
        return peer

    def failures(self) -> list[str]:
        return [event.text for event in of_kind(self.events, Failure)]

    def told(self, kind: type, count: int = 1) -> list[Any]:
        turn_until(self.loop, lambda: len(of_kind(self.events, kind)) >= count)
        return of_kind(self.events, kind)


@pytest.fixture
def relaying(loop: Loop, stack: contextlib.ExitStack) -> Relaying:
    return Relaying(loop, stack)
