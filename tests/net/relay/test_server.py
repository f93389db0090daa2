"""A relay over loopback: it runs in a thread, the test is its clients and its target."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import ConnectError, ReceiveError, Stopped
from sockkit.events import Closed, Event, Unreachable
from sockkit.net.closing import Closer
from sockkit.net.ends.end import PeerEnd
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.relay.pair import Shared
from sockkit.net.relay.server import RelayServer
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.waiting import Done, OnDone, Pending
from tests.net import kit
from tests.net.kit import HERE
from tests.support import WAIT, connect, read_all, read_exactly, reset

loop, stack = kit.loop, kit.stack


class Relaying:
    """A relay to a listener of the test, `target`, which may be closed."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack, *, once: bool, **more: Any) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self.target = stack.enter_context(socket.create_server((HERE, 0)))
        self.target.settimeout(WAIT)
        self._address = HostPort(HERE, self.target.getsockname()[1])
        options = ListenOptions(HostPort(HERE, 0), **more)
        self._listener = kit.listening(loop, options, SocketOptions(), self._told)
        self._context = kit.context(loop, emit=self._told)
        closer = Closer(loop, alone=once, polite=True)
        self.server = RelayServer(self._listener, Shared(self._context, closer, self._dial))
        self._error: BaseException | None = None
        run = self.server.run_one if once else self.server.run
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True)
        self._thread.start()

    def _dial(self, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        return dial(self._context, self._address, ConnectOptions(), SocketOptions(), on_done)

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            self._error = error

    def _told(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def told(self, kind: type, count: int = 1) -> list[Any]:
        with self._changed:
            enough = lambda: len(kit.of_kind(self.events, kind)) >= count  # noqa: E731
            assert self._changed.wait_for(enough, WAIT), self.events
        return kit.of_kind(self.events, kind)

    def client(self) -> socket.socket:
        assert self._listener.port
        return self._stack.enter_context(connect(self._listener.port))

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A client, and the target's side of its connection."""
        client = self.client()
        target = self._stack.enter_context(self.target.accept()[0])
        target.settimeout(WAIT)
        return client, target

    def error(self) -> BaseException | None:
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the relay did not end"
        return self._error

    def stop(self) -> BaseException | None:
        def end() -> None:
            raise Stopped(15)

        self.loop.call_soon(end)
        return self.error()


Serve = Callable[..., Relaying]


@pytest.fixture
def serve(loop: Loop, stack: contextlib.ExitStack) -> Iterator[Serve]:
    begun: list[Relaying] = []

    def serve(*, once: bool = False, **more: Any) -> Relaying:
        begun.append(Relaying(loop, stack, once=once, **more))
        return begun[-1]

    yield serve
    for relaying in begun:
        if relaying._thread.is_alive():
            relaying.stop()


def talk(client: socket.socket, target: socket.socket, words: bytes = b"hello") -> None:
    client.sendall(words)
    assert read_exactly(target, len(words)) == words
    target.sendall(words[::-1])
    assert read_exactly(client, len(words)) == words[::-1]


def test_each_client_has_a_connection_of_its_own(serve: Serve) -> None:
    it = serve()
    pairs = [it.pair() for _ in range(3)]
    for number, (client, target) in enumerate(pairs):
        talk(client, target, b"%d" % number)
    for client, target in pairs:
        client.shutdown(socket.SHUT_WR)
        assert read_all(target) == b""
        target.close()
        assert read_all(client) == b""
    closed = it.told(Closed, 3)
    assert {event.peer.number for event in closed} == {1, 2, 3}
    assert {(event.sent, event.received, event.problem) for event in closed} == {(1, 1, "")}


def test_a_target_that_refuses_closes_that_client_and_no_other(serve: Serve) -> None:
    it = serve()
    client, target = it.pair()
    port = it.target.getsockname()[1]
    it.target.close()
    for number in range(1, 4):
        assert read_all(it.client()) == b""
        assert len(it.told(Unreachable, number)) == number
    assert "refused: start the target first" in it.told(Unreachable)[0].text
    talk(client, target)
    it.target = it._stack.enter_context(socket.create_server((HERE, port)))
    it.target.settimeout(WAIT)
    talk(*it.pair())


def test_a_reset_of_one_pair_leaves_the_others(serve: Serve) -> None:
    it = serve()
    (client, target), others = it.pair(), it.pair()
    talk(client, target)
    reset(client)
    with pytest.raises(ConnectionResetError):
        target.recv(1)
    (closed,) = it.told(Closed)
    assert "connection reset" in closed.problem
    talk(*others)


def test_a_pair_that_has_ended_makes_space(serve: Serve) -> None:
    it = serve(max_connections=1)
    for number, leave in enumerate([socket.socket.close, reset], 1):
        client, target = it.pair()
        talk(client, target)
        assert read_all(it.client()) == b""  # refused
        leave(client)
        target.close()
        it.told(Closed, number)
    talk(*it.pair())


def test_stopping_closes_what_is_open(serve: Serve) -> None:
    it = serve()
    pairs = [it.pair(), it.pair()]
    for pair in pairs:
        talk(*pair)  # now the relay knows that it is connected to the target
    assert isinstance(it.stop(), Stopped)
    for side in sum(pairs, ()):  # neither has ended
        with pytest.raises(ConnectionResetError):
            side.recv(1)
    assert kit.of_kind(it.events, Closed) == []


def test_stopping_while_a_target_is_dialled(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = threading.Event()

    def dial(self: Relaying, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        dialled.set()
        return Done()

    monkeypatch.setattr(Relaying, "_dial", dial)
    it = serve()
    client = it.client()
    assert dialled.wait(WAIT)
    assert isinstance(it.stop(), Stopped)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_once_serves_one_client(serve: Serve) -> None:
    it = serve(once=True)
    client, target = it.pair()
    assert it._listener.port
    with pytest.raises(ConnectionRefusedError):
        connect(it._listener.port)
    talk(client, target)
    client.close()
    target.close()
    assert it.error() is None
    (closed,) = it.told(Closed)
    assert (closed.sent, closed.received) == (5, 5)


@pytest.mark.parametrize("whose", ["client", "target"])
def test_once_raises_what_has_ended_it(serve: Serve, whose: str) -> None:
    it = serve(once=True)
    client, target = it.pair()
    talk(client, target)
    reset(client if whose == "client" else target)
    error = it.error()
    assert isinstance(error, ReceiveError)
    assert "connection reset" in str(error)
    assert error.so_far == "sent 5 bytes, received 5 bytes"
    assert kit.of_kind(it.events, Closed) == []  # the error tells it


def test_once_raises_why_the_target_was_not_reached(serve: Serve) -> None:
    it = serve(once=True)
    it.target.close()
    assert read_all(it.client()) == b""
    assert isinstance(it.error(), ConnectError)
    assert kit.of_kind(it.events, Unreachable) == []
