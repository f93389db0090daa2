from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from sockkit.core.address import HostPort
from sockkit.core.chat_udp import SignedRoom
from sockkit.net.chat_udp import UdpChatServer
from sockkit.net.listen import ListenOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.stdio import Stdio
from sockkit.net.udp import UdpOptions, bind_datagrams
from tests.net import kit
from tests.net.kit import HERE

loop, stack = kit.loop, kit.stack


class Site:
    """A room, and its members' sockets. What it shows of a line is `shown`."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, shown: Callable[[str], bytes]
    ) -> None:
        self._stack = stack
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.input, self.output = source.far, sink
        options = ListenOptions(HostPort(HERE, 0))
        self._socket = bind_datagrams(loop, options, SocketOptions(), UdpOptions(), None, id)
        stack.callback(self._socket.close)
        stdio = Stdio(source.end, sink.end, "utf-8")
        self.server = UdpChatServer(loop, self._socket, SignedRoom(), stdio, "gbk", shown, id)

    def member(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect((HERE, self._socket.port))
        sock.setblocking(False)
        return sock


def test_datagrams_go_to_all_but_their_sender(loop: Loop, stack: contextlib.ExitStack) -> None:
    site = Site(loop, stack, lambda line: f"{line}\n".encode())
    one, two = site.member(), site.member()
    wanted = [(one, b"a:"), (two, "小雪:你好".encode("gbk")), (one, b"a:q")]
    got: list[bytes] = []

    def look() -> None:
        if wanted:
            member, data = wanted.pop(0)
            member.send(data)
        with contextlib.suppress(BlockingIOError):
            got.append(one.recv(100))
        if len(got) < 2:
            loop.later(0.01, look)
        else:
            site.input.give(b"enough")

    loop.call_soon(look)
    site.server.run(lambda _: site.server.quit())
    site.output.release()
    assert got == ["* 小雪 joined".encode("gbk"), "小雪:你好".encode("gbk")]
    assert site.output.far.take().decode().startswith("* a joined\n* 小雪 joined\n小雪:你好\n")


def test_closing_waits_for_what_the_operator_has_not_seen(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    size = 200_000  # more than a pipe holds
    site = Site(loop, stack, lambda _: bytes(size))
    shown: list[kit.Gathering] = []

    def close(_: bytes) -> None:
        site.server.quit()
        loop.later(0.05, lambda: shown.append(kit.Gathering(site.output.far)))

    def look() -> None:
        if site.server._output.size:
            site.input.give(b"enough")
        else:
            loop.later(0.001, look)

    site.member().send(b"a:")
    look()
    site.server.run(close)
    assert shown, "it has closed before"
    site.output.release()
    assert shown[0].result() == bytes(size)
