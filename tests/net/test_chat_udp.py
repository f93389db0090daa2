from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from sockkit.core import chat_udp as core
from sockkit.core.address import HostPort
from sockkit.core.chat_udp import SignedRoom
from sockkit.events import Event
from sockkit.net import chat_udp as module
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
    """A room, and `one` and `two` who know its address."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        events: list[Event] = []
        self.input, self.output = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        options = ListenOptions(HostPort(HERE, 0))
        sock = bind_datagrams(loop, options, SocketOptions(), UdpOptions(), None, events.append)
        stack.callback(sock.close)
        stdio = Stdio(self.input.end, self.output.end, "utf-8")
        shown = lambda line: f"{line}\n".encode()  # noqa: E731
        self.server = UdpChatServer(loop, sock, SignedRoom(), stdio, "gbk", shown, events.append)
        self.one, self.two = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
        )
        for member in (self.one, self.two):
            member.connect((HERE, sock.port))
            member.setblocking(False)

    def shown(self) -> str:
        """All that its operator saw; after the run."""
        self.output.release()
        return self.output.far.take().decode()


def test_datagrams_go_to_all_but_their_sender(loop: Loop, stack: contextlib.ExitStack) -> None:
    site = Site(loop, stack)
    one, two = site.one, site.two
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
            site.input.far.give(b"enough")

    loop.call_soon(look)
    site.server.run(lambda _: site.server.quit())
    assert got == ["* 小雪 joined".encode("gbk"), "小雪:你好".encode("gbk")]
    assert site.shown().startswith("* a joined\n* 小雪 joined\n小雪:你好\n")


def test_who_is_silent_for_long_leaves(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (core, module):
        monkeypatch.setattr(room, "SILENCE", 0.05)
    site = Site(loop, stack)
    site.one.send(b"a:hi")
    here: list[bool] = []

    def look() -> None:
        here.append(bool(site.server._room.names()))
        if any(here) and not here[-1]:
            site.server.quit()
        else:
            loop.later(0.001, look)

    loop.call_soon(look)
    site.server.run(lambda _: None)
    assert site.shown() == "* a joined\na:hi\n* a left\n"
