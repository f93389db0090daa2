"""The responder on real sockets and a loop that cannot hang."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.core.responder import Ruled, Upper, parse_rule
from sockkit.events import Closed, Event, Failure, Step
from sockkit.net import echo as module
from sockkit.net.echo import EchoOptions, TcpEcho, UdpEcho
from sockkit.net.listen import Listener, ListenOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.udp import UdpOptions, bind_datagrams
from tests.net import kit
from tests.net.kit import HERE, fail_nth, noise, of_kind, run_until

loop, stack = kit.loop, kit.stack

LOCAL = ListenOptions(HostPort(HERE, 0))
PLAIN = EchoOptions()
UPPER = EchoOptions(lambda: Upper("utf-8"))
LATE = EchoOptions(delay=0.05)
RULED = EchoOptions(lambda: Ruled([parse_rule("PING=PONG", regex=False)], "utf-8"))
each = pytest.mark.parametrize(
    "options", [PLAIN, UPPER, LATE, RULED], ids=["plain", "upper", "late", "ruled"]
)
MIB = 1024 * 1024


class Site:
    """Makes responders and their clients, which are closed with the test."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []

    def tcp(self, options: EchoOptions) -> TcpEcho:
        sockets = SocketOptions(reuse_address=True)
        listener = Listener(self.loop, LOCAL, sockets, self.events.append)
        echo = TcpEcho(self.loop, listener, options, self.events.append)
        self._stack.callback(echo.stop)
        echo.start()
        assert listener.port
        self._to = (HERE, listener.port)
        return echo

    def udp(self, options: EchoOptions) -> UdpEcho:
        sock = bind_datagrams(
            self.loop, LOCAL, SocketOptions(), UdpOptions(), None, self.events.append
        )
        self._stack.callback(sock.close)
        self._stack.callback(self.loop.when_readable, sock.descriptor, None)
        self._stack.callback(self.loop.when_writable, sock.descriptor, None)
        echo = UdpEcho(self.loop, sock, options, self.events.append)
        echo.start()
        assert sock.port
        self._to = (HERE, sock.port)
        return echo

    def client(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, kind))
        sock.connect(self._to)
        sock.setblocking(False)
        return sock

    def asks(self, sock: socket.socket, data: bytes, size: int) -> bytes:
        """`size` bytes that `sock` gets for `data`, or fewer if it ends."""
        waits, got = memoryview(data), bytearray()
        ended = False

        def turn() -> bool:
            nonlocal waits, ended
            with contextlib.suppress(BlockingIOError):
                waits = waits[sock.send(waits) :] if waits else waits
            with contextlib.suppress(BlockingIOError):
                while len(got) < size and not ended:
                    chunk = sock.recv(min(MIB, size - len(got)))
                    ended = not chunk
                    got.extend(chunk)
            return ended or (not waits and len(got) >= size)

        run_until(self.loop, turn)
        return bytes(got)

    def datagram(self, sock: socket.socket) -> bytes:
        got: list[bytes] = []

        def turn() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.append(sock.recv(65536))
            return bool(got)

        run_until(self.loop, turn)
        return got[0]

    @property
    def closed(self) -> list[tuple[int, int, str]]:
        closed = of_kind(self.events, Closed)
        return [(event.sent, event.received, event.problem) for event in closed]


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)


@each
def test_a_half_close_ends_after_the_last_answer(options: EchoOptions, site: Site) -> None:
    site.tcp(options)
    sock = site.client()
    data = noise(MIB).replace(b"\n", b"\r") if options is not UPPER else b"7" * MIB
    sock.send(data[:1])
    assert site.asks(sock, data[1:-1], 1) == data[:1]
    sock.setblocking(True)
    sock.send(data[-1:])
    sock.shutdown(socket.SHUT_WR)
    sock.setblocking(False)
    assert site.asks(sock, b"", MIB) == data[1:]
    assert site.closed == [(MIB, MIB, "")]


