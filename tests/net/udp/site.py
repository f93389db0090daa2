"""Datagram sockets on one loop, for tests."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.access import AccessList
from sockkit.core.address import HostPort
from sockkit.errors import SockkitError, TextError
from sockkit.events import Event, Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.client import Aim
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramSocket, Received
from sockkit.net.udp.exchange import DatagramExchange
from sockkit.net.udp.open import UdpOptions
from tests.net import kit
from tests.net.kit import run_until
from tests.support import HERE

PLAIN = UdpOptions()


class Words:
    """Messages that are bytes, or with `packs` and `shows` lines, which are marked."""

    def __init__(
        self,
        *,
        packs: bool = False,
        shows: bool = False,
        drops: bool = False,
        hello: bytes | None = None,
        good_bye: bytes | None = None,
        mark: bytes = b"<%s>",
    ) -> None:
        self.packs, self.shows, self.drops = packs, shows, drops
        self.hello, self.good_bye = hello, good_bye
        self._mark = mark

    def pack(self, line: bytes) -> bytes:
        if line == b"bad":
            raise TextError("no such text")
        return self._mark % line

    def skips(self, line: bytes) -> bool:
        return line == b"skipped"

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        return lines[: lines.index(b"quit")] if b"quit" in lines else lines

    def show(self, peer: Peer, datagram: bytes) -> bytes:
        if datagram == b"bad":
            raise TextError("no such text")
        return b"%d %s\n" % (peer.number, datagram)


LINES = Words(packs=True, mark=b"%s")


def bound(
    context: Context, stack: contextlib.ExitStack, buffer_size: int | None = None
) -> DatagramSocket:
    """A socket on a free port, which is closed with the test."""
    where = ListenOptions(HostPort(HERE, 0))
    sockets = SocketOptions(buffer_size=buffer_size)
    sock = kit.bound(context.loop, where, sockets, emit=context.emit)
    stack.callback(sock.close)
    return sock


def aims(context: Context, address: HostPort, buffer_size: int | None = None) -> Iterator[Aim]:
    sockets = SocketOptions(buffer_size=buffer_size)
    return kit.aimed(context.loop, address, emit=context.emit, sockets=sockets)


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

    @property
    def is_on(self) -> bool:
        return self._full


def receive(loop: Loop, sock: DatagramSocket, count: int) -> list[bytes]:
    """Turn the loop until `sock` has received so many datagrams."""
    got: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            got.extend(sock.receive().datagrams())

    sock.when_readable(read)
    run_until(loop, lambda: len(got) >= count)
    sock.when_readable(None)
    return got


class Site:
    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.context = kit.context(loop, emit=self.events.append)

    def server(
        self,
        host: str = HERE,
        buffer_size: int | None = None,
        udp: UdpOptions = PLAIN,
        access: AccessList | None = None,
    ) -> DatagramSocket:
        options = ListenOptions(HostPort(host, 0), access=access)
        sockets = SocketOptions(buffer_size=buffer_size)
        sock = kit.bound(self.loop, options, sockets, udp, self.events.append)
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
        return receive(self.loop, sock, count)


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)


class Exchanging:
    """An exchange on a pipe each way, with a socket of the test's at the other end.

    It is the handler itself, which knows one peer.
    """

    answers = True

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        messages: Words,
        buffer_size: int | None = None,
    ) -> None:
        self.loop = loop
        self.events: list[Event] = []
        self.failures: list[SockkitError] = []
        self.ended = 0
        self.input = kit.source("pipe", stack, Path())
        self.output = kit.sink("pipe", stack, Path())
        stdio = Stdio(self.input.end, self.output.end, "utf-8")
        context = kit.context(loop, stdio, self.events.append)
        self.near, self.far = bound(context, stack, buffer_size), bound(context, stack)
        self.addresses: list[Any] = [(HERE, self.far.port)]
        self.exchange = DatagramExchange(context, self.near, messages, self)
        self.sent, self.receiver = self.exchange.sender.total, self.exchange.receiver
        stack.callback(self.exchange.stop)

    def targets(self) -> list[Any]:
        return self.addresses

    def received(self, got: Received) -> Peer:
        return Peer(1, "there")

    def input_ended(self) -> None:
        self.ended += 1

    def failed(self, error: SockkitError) -> None:
        self.failures.append(error)

    def arrive(self, count: int) -> list[bytes]:
        """So many datagrams as they arrive at the other end."""
        return receive(self.loop, self.far, count)

    def say(self, data: bytes) -> None:
        self.far.send(data, MAX_PAYLOAD_BYTES, (HERE, self.near.port))


Make = Callable[..., Exchanging]


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack) -> Make:
    """Makes an exchange that has been started, of messages with these options."""

    def make(buffer_size: int | None = None, **options: Any) -> Exchanging:
        made = Exchanging(loop, stack, Words(**options), buffer_size)
        made.exchange.start()
        return made

    return make
