from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps.relay import CLIENTS_ENCODING, Relay, _check_source, run, warn_if_open
from sockkit.core.access import parse_rule
from sockkit.core.address import HostPort
from sockkit.core.faults import FaultOptions
from sockkit.core.text import TextOptions
from sockkit.errors import ConnectError, ReceiveError, Stopped, TimedOut, UsageError
from sockkit.events import Closed, Event, Listening, Notice, Unreachable
from sockkit.net.access import AccessOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tls.options import ServerTls
from tests.net import kit
from tests.support import HERE, WAIT, connect, few_descriptors, read_all, read_exactly

Clients = Callable[[int], None]


class Target:
    """Repeats in capitals what it receives, and counts its connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HERE, 0))
        self.port = self._listener.getsockname()[1]
        self.came = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.came += 1
                threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(65536):
                sock.sendall(data.upper())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


def config(target: Target, **changed: Any) -> Relay:
    there = HostPort(HERE, target.port)
    here = ListenOptions(HostPort(HERE, 0))
    sockets = SocketOptions(reuse_address=True, no_delay=True)
    return Relay(there, here, ConnectOptions(), sockets)._replace(**changed)


def relayed(config: Relay, clients: Clients) -> list[Event]:
    """Run the relay, and `clients` with its port in a thread; it is stopped after them."""
    events: list[Event] = []
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []
    with Loop() as loop:
        loop.later(kit.WAIT, kit.too_late)

        def stop() -> None:
            raise Stopped(15)

        def come(port: int) -> None:
            try:
                clients(port)
            except BaseException as error:
                failures.append(error)
            if not config.once:
                loop.call_soon(stop)

        def emit(event: Event) -> None:
            events.append(event)
            if isinstance(event, Listening):
                port = int(event.address.rpartition(":")[2])
                threads.append(threading.Thread(target=come, args=(port,), daemon=True))
                threads[0].start()

        try:
            run(config, kit.context(loop, emit=emit))
            assert config.once
        except Stopped:
            assert not config.once
        finally:
            for thread in threads:
                thread.join(WAIT)
            if failures:
                raise failures[0]
    return events


def ask(sock: socket.socket, words: bytes) -> None:
    sock.sendall(words)
    assert read_exactly(sock, len(words)) == words.upper()


def test_many_at_once(target: Target) -> None:
    def clients(port: int) -> None:
        with connect(port) as first, connect(port) as second:
            for _ in range(2):
                ask(second, b"two")
                ask(first, b"one")

    relayed(config(target), clients)
    assert target.came == 2


def test_once(target: Target) -> None:
    def client(port: int) -> None:
        with connect(port) as sock:
            ask(sock, b"hello")
            with pytest.raises(ConnectionRefusedError):
                connect(port)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""

    (closed,) = kit.of_kind(relayed(config(target, once=True), client), Closed)
    assert (closed.sent, closed.received, closed.problem) == (5, 5, "")


def test_once_and_a_number_of_connections_exclude_each_other(target: Target) -> None:
    listen = ListenOptions(HostPort(HERE, 0), max_connections=3)
    with pytest.raises(UsageError, match="--once cannot be used with --max-connections"):
        relayed(config(target, once=True, listen=listen), lambda _: None)


def test_a_target_that_is_not_there(target: Target) -> None:
    target.close()

    def client(port: int) -> None:
        with connect(port) as sock:
            assert read_all(sock) == b""

    assert len(kit.of_kind(relayed(config(target), client), Unreachable)) == 1
    with pytest.raises(ConnectError, match="refused"):
        relayed(config(target, once=True), client)


@pytest.mark.skipif(sys.platform != "linux", reason="tcp(7), TCP_LINGER2")
def test_a_stalled_connection_ends_with_its_client(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to the client any more, which would make its system answer with a reset."""
    monkeypatch.setattr("sockkit.apps.relay.STALL_PROBE_SECONDS", 1)

    def client(port: int) -> None:
        with connect(port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)  # seconds, 60 by default
            ask(sock, b"four")
            sock.sendall(b"x")

    stalling = config(target, once=True, faults=FaultOptions(stall_at=4))
    with pytest.raises(ReceiveError, match="reset by peer"):
        relayed(stalling, client)


