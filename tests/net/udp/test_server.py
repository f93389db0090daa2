"""Whom a server of datagrams knows and answers; the rest is tests/e2e/test_udp.py."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.core.peers import Recipient
from sockkit.errors import ReceiveError, SendError
from sockkit.events import Event, Failure, NewPeer, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.udp.reply_filter import ReplyFilter
from sockkit.net.udp.server import DatagramServer
from tests.net import kit
from tests.net.udp.site import LINES, Full, bound
from tests.support import HERE

loop, stack = kit.loop, kit.stack


class Serving:
    """A server, and steps that are done one after the other while it runs."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        answer: Recipient,
        reply: bytes | None,
        buffer_size: int | None,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.input = source.far
        stdio = Stdio(source.end, sink.end, "utf-8")
        context = kit.context(loop, stdio, self.events.append)
        self.sock = bound(context, stack, buffer_size)
        self.port = self.sock.port
        self.server = DatagramServer(context, self.sock, LINES, answer, reply)

    def peer(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect((HERE, self.port))
        sock.setblocking(False)
        return sock

    def run(self, *steps: Callable[[], object]) -> None:
        """Each step is tried until it is true; then the server quits."""
        kit.do(self.loop, *steps, self.server.quit)
        self.server.run()


Make = Callable[..., Serving]


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack) -> Make:
    def make(
        answer: Recipient = Recipient.LAST,
        reply: bytes | None = None,
        buffer_size: int | None = None,
    ) -> Serving:
        return Serving(loop, stack, answer, reply, buffer_size)

    return make


def said(sock: socket.socket, data: bytes) -> Callable[[], bool]:
    return lambda: sock.send(data) == len(data)


def heard(sock: socket.socket, data: bytes) -> Callable[[], bool]:
    return lambda: sock.recv(100) == data


def test_each_datagram_is_answered(make: Make) -> None:
    made = make(reply=b"ok")
    peer = made.peer()
    made.run(said(peer, b"a"), heard(peer, b"ok"), said(peer, b""), heard(peer, b"ok"))
    (event,) = kit.of_kind(made.events, NewPeer)
    assert event.peer.number == 1


def test_nobody_is_heard_while_the_system_takes_no_answer(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(reply=b"ok")
    system = Full(monkeypatch, made.sock)
    system.off()
    peers = [made.peer() for _ in range(3)]
    made.run(
        said(peers[0], b"hi"),
        heard(peers[0], b"ok"),
        system.on,
        lambda: all(peer.send(b"hi") for peer in peers[1:]),
        kit.turns(),
        lambda: len(made.server.peers()) == 2 or pytest.fail("it goes on"),
        system.off,
        *[heard(peer, b"ok") for peer in peers[1:]],
    )


@pytest.mark.parametrize("answer", Recipient)
def test_input_goes_to_the_last_or_to_all(answer: Recipient, make: Make) -> None:
    made = make(answer)
    one, two = made.peer(), made.peer()
    made.run(
        said(one, b"a"),
        said(two, b"b"),
        lambda: len(made.server.peers()) == 2,
        lambda: made.input.give(b"hi\n") is None,
        heard(two, b"hi"),
        *([heard(one, b"hi")] if answer is Recipient.ALL else []),
    )
    if answer is Recipient.LAST:
        with pytest.raises(BlockingIOError):
            one.recv(100)


def test_what_the_operator_says(make: Make) -> None:
    made = make()
    one, two = made.peer(), made.peer()
    made.run(
        said(one, b"a"),
        lambda: made.server.last() is not None,
        said(two, b"b"),
        lambda: len(made.server.peers()) == 2,
        lambda: made.server.say(1, b"you\n") is None,
        heard(one, b"you"),
        lambda: made.server.say(None, b"\x00\n", raw=True) is None,
        heard(one, b"\x00\n"),
        heard(two, b"\x00\n"),
    )
    assert [peer.number for peer, _ in made.server.peers()] == [1, 2]
    assert isinstance(made.server.last(), Peer)


def test_who_must_not_be_answered_gets_no_reply(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(reply=b"ok")
    peer = made.peer()
    monkeypatch.setattr(ReplyFilter, "answerable", lambda *_: False)
    made.run(said(peer, b"a"), lambda: bool(made.server.peers()))
    with pytest.raises(BlockingIOError):
        peer.recv(100)


def test_what_came_in_part_makes_the_end_a_failure(make: Make) -> None:
    made = make(buffer_size=4)
    peer = made.peer()
    with pytest.raises(ReceiveError, match=r"^datagrams: 2 received in part$"):
        made.run(
            *[said(peer, b"12345"), said(peer, b"1234"), said(peer, b"12345")],
            lambda: made.server._exchange.receiver.total.count == 3,
        )


def test_what_is_not_sent_is_told_and_makes_the_end_a_failure(make: Make) -> None:
    made = make()
    peer = made.peer()
    with pytest.raises(SendError, match=r"^datagrams: 1 not sent$"):
        made.run(
            said(peer, b"a"),
            lambda: made.server.last() is not None,
            lambda: made.server.say(1, b"x" * 70_000 + b"\n") is None,
            lambda: made.server.say(1, b"ok\n") is None,
            heard(peer, b"ok"),
        )
    assert "does not fit a datagram" in kit.of_kind(made.events, Failure)[0].text