def test_much_is_left_to_the_kernel(site: Site) -> None:
    echo = site.tcp(PLAIN)
    sock = site.client()
    data = noise(32 * MIB)
    assert site.asks(sock, data, len(data)) == data
    (connection,) = echo._connections
    assert getattr(connection, "_pump") is not None  # noqa: B009
    sock.shutdown(socket.SHUT_WR)
    assert site.asks(sock, b"", 1) == b""
    assert site.closed == [(len(data), len(data), "")]


@each
def test_a_reset_ends_that_client_alone(options: EchoOptions, site: Site) -> None:
    echo = site.tcp(options)
    sock, other = site.client(), site.client()
    assert site.asks(sock, b"1\n", 2) == b"1\n"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    run_until(site.loop, lambda: bool(site.closed))
    assert site.closed == [(2, 2, "")]
    assert [step.detail for step in of_kind(site.events, Step) if step.call == "reset"] != []
    assert site.asks(other, b"2\n", 2) == b"2\n"
    assert len(echo._connections) == 1


@each
def test_who_takes_nothing_is_not_read(options: EchoOptions, site: Site) -> None:
    site.tcp(options)
    sock, other = site.client(), site.client()
    assert site.asks(sock, b"1\n", 2) == b"1\n"
    sent, still, line = 0, 0, b"x" * 1023 + b"\n"

    def stuffed() -> bool:
        nonlocal sent, still
        try:
            sent += sock.send(line[sent % 1024 :] + line * 63)
            still = 0
        except BlockingIOError:
            still += 1
        return still == 200  # milliseconds

    run_until(site.loop, stuffed)
    assert sent < 32 * MIB
    assert site.asks(other, b"2\n", 2) == b"2\n"
    sock.shutdown(socket.SHUT_WR)
    data = site.asks(sock, b"", sent)
    assert data.lower() == (line * (sent // 1024 + 1))[:sent]


def test_a_greeting_comes_first(site: Site) -> None:
    site.tcp(UPPER._replace(greet=b"hello\n"))
    sock = site.client()
    assert site.asks(sock, b"", 6) == b"hello\n"
    assert site.asks(sock, b"a", 1) == b"A"


def test_after_its_last_answer_a_connection_is_closed(site: Site) -> None:
    site.tcp(RULED._replace(close_after=2))
    sock = site.client()
    assert site.asks(sock, b"PING\nx\nPING\nx\n", 1000) == b"PONG\nx\n"
    sock.close()
    run_until(site.loop, lambda: bool(site.closed))
    assert site.closed == [(7, 14, "")]


def test_the_last_answer_arrives_when_more_was_asked(site: Site) -> None:
    """What is not read when a connection is closed makes the system throw answers away."""
    answer = b"x" * 100_000
    rule = parse_rule(f"*={answer.decode()}", regex=False)
    site.tcp(EchoOptions(lambda: Ruled([rule], "utf-8"), close_after=1))
    sock = site.client()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert site.asks(sock, b"1\n", 1) == b"x"
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.send(b"2\n3\n")
    assert site.asks(sock, b"", 1_000_000) == answer[1:] + b"\n"


def test_late_answers_keep_their_order(site: Site) -> None:
    site.tcp(LATE)
    sock = site.client()
    began = site.loop.now
    sock.send(b"1")
    run_until(site.loop, lambda: site.loop.now - began > 0.02)
    sock.send(b"2")
    assert site.asks(sock, b"3", 3) == b"123"
    assert site.loop.now - began >= 0.07


def test_late_answers_still_come_after_a_half_close(site: Site) -> None:
    site.tcp(LATE)
    sock = site.client()
    sock.send(b"1")
    sock.shutdown(socket.SHUT_WR)
    assert site.asks(sock, b"", 9) == b"1"
    assert site.closed == [(1, 1, "")]


def test_stopping_says_what_was_not_sent(site: Site) -> None:
    echo = site.tcp(EchoOptions(delay=60))
    sock = site.client()
    sock.send(b"12345")
    run_until(site.loop, lambda: any(getattr(c, "_late") for c in echo._connections))  # noqa: B009
    echo.stop()
    ((sent, received, problem),) = site.closed
    assert (sent, received) == (0, 5)
    assert problem == "" or "not sent" in problem


def test_a_client_that_leaves_frees_what_it_was_owed(site: Site) -> None:
    """However long the delay is."""
    site.tcp(EchoOptions(delay=3600))
    for _ in range(20):
        sock = site.client()
        sock.send(noise(100_000))
        count = len(site.closed)
        run_until(site.loop, lambda: site.loop._timers != [])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.close()
        run_until(site.loop, lambda count=count: len(site.closed) > count)  # type: ignore[misc]
    waiting = [timer for timer in site.loop._timers if timer.callback and timer.when < 1e18]
    assert len(waiting) <= 5  # the test's own


CALLS = [
    (socket.socket, "recv_into", errno.ECONNRESET),
    (socket.socket, "recv_into", errno.ENOMEM),
    (socket.socket, "send", errno.ECONNRESET),
    (socket.socket, "send", errno.EPIPE),
]


@each
@pytest.mark.parametrize(("owner", "name", "code"), CALLS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_call_that_fails_ends_that_client(
    owner: Any, name: str, code: int, number: int, options: EchoOptions, site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    echo = site.tcp(options)
    witness = site.client()
    assert site.asks(witness, b"w\n", 2).lower() == b"w\n"
    descriptors = {connection.stream._socket for connection in echo._connections}
    sock = site.client()
    run_until(site.loop, lambda: len(echo._connections) == 2)
    (served,) = {connection.stream._socket for connection in echo._connections} - descriptors
    error = OSError(code, os.strerror(code))
    fail_nth(monkeypatch, owner, name, number, error, lambda sock, *_: sock is served)
    for attempt in itertools.count(1):
        assert attempt <= number
        sock.send(b"7\n")
        try:
            got = site.asks(sock, b"", 2)
        except ConnectionResetError:
            break
        if not got:
            break
    run_until(site.loop, lambda: bool(site.closed))
    assert len(site.closed) == 1
    assert site.asks(witness, b"w\n", 2).lower() == b"w\n"


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("code", [errno.ECONNRESET, errno.EINVAL, errno.ENOSYS, errno.EIO])
def test_a_splice_that_fails(
    code: int, number: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = site.tcp(PLAIN)
    sock = site.client()
    data = noise(8 * MIB)
    fail_nth(monkeypatch, os, "splice", number, OSError(code, os.strerror(code)))
    try:
        got = site.asks(sock, data, len(data))
    except ConnectionError:
        got = b""
    if code in (errno.EINVAL, errno.ENOSYS):  # a copy goes on
        assert got == data
    else:
        run_until(site.loop, lambda: not echo._connections)
        assert data.startswith(got)
    assert site.asks(site.client(), b"next", 4) == b"next"


@each
@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_a_datagram(size: int, options: EchoOptions, site: Site) -> None:
    site.udp(options)
    sock = site.client(socket.SOCK_DGRAM)
    data = noise(size) if options is not UPPER else b"7" * size
    sock.send(data)
    assert site.datagram(sock) == data
    sock.send(b"next")
    assert site.datagram(sock).lower() == b"next"


@each
def test_datagrams_that_come_together_stay_apart(options: EchoOptions, site: Site) -> None:
    site.udp(options)
    socks = [site.client(socket.SOCK_DGRAM) for _ in range(3)]
    for number in range(30):
        socks[number % 3].send(b"%d" % number * (number % 4))
    got = [[site.datagram(sock) for _ in range(10)] for sock in socks]
    assert got == [
        [b"%d" % number * (number % 4) for number in range(first, 30, 3)] for first in range(3)
    ]


def segments(sock: socket.socket, data: bytes, size: int) -> None:
    """Datagrams that the kernel may hand over in one piece, udp(7) UDP_SEGMENT."""
    try:
        sock.sendmsg([data], [(17, 103, size.to_bytes(2, "little"))])
    except OSError:
        for at in range(0, len(data), size):
            sock.send(data[at : at + size])


@each
def test_datagrams_in_one_piece_are_answered_each(options: EchoOptions, site: Site) -> None:
    site.udp(options)
    sock = site.client(socket.SOCK_DGRAM)
    segments(sock, b"PING" * 10 + b"P", 4)
    answer = b"PONG" if options is RULED else b"PING"
    assert [site.datagram(sock) for _ in range(11)] == [answer] * 10 + [b"P"]


@pytest.mark.parametrize("name", ["sendto", "sendmsg"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_datagrams_wait_in_order_for_a_full_system(
    name: str, number: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.udp(PLAIN)
    sock = site.client(socket.SOCK_DGRAM)
    full = BlockingIOError(errno.EAGAIN, "full")
    fail_nth(monkeypatch, socket.socket, name, number, full, lambda mine, *_: mine is not sock)
    size = 4 if name == "sendmsg" else 1
    for batch in range(5):
        data = b"".join(b"%d%03d" % (batch, n) for n in range(size))
        segments(sock, data, 4)
    expected = [b"%d%03d" % (batch, n) for batch in range(5) for n in range(size)]
    assert [site.datagram(sock) for _ in expected] == expected


@pytest.mark.parametrize(
    ("name", "code"),
    [("sendto", errno.ENOBUFS), ("sendto", errno.EPERM), ("recvmsg_into", errno.ENOMEM)],
)
def test_a_datagram_call_that_fails_is_told_once(
    name: str, code: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.udp(PLAIN)
    sock = site.client(socket.SOCK_DGRAM)
    fail_nth(monkeypatch, socket.socket, name, 1, OSError(code, os.strerror(code)))
    sock.send(b"lost or not")
    run_until(site.loop, lambda: bool(of_kind(site.events, Failure)))
    sock.send(b"next")
    while site.datagram(sock) != b"next":
        pass
    (failure,) = of_kind(site.events, Failure)
    assert os.strerror(code)[1:] in failure.text


@pytest.mark.parametrize(("drop", "answered"), [(0.0, 200), (1.0, 0)])
def test_all_or_none_are_dropped(drop: float, answered: int, site: Site) -> None:
    site.udp(PLAIN._replace(drop=drop))
    sock = site.client(socket.SOCK_DGRAM)
    got = 0
    for number in range(200):
        sock.send(b"%d" % number)
        kit.run_for(site.loop, 0.0005)
        with contextlib.suppress(BlockingIOError):
            got += bool(sock.recv(10))
    kit.run_for(site.loop, 0.05)
    with contextlib.suppress(BlockingIOError):
        while sock.recv(10):
            got += 1
    assert got == answered


def test_a_share_is_dropped_at_random(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.5, 0.049, 0.05, 0.0, 0.999])
    monkeypatch.setattr(module.random, "random", lambda: next(draws))
    site.udp(PLAIN._replace(drop=0.05))
    sock = site.client(socket.SOCK_DGRAM)
    for number in range(5):
        sock.send(b"%d" % number)
    assert [site.datagram(sock) for _ in range(3)] == [b"0", b"2", b"4"]


def test_late_datagrams_are_bounded_and_the_loss_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELAYED", 5)
    site.udp(EchoOptions(delay=0.1))
    sock = site.client(socket.SOCK_DGRAM)
    for number in range(8):
        sock.send(b"%d" % number)
    assert [site.datagram(sock) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    sock.send(b"again")
    assert site.datagram(sock) == b"again"
    assert any(hasattr(event, "text") for event in site.events)
