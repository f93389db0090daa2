"""When a client of datagrams is done; the rest is tests/e2e/test_udp.py."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core import answers
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.answers import AnswerOptions
from sockkit.errors import ConnectError, ReceiveError, SendError, SockkitError, TimedOut
from sockkit.events import DatagramTotal, Event, PeerUser, TargetChosen
from sockkit.net.endpoint import Endpoint
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.udp import sender
from sockkit.net.udp.client import DatagramClient
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import Route, UdpOptions, connect_datagrams
from tests.net import kit
from tests.net.udp.site import LINES, Full, Words, aims
from tests.support import HERE, refuses_datagrams

loop, stack = kit.loop, kit.stack
Run = Callable[..., SockkitError | None]


class Named:
    """A client of a name with two addresses, of which the first refuses."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.peer.bind((HERE, 0))
        self.peer.settimeout(kit.WAIT)
        port = self.peer.getsockname()[1]
        hosts = ("127.0.0.2", HERE)
        self._routes = [Route(Endpoint(socket.AF_INET, (host, port))) for host in hosts]
        self.source, self.sink = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        self.events: list[Event] = []
        self._loop = loop

    def run(self, options: AnswerOptions, messages: Words) -> None:
        stdio = Stdio(self.source.end, self.sink.end, "utf-8")
        context = kit.context(self._loop, stdio, self.events.append)
        address, sockets = HostPort("twice", 9), SocketOptions()
        both = connect_datagrams(context, address, self._routes, sockets, UdpOptions())
        DatagramClient(context, next(both), both, messages, options).run()


@pytest.fixture
def named(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Named]:
    yield Named(loop, stack, monkeypatch)
    gc.collect()  # a generator that was left holds a socket


@pytest.mark.parametrize("lines", [b"x", b"x\ny\n\nz\n"])
def test_an_address_that_refuses_is_followed_by_the_next(lines: bytes, named: Named) -> None:
    named.source.far.give(lines)
    named.source.far.close()
    named.run(AnswerOptions(linger=0.1), LINES)
    expected = lines.removesuffix(b"\n").split(b"\n")
    assert [named.peer.recv(100) for _ in expected] == expected
    totals = {
        event.direction: event.datagrams for event in kit.of_kind(named.events, DatagramTotal)
    }
    assert totals["sent"] == len(expected)
    assert [event.address for event in kit.of_kind(named.events, TargetChosen)][-1].startswith(HERE)


