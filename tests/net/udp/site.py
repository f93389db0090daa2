"""Datagram sockets on one loop, for tests."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.events import Event
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions
from tests.net import kit
from tests.net.kit import run_until
from tests.support import HERE

PLAIN = UdpOptions()


class Full:
    """While it is on, the system takes nothing of a DatagramSocket, or of all of them."""

    def __init__(
        self, patch: pytest.MonkeyPatch, owner: DatagramSocket | type[DatagramSocket]
    ) -> None:
        self._full = True
        real = owner.send

        def send(*arguments: Any) -> int:
            if self._full:
                raise BlockingIOError
            return real(*arguments)

        patch.setattr(owner, "send", send)

    def on(self) -> None:
        self._full = True

    def off(self) -> None:
        self._full = False


class Site:
    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []

    def server(
        self, host: str = HERE, size: int | None = None, udp: UdpOptions = PLAIN
    ) -> DatagramSocket:
        options = ListenOptions(HostPort(host, 0))
        sock = kit.bound(self.loop, options, udp=udp, size=size, emit=self.events.append)
        self._stack.callback(sock.close)
        return sock

    def client(self, port: int | None, host: str = HERE) -> DatagramSocket:
        assert port
        sock, _ = next(kit.aimed(self.loop, HostPort(host, port), emit=self.events.append))
        self._stack.callback(sock.close)
        return sock

    def plain(self, family: int = socket.AF_INET) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        sock.settimeout(5)
        return sock

    def receive(self, sock: DatagramSocket, count: int) -> list[bytes]:
        got: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(BlockingIOError):
                got.extend(sock.receive().datagrams())

        self.loop.when_readable(sock.descriptor, read)
        run_until(self.loop, lambda: len(got) >= count)
        self.loop.when_readable(sock.descriptor, None)
        return got


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)
