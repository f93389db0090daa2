"""Whom a server of datagrams knows and answers; the rest is tests/e2e/test_udp.py."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.core.address import HostPort
from sockkit.core.peers import Recipient
from sockkit.errors import ReceiveError, SendError
from sockkit.events import Event, Failure, Heard, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.posting import PostOptions
from sockkit.net.udp.server import UdpHub, UdpHubOptions
from sockkit.net.udp.sources import Sources
from tests.net import kit
from tests.net.udp.site import Full
from tests.support import HERE

loop, stack = kit.loop, kit.stack


class Server:
    """A hub, and steps that are done one after the other while it runs."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        answer: Recipient,
        reply: bytes | None,
        size: int | None,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.input = source.far
        options = ListenOptions(HostPort(HERE, 0))
        sock = kit.bound(loop, options, size=size)
        stack.callback(sock.close)
        self.sock, self.port = sock, sock.port
        post = UdpHubOptions(PostOptions(pack=lambda line: line), answer, reply)
        stdio = Stdio(source.end, sink.end, "utf-8")
        self.hub = UdpHub(loop, sock, stdio, post, self.events.append)

    def peer(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect((HERE, self.port))
        sock.setblocking(False)
        return sock

    def run(self, *steps: Callable[[], object]) -> None:
        """Each step is tried until it is true; then the server quits."""
        kit.do(self.loop, *steps, self.hub.quit)
        self.hub.run()


Make = Callable[..., Server]


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack) -> Make:
    def make(
        answer: Recipient = Recipient.LAST, reply: bytes | None = None, size: int | None = None
    ) -> Server:
        return Server(loop, stack, answer, reply, size)

    return make


def said(sock: socket.socket, data: bytes) -> Callable[[], bool]:
    return lambda: sock.send(data) == len(data)


def heard(sock: socket.socket, data: bytes) -> Callable[[], bool]:
    return lambda: sock.recv(100) == data


def test_each_datagram_is_answered(make: Make) -> None:
    server = make(reply=b"ok")
    peer = server.peer()
    server.run(said(peer, b"a"), heard(peer, b"ok"), said(peer, b""), heard(peer, b"ok"))
    (event,) = kit.of_kind(server.events, Heard)
    assert event.peer.number == 1


def test_nobody_is_heard_while_the_system_takes_no_answer(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make(reply=b"ok")
    system = Full(monkeypatch, server.sock)
    system.off()
    peers = [server.peer() for _ in range(3)]
    server.run(
        said(peers[0], b"hi"),
        heard(peers[0], b"ok"),
        system.on,
        lambda: all(peer.send(b"hi") for peer in peers[1:]),
        kit.turns(),
        lambda: len(server.hub.peers()) == 2 or pytest.fail("it goes on"),
        system.off,
        *[heard(peer, b"ok") for peer in peers[1:]],
    )


@pytest.mark.parametrize("answer", Recipient)
def test_input_goes_to_the_last_or_to_all(answer: Recipient, make: Make) -> None:
    server = make(answer)
    one, two = server.peer(), server.peer()
    server.run(
        said(one, b"a"),
        said(two, b"b"),
        lambda: len(server.hub.peers()) == 2,
        lambda: server.input.give(b"hi\n") is None,
        heard(two, b"hi"),
        *([heard(one, b"hi")] if answer is Recipient.ALL else []),
    )
    if answer is Recipient.LAST:
        with pytest.raises(BlockingIOError):
            one.recv(100)


def test_what_the_operator_says(make: Make) -> None:
    server = make()
    one, two = server.peer(), server.peer()
    server.run(
        said(one, b"a"),
        lambda: server.hub.last() is not None,
        said(two, b"b"),
        lambda: len(server.hub.peers()) == 2,
        lambda: server.hub.say(1, b"you\n") is None,
        heard(one, b"you"),
        lambda: server.hub.say(None, b"\x00\n", raw=True) is None,
        heard(one, b"\x00\n"),
        heard(two, b"\x00\n"),
    )
    assert [peer.number for peer, _ in server.hub.peers()] == [1, 2]
    assert isinstance(server.hub.last(), Peer)


def test_who_must_not_be_answered_gets_no_reply(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make(reply=b"ok")
    peer = server.peer()
    monkeypatch.setattr(Sources, "answerable", lambda *_: False)
    server.run(said(peer, b"a"), lambda: bool(server.hub.peers()))
    with pytest.raises(BlockingIOError):
        peer.recv(100)


def test_what_came_in_part_makes_the_end_a_failure(make: Make) -> None:
    server = make(size=4)
    peer = server.peer()
    with pytest.raises(ReceiveError, match=r"^datagrams: 2 received in part$"):
        server.run(
            *[said(peer, b"12345"), said(peer, b"1234"), said(peer, b"12345")],
            lambda: server.hub._posting.received.count == 3,
        )


def test_what_is_not_sent_is_told_and_makes_the_end_a_failure(make: Make) -> None:
    server = make()
    peer = server.peer()
    with pytest.raises(SendError, match=r"^datagrams: 1 not sent$"):
        server.run(
            said(peer, b"a"),
            lambda: server.hub.last() is not None,
            lambda: server.hub.say(1, b"x" * 70_000 + b"\n") is None,
            lambda: server.hub.say(1, b"ok\n") is None,
            heard(peer, b"ok"),
        )
    assert "does not fit a datagram" in kit.of_kind(server.events, Failure)[0].text
