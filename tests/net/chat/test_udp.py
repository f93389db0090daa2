from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.core.chat import udp as core
from sockkit.core.chat.udp import UdpRoom
from sockkit.net.chat import udp as module
from sockkit.net.chat.udp import UdpChatServer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import HERE
from tests.net.udp.site import Full, bound

loop, stack = kit.loop, kit.stack


class Site:
    """A room that speaks GBK, and members of it. Its operator sees `shown` of a line."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        shown: Callable[[str], bytes] = lambda line: f"{line}\n".encode(),
    ) -> None:
        self.loop, self._stack = loop, stack
        source, self.sink = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        self.input = source.far
        context = kit.context(loop, Stdio(source.end, self.sink.end, "utf-8"))
        self.sock = bound(context, stack)
        self.room = UdpRoom()
        self.server = UdpChatServer(context, self.sock, self.room, "gbk", shown)
        self.close = self.server.quit

    def member(self) -> socket.socket:
        member = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        member.connect((HERE, self.sock.port))
        member.setblocking(False)
        return member

    def run(self, *steps: Callable[[], object]) -> None:
        """Until the last step has been done, and then something is typed."""
        left = kit.do(self.loop, *steps, lambda: self.input.give(b"enough"))
        self.server.run(lambda _: self.close())
        assert not left

    def shown(self) -> str:
        """All that its operator saw; after the run."""
        self.sink.release()
        return self.sink.far.take().decode()


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
        lambda: (got := two.recv(100)) == b"* a left" or pytest.fail(got.decode("gbk")),
    )
    with pytest.raises(BlockingIOError):
        one.recv(100)
    assert site.shown() == "* a joined\n* 小雪 joined\n小雪:你好\n* a left\n"


def test_nobody_is_heard_while_much_waits_for_the_system(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 150)
    site = Site(loop, stack)
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


def test_who_is_silent_for_long_leaves(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (core, module):
        monkeypatch.setattr(room, "MAX_SILENCE_SECONDS", 0.05)
    one = site.member()
    site.run(
        lambda: one.send(b"a:hi"),
        lambda: site.room.names() == ["a"],
        lambda: site.room.names() == [],
    )
    assert site.shown() == "* a joined\na:hi\n* a left\n"


def test_closing_waits_for_what_the_operator_has_not_seen(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    size = 200_000  # more than a pipe holds
    site = Site(loop, stack, lambda _: bytes(size))
    one, shown = site.member(), list[kit.Gathering]()

    def close() -> None:
        site.server.quit()
        loop.later(0.05, lambda: shown.append(kit.Gathering(site.sink.far)))

    site.close = close
    site.run(lambda: one.send(b"a:"), lambda: site.server._output.size > 0)
    assert shown, "it has closed before"
    site.sink.release()
    assert shown[0].result() == bytes(size)