def test_what_a_peer_has_answered_is_not_sent_to_another(
    named: Named, stack: contextlib.ExitStack
) -> None:
    first = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    first.bind(("127.0.0.2", named.peer.getsockname()[1]))
    first.settimeout(kit.WAIT)

    def answer() -> None:
        _, address = first.recvfrom(100)
        first.sendto(b"answer", address)
        assert os.read(named.sink.far.descriptor, 100) == b"0 answer\n"
        first.close()
        named.source.far.give(b"y\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    named.source.far.give(b"x\n")
    with pytest.raises(ConnectError, match=r"could not reach 127\.0\.0\.2"):
        named.run(AnswerOptions(), Words(packs=True, shows=True))
    thread.join(kit.WAIT)
    named.peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        named.peer.recv(100)


def test_a_refusal_by_all_is_an_error(named: Named) -> None:
    named.peer.close()
    named.source.far.give(b"x")
    with pytest.raises(ConnectError, match=f"could not reach {HERE}:.*refused"):
        named.run(AnswerOptions(linger=0.1), Words())


@pytest.mark.parametrize("linger", [0.0, 0.1])
def test_a_refusal_is_no_success_however_short_the_wait(linger: float, named: Named) -> None:
    named.peer.close()
    named.source.far.give(b"x\ny\n")
    named.source.far.close()
    with pytest.raises(ConnectError):
        named.run(AnswerOptions(linger=linger), LINES)


@pytest.mark.parametrize(
    ("bound", "most", "lines"), [("MAX_RESENT_BYTES", 100, 100), ("REFUSAL_SECONDS", 0, 1)]
)
def test_what_is_no_longer_known_is_not_sent_to_another(
    bound: str, most: int, lines: int, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, bound, most)
    named.source.far.give(b"x\n" * lines)
    with pytest.raises(ConnectError, match=r"could not reach 127\.0\.0\.2"):
        named.run(AnswerOptions(), LINES)


@pytest.fixture
def run(loop: Loop, stack: contextlib.ExitStack) -> Run:
    """Run a client whose input is `x`, against a peer that answers `said`; how it failed."""

    def run(
        *said: bytes, ends: bool = True, buffer_size: int | None = None, **more: float
    ) -> SockkitError | None:
        peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind((HERE, 0))
        peer.settimeout(kit.WAIT)
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        context = kit.context(loop, Stdio(source.end, sink.end, "utf-8"))
        aim = next(aims(context, HostPort(HERE, peer.getsockname()[1]), buffer_size))
        stack.callback(aim[0].close)

        def answer() -> None:
            _, address = peer.recvfrom(100)
            for text in said:
                peer.sendto(text, address)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        source.far.give(b"x")
        if ends:
            source.far.close()
        options = AnswerOptions(**more)  # type: ignore[arg-type]
        try:
            DatagramClient(context, aim, iter(()), Words(), options).run()
            return None
        except SockkitError as error:
            return error
        finally:
            thread.join(kit.WAIT)

    return run


def test_a_silence_ends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LINGER_SECONDS", 1000.0)
    assert run(b"a", linger=0.05) is None
    monkeypatch.setattr(answers, "LINGER_SECONDS", 0.05)
    assert run(b"a") is None


def test_as_many_answers_as_expected_end_it(run: Run) -> None:
    assert run(b"a", b"b", expect=2, linger=30, timeout=30) is None


def test_fewer_are_a_timeout(run: Run) -> None:
    error = run(b"a", expect=2, timeout=0.1)
    assert type(error) is TimedOut
    assert "1 of 2 answers" in str(error)
    assert "sent 1 datagram, received 1" in str(error)


def test_nothing_either_way_is_a_timeout(run: Run) -> None:
    error = run(ends=False, idle=0.05)
    assert type(error) is TimedOut
    assert "nothing was sent or received" in str(error)


def test_what_the_system_holds_up_is_no_silence(
    run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DatagramSocket.send
    until = loop.now + 0.8

    def send(sock: DatagramSocket, *arguments: Any) -> int:
        if loop.now < until:
            raise BlockingIOError
        return real(sock, *arguments)

    monkeypatch.setattr(DatagramSocket, "send", send)
    assert run(b"a", idle=0.5, expect=1) is None


def test_a_datagram_that_was_cut_is_a_fault(run: Run) -> None:
    assert type(run(b"0123456789", buffer_size=4, linger=0.05)) is ReceiveError


def test_a_refusal(loop: Loop, stack: contextlib.ExitStack) -> None:
    port = stack.enter_context(refuses_datagrams())
    source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
    context = kit.context(loop, Stdio(source.end, sink.end, "utf-8"))
    aim = next(aims(context, HostPort(HERE, port)))
    stack.callback(aim[0].close)
    source.far.give(b"x")
    with pytest.raises(ConnectError, match="connection refused"):
        DatagramClient(context, aim, iter(()), Words(), AnswerOptions()).run()


class Client:
    """A session with one peer, and a clock of the test's."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.clock = kit.Clock(loop, monkeypatch)
        self.peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.peer.bind((HERE, 0))
        self.peer.setblocking(False)
        self.source, self.sink = (make("pipe", stack, Path()) for make in (kit.source, kit.sink))
        stdio = Stdio(self.source.end, self.sink.end, "utf-8")
        self._context = kit.context(loop, stdio)
        self._aim = next(aims(self._context, HostPort(HERE, self.peer.getsockname()[1])))
        self.sock = self._aim[0]
        stack.callback(self.sock.close)

    def run(self, options: AnswerOptions, *steps: Callable[[], object]) -> None:
        client = DatagramClient(self._context, self._aim, iter(()), LINES, options)
        remaining = kit.do(self._context.loop, *steps)
        client.run()
        assert not remaining

    def passes(self, seconds: float) -> list[Callable[[], object]]:
        return [lambda: self.clock.passes(seconds), kit.turns()]

    def sends(self, line: bytes) -> list[Callable[[], object]]:
        return [lambda: self.source.far.give(line + b"\n"), lambda: self.peer.recv(100) == line]

    def answer(self) -> None:
        self.peer.sendto(b"answer", self.sock.bound_to)


@pytest.fixture
def client(loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(loop, stack, monkeypatch)


@pytest.mark.parametrize("both", ["sends", "answers"])
def test_a_side_that_is_not_silent_is_enough(both: str, client: Client) -> None:
    said = client.sends(b"y") if both == "sends" else [client.answer, kit.turns()]
    client.run(
        AnswerOptions(idle=4.0, linger=0.0),
        *client.sends(b"x"),
        *client.passes(3.0),
        *said,
        *client.passes(3.0),
        client.source.far.close,
    )


@pytest.mark.parametrize("way", ["idle", "linger"])
def test_what_the_system_does_not_take_is_no_silence(
    way: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, and so is the answer to it."""
    system = Full(monkeypatch, client.sock)
    options = AnswerOptions(idle=2.0, linger=0.0) if way == "idle" else AnswerOptions(linger=2.0)
    ends = [client.source.far.close]
    client.run(
        options,
        lambda: client.source.far.give(b"x\n"),
        *(ends if way == "linger" else []),
        kit.turns(),
        *client.passes(3.0),
        system.off,
        lambda: client.peer.recv(100) == b"x",
        *client.passes(1.0),
        client.answer,
        kit.turns(),
        *(ends if way == "idle" else [lambda: client.clock.passes(2.0)]),
    )
    client.sink.release()
    assert client.sink.far.take() == b"answer"


class UnixClient(Client):
    """The same over unix sockets, whose peer is waited for."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        super().__init__(loop, stack, monkeypatch)
        self.peer = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.peer.bind(place)
        self.peer.setblocking(False)
        self.events: list[Event] = []
        self._context = self._context._replace(emit=self.events.append)
        self._aim = next(kit.aimed(loop, UnixPath(place), emit=self.events.append))
        self.sock = self._aim[0]
        stack.callback(self.sock.close)

    def reads_a_file(self, stack: contextlib.ExitStack, folder: Path) -> None:
        """Standard input is a file, whose end is known although the peer takes nothing."""
        self.source = kit.source("file", stack, folder)
        stdio = Stdio(self.source.end, self.sink.end, "utf-8")
        self._context = self._context._replace(stdio=stdio)

    def fills(self) -> list[Callable[[], object]]:
        """Steps after which the peer's queue is full, and more waits."""
        return [lambda: self.source.far.give(b"x\n" * 5000), kit.turns(100)]


@pytest.fixture
def unix_client(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> UnixClient:
    return UnixClient(loop, stack, monkeypatch, f"{tmp_path}/peer")


def test_a_unix_peer_that_takes_nothing_is_silent(unix_client: UnixClient) -> None:
    passing = [step for _ in range(5) for step in unix_client.passes(1.0)]
    with pytest.raises(TimedOut, match="nothing was sent or received for 2 s"):
        unix_client.run(AnswerOptions(idle=2.0), *unix_client.fills(), *passing)


def test_a_unix_peer_that_takes_nothing_of_the_last_is_given_up(
    unix_client: UnixClient, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    unix_client.reads_a_file(stack, tmp_path)
    unix_client.source.far.give(b"x\n" * 5000)
    began = unix_client.clock.monotonic()
    passing = [step for _ in range(15) for step in unix_client.passes(1.0)]
    with pytest.raises(SendError, match=r"peer accepted no data for 10 s \(sent "):
        unix_client.run(AnswerOptions(linger=1.0), kit.turns(), *passing)
    assert 10.0 <= unix_client.clock.monotonic() - began < 13.0


def test_what_a_unix_peer_answers_is_received_while_it_takes_nothing(
    unix_client: UnixClient,
) -> None:
    with pytest.raises(TimedOut):
        unix_client.run(
            AnswerOptions(idle=2.0),
            *unix_client.fills(),
            unix_client.answer,
            kit.turns(),
            lambda: os.read(unix_client.sink.far.descriptor, 100) == b"answer",
            *unix_client.passes(3.0),
        )
    (user,) = kit.of_kind(unix_client.events, PeerUser)
    assert user.process == os.getpid()