def test_a_silence_ends_a_connection_and_the_others_live_on(target: Target) -> None:
    def clients(port: int) -> None:
        with connect(port) as silent, connect(port) as other:
            ask(silent, b"x")
            silent.settimeout(0.05)
            while True:
                ask(other, b"here")
                with contextlib.suppress(TimeoutError):
                    assert silent.recv(1) == b""
                    return

    events = relayed(config(target, idle=0.5), clients)
    (closed,) = [event for event in kit.of_kind(events, Closed) if event.problem]
    assert "nothing was sent or received for 0.5 s" in closed.problem


def test_a_silence_is_what_once_ends_with(target: Target) -> None:
    def client(port: int) -> None:
        with connect(port) as sock:
            assert read_all(sock) == b""

    with pytest.raises(TimedOut):
        relayed(config(target, once=True, idle=0.2), client)


def test_text_is_converted_between_the_clients_and_the_target(target: Target) -> None:
    def client(port: int) -> None:
        with connect(port) as sock:
            ask(sock, "a你".encode(CLIENTS_ENCODING))

    events = relayed(config(target, text=TextOptions("utf-16-le")), client)
    assert not [event for event in kit.of_kind(events, Closed) if event.problem]


def test_where_the_connections_come_from(target: Target) -> None:
    seen: list[str] = []
    real = Target._answer

    def answer(self: Target, sock: socket.socket) -> None:
        seen.append(sock.getpeername()[0])
        real(self, sock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "_answer", answer)

        def client(port: int) -> None:
            with connect(port) as sock:
                ask(sock, b"x")

        relayed(config(target, connect=ConnectOptions(source=HostPort("127.0.0.2", 0))), client)
    assert seen == ["127.0.0.2"]


def test_one_client_at_a_time_from_a_port(target: Target) -> None:
    fixed = config(target, connect=ConnectOptions(source=HostPort(HERE, 1)))
    one = fixed.listen._replace(max_connections=1)
    with pytest.raises(UsageError, match="only one can be bound to 127"):
        relayed(fixed, lambda _: None)
    for allowed in (fixed._replace(once=True), fixed._replace(listen=one)):
        _check_source(allowed)


def test_the_port_is_in_a_file(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "port"

    def client(port: int) -> None:
        assert path.read_text() == f"{port}\n"

    relayed(config(target, port_file=str(path)), client)
    assert not path.exists()


def test_as_many_descriptors_as_there_may_be(target: Target) -> None:
    import resource

    with few_descriptors() as hard:
        relayed(config(target), lambda _: None)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard


class Bound:
    transport = "tcp"
    used = False

    def __init__(self, address: str, port: int | None) -> None:
        self.address, self.port = address, port


RULES = AccessOptions(allow=(parse_rule("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("address", "port", "changed", "warns"),
    [
        ("0.0.0.0:80", 80, {}, True),
        ("[::]:80", 80, {}, True),
        ("127.0.0.1:80", 80, {}, False),
        ("[::1]:80", 80, {}, False),
        ("unix:/run/x", None, {}, False),
        ("0.0.0.0:80", 80, {"access": RULES}, False),
        ("0.0.0.0:80", 80, {"access": AccessOptions(allow_file=("rules",))}, False),
        ("0.0.0.0:80", 80, {"access": AccessOptions(deny=RULES.allow)}, True),
        ("0.0.0.0:80", 80, {"tls": ServerTls()}, True),
        ("0.0.0.0:80", 80, {"tls": ServerTls(client_ca="ca.pem")}, False),
    ],
)
def test_who_is_warned_of_strangers(
    address: str, port: int | None, changed: dict[str, Any], *, warns: bool, target: Target
) -> None:
    events: list[Event] = []
    nothing: Any = None
    context = kit.context(nothing, emit=events.append)
    warn_if_open(context, Bound(address, port), config(target, **changed))
    notices = [event.text for event in kit.of_kind(events, Notice)]
    told = "anyone who can reach this port can reach the target: restrict it with --allow"
    assert notices == ([told] if warns else [])
