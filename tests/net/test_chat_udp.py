from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

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
from tests.net.udp_site import Full

loop, stack = kit.loop, kit.stack


class Site:
    """A room that speaks GBK, and members of it."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        source, self.sink = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        self.input = source.far
        options = ListenOptions(HostPort(HERE, 0))
        self.sock = bind_datagrams(
            loop, options, SocketOptions(), UdpOptions(), None, self.events.append
        )
        stack.callback(self.sock.close)
        stdio = Stdio(source.end, self.sink.end, "utf-8")
        shown = lambda line: f"{line}\n".encode()  # noqa: E731
        self.room = SignedRoom()
        self.server = UdpChatServer(
            loop, self.sock, self.room, stdio, "gbk", shown, self.events.append
        )

    def member(self) -> socket.socket:
        member = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        member.connect((HERE, self.sock.port))
        member.setblocking(False)
        return member

    def run(self, *steps: Callable[[], object]) -> None:
        """Until the last step has been done, and then something is typed."""
        left = kit.do(self.loop, *steps, lambda: self.input.give(b"enough"))
        self.server.run(lambda _: self.server.quit())
        assert not left


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)


def test_datagrams_go_to_all_but_their_sender(site: Site) -> None:
    one, two = site.member(), site.member()
    site.run(
        lambda: one.send(b"a:"),
        lambda: site.room.names() == ["a"],
        lambda: two.send("小雪:你好".encode("gbk")),
        lambda: one.recv(100) == "* 小雪 joined".encode("gbk"),
        lambda: one.recv(100) == "小雪:你好".encode("gbk"),
        lambda: one.send(b"a:q"),
        lambda: two.recv(100) == b"* a left",
    )
    with pytest.raises(BlockingIOError):
        one.recv(100)
    site.sink.release()
    assert site.sink.far.take().decode() == "* a joined\n* 小雪 joined\n小雪:你好\n* a left\n"


def test_nobody_is_heard_while_much_waits_for_the_system(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 150)
    one, two, three = site.member(), site.member(), site.member()
    system = Full(monkeypatch, site.sock)
    system.off()

    def fill() -> None:
        system.on()
        for number in range(5):
            one.send(b"%d" % number * 100)
        three.send(b"c:")

    site.run(
        lambda: one.send(b"a:"),
        lambda: two.send(b"b:"),
        lambda: site.room.names() == ["a", "b"],
        fill,
        kit.turns(),
        lambda: site.room.names() == ["b", "a"] or pytest.fail("it goes on"),
        system.off,
        *[
            lambda number=number: two.recv(200) == b"a:" + b"%d" % number * 100
            for number in range(5)
        ],
        lambda: two.recv(200) == b"* c joined",
    )
