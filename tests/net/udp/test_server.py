"""Whom a server of datagrams knows and answers; the rest is tests/e2e/test_udp.py."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.core.address import UnixPath
from sockkit.core.peers import Recipient
from sockkit.errors import ReceiveError, SendError
from sockkit.events import Event, Failure, NewPeer, Notice, Peer, PeerUser
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.reply_filter import ReplyFilter
from sockkit.net.udp.sender import InputState
from sockkit.net.udp.server import STAYS, DatagramServer
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
        place: str | None = None,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        self.input = source.far
        stdio = Stdio(source.end, sink.end, "utf-8")
        context = kit.context(loop, stdio, self.events.append)
        if place is None:
            self.sock = bound(context, stack, buffer_size)
        else:
            self.sock = kit.bound(loop, ListenOptions(UnixPath(place)), emit=context.emit)
            stack.callback(self.sock.close)
        self.port = self.sock.port
        self.server = DatagramServer(context, self.sock, LINES, answer, reply)

    def unix_peer(self, place: str = "") -> socket.socket:
        """A peer whose address is `place`; without one it has none."""
        sock = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        if place:
            sock.bind(place)
        sock.connect(self.sock.bound_to)
        sock.setblocking(False)
        return sock

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
        place: str | None = None,
    ) -> Serving:
        return Serving(loop, stack, answer, reply, buffer_size, place)

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


@pytest.mark.parametrize("reply", [None, b"reply"])
def test_the_end_of_the_input_is_told_where_some_was_sent(reply: bytes | None, make: Make) -> None:
    made = make(reply=reply)
    one = made.peer()
    ended = lambda: made.server._exchange._reader._state is InputState.ENDED  # noqa: E731
    made.run(
        said(one, b"a"),
        lambda: made.input.give(b"hi\n") is None,
        heard(one, reply or b"hi"),
        lambda: made.input.close() is None,
        ended,
    )
    told = [event for event in made.events if isinstance(event, Notice)]
    assert told == ([] if reply else [Notice(STAYS)])


def test_the_end_of_an_empty_input_is_not_told(make: Make) -> None:
    made = make()
    one = made.peer()
    made.input.close()
    ended = lambda: made.server._exchange._reader._state is InputState.ENDED  # noqa: E731
    made.run(said(one, b"a"), ended)
    assert not [event for event in made.events if isinstance(event, Notice)]


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
    with pytest.raises(ReceiveError, match=r"^datagrams: 2 truncated$"):
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
    assert "does not fit in a datagram" in kit.of_kind(made.events, Failure)[0].text


@pytest.mark.parametrize("reply", [None, b"ok"])
def test_who_has_no_address_is_heard_and_nobody_to_answer(
    reply: bytes | None, make: Make, tmp_path: Path
) -> None:
    made = make(reply=reply, place=f"{tmp_path}/server")
    named, nameless = made.unix_peer(f"{tmp_path}/peer"), made.unix_peer()
    total = made.server._exchange.receiver.total
    made.run(
        said(nameless, b"a"),
        said(nameless, b"b"),
        lambda: total.count == 2,
        lambda: made.input.give(b"hi\n") is None,
        kit.turns(),
        said(named, b"c"),
        *([heard(named, b"ok")] if reply else []),
        heard(named, b"hi"),
        said(nameless, b"d"),
        lambda: total.count == 4,
        lambda: made.input.give(b"you\n") is None,
        heard(named, b"you"),
    )
    assert [peer.address for peer, _ in made.server.peers()] == [f"unix:{tmp_path}/peer"]
    (user,) = kit.of_kind(made.events, PeerUser)
    assert user == (made.server.last(), os.getpid(), os.getuid(), os.getgid())
    assert len(kit.of_kind(made.events, Notice)) == 1
    assert not kit.of_kind(made.events, Failure)


@pytest.mark.parametrize("reply", [None, b"ok"])
def test_peers_are_heard_while_standard_input_waits_and_not_while_answers_do(
    reply: bytes | None, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(reply=reply)
    system = Full(monkeypatch, made.sock)
    peers = [made.peer() for _ in range(2)]
    made.run(
        said(peers[0], b"a"),
        lambda: len(made.server.peers()) == 1,
        lambda: made.input.give(b"hi\n") is None,
        kit.turns(),
        said(peers[1], b"b"),
        kit.turns(),
        lambda: len(made.server.peers()) == (1 if reply else 2) or pytest.fail("it is not so"),
        system.off,
        lambda: len(made.server.peers()) == 2,
    )
