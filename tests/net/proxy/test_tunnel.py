"""Connections through a proxy: over ends in memory, and over loopback to proxies of a few lines."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.proxy import Proxy, parse_proxy
from sockkit.errors import ProxyError, ResolveError, SockkitError, TimedOut, UsageError
from sockkit.events import Connected, Connecting, Event, Peer, Tunnelled
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.ends.end import End
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.proxy import tunnel as module
from sockkit.net.proxy.protocols import conversation
from sockkit.net.proxy.tunnel import MAX_HEAD_BYTES, Tunnel
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from tests.net import kit
from tests.net.kit import HERE, run_until
from tests.net.site import read_all, turn
from tests.support import peer, read_exactly

loop, stack = kit.loop, kit.stack

TARGET = HostPort("db.example", 5432)
BANNER = b"SSH-2.0-x\r\n"  # which the target sends at once
ANSWERS = {
    "socks5h://h": b"\5\0\5\0\0\3\2ab\0\0",
    "socks5h://bob:pw@h": b"\5\2\1\0\5\0\0\1\0\0\0\0\0\0",
    "socks4a://h": b"\0\x5a\0\0\0\0\0\0",
    "http://h": b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n",
    "http://bob:pw@h": b"HTTP/1.1 200 OK\r\nVia: xy\r\n\r\n",  # of an odd length, or an even one
}
each_url = pytest.mark.parametrize("url", ANSWERS)


class Site:
    """A tunnel over `near`, whose far end is the proxy; `outcomes` is what comes of it."""

    def __init__(self, loop: Loop, clock: kit.Clock, url: str, wrap: Callable[[Any], End]) -> None:
        self.loop, self.clock = loop, clock
        self.near, self.proxy = memory_pair(loop)
        self.outcomes: list[SockkitError | None] = []
        proxy = parse_proxy(url)
        self.tunnel = Tunnel(
            loop,
            wrap(self.near),
            proxy,
            conversation(proxy, TARGET),
            (loop.now + 10, TimedOut("late", "wait longer")),
            self.outcomes.append,
        )
        self.turn()

    def turn(self) -> None:
        turn(self.loop)

    def answers(self, data: bytes) -> None:
        assert self.proxy.write(data) == len(data)
        self.turn()

    def passes(self, seconds: float) -> None:
        self.clock.passes(seconds)
        self.turn()

    def stands(self) -> MemoryEnd:
        """The end, which is nobody's concern any more."""
        assert self.outcomes == [None]
        assert not self.near.watched
        assert not self.near.closed
        return self.near

    def failed(self) -> str:
        """Why. The end is closed."""
        (error,) = self.outcomes
        assert isinstance(error, ProxyError | TimedOut)
        assert self.near.closed
        assert not self.near.watched
        return str(error)


Make = Callable[..., Site]


@pytest.fixture
def site(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    clock = kit.Clock(loop, monkeypatch)

    def make(url: str, wrap: Callable[[Any], Any] = lambda end: end) -> Site:
        return Site(loop, clock, url, wrap)

    return make


@each_url
def test_what_comes_behind_the_answer_is_the_targets(url: str, site: Make) -> None:
    made = site(url)
    made.answers(ANSWERS[url] + BANNER)
    assert read_all(made.stands()) == BANNER


@each_url
def test_an_answer_that_comes_in_pieces(url: str, site: Make) -> None:
    answer = ANSWERS[url]
    pieces = [[answer[:place], answer[place:]] for place in range(len(answer))]
    for each in (*pieces, [bytes([byte]) for byte in answer]):
        made = site(url)
        for piece in each:
            assert made.outcomes == []
            made.answers(piece)
        made.answers(BANNER)
        assert read_all(made.stands()) == BANNER


@each_url
def test_an_end_that_takes_and_gives_little(url: str, site: Make) -> None:
    made = site(url, lambda end: kit.Cut(end, 7, (1, 2, 3)))
    made.answers(ANSWERS[url] + BANNER)
    for _ in range(100):
        made.turn()
    assert read_all(made.stands()) == BANNER
    whole = site(url)
    whole.answers(ANSWERS[url])
    assert read_all(made.proxy) == read_all(whole.proxy)


@each_url
def test_nothing_is_said_to_a_proxy_that_waits(url: str, site: Make) -> None:
    """Each message but the first waits for an answer, and the proxy may read slowly."""
    made = site(url)
    first = read_all(made.proxy)
    made.turn()
    assert first
    assert read_all(made.proxy) == b""


@each_url
@pytest.mark.parametrize("part", [0, 1, -1])
def test_a_proxy_that_closes(url: str, part: int, site: Make) -> None:
    made = site(url)
    read_all(made.proxy)
    made.answers(ANSWERS[url][:part])
    read_all(made.proxy)
    made.proxy.close()
    made.turn()
    protocol = parse_proxy(url).protocol
    told = f"the proxy h port 1080 closed the connection: does it speak {protocol}?"
    assert made.failed() == told


def test_a_proxy_that_resets(site: Make) -> None:
    made = site("http://h")
    made.proxy.abort()
    made.turn()
    assert "failed: connection reset by peer" in made.failed().lower()


def test_a_proxy_that_has_answered_before_it_was_asked(site: Make) -> None:
    """What it said counts, although nothing can be sent to it any more."""
    made = site("http://h", lambda end: kit.Failing(end, "write", 1, errno.EPIPE))
    made.answers(b"HTTP/1.1 403 Not you\r\n\r\n")
    assert made.failed().partition(": ")[2].startswith("403 Not you: ")


@each_url
def test_a_proxy_that_says_nothing(url: str, site: Make) -> None:
    made = site(url)
    made.passes(9.9)
    assert made.outcomes == []
    made.passes(0.2)
    protocol = parse_proxy(url).protocol
    assert made.failed() == f"late: does it speak {protocol}? If so, wait longer"


def test_a_proxy_that_drips(site: Make) -> None:
    made = site("http://h")
    made.answers(b"HTTP/1.1 200 OK\r\n")
    for _ in range(101):
        made.passes(0.1)
        if made.outcomes:
            break
        made.answers(b"x")
    assert made.failed() == "late: wait longer"


def test_a_head_without_an_end(site: Make) -> None:
    made = site("http://h")
    made.answers(b"HTTP/1.1 200 OK\r\n")
    for _ in range(MAX_HEAD_BYTES // 1000):
        assert made.outcomes == []
        made.answers(b"x" * 1000)
    made.answers(b"x" * 1000)
    assert made.failed() == "the proxy h port 1080 sends an endless header: does it speak HTTP?"


def test_cancelled(site: Make, loop: Loop) -> None:
    made = site("http://h")
    made.tunnel.cancel()
    made.passes(20)
    assert (made.outcomes, made.near.closed, made.near.watched) == ([], True, False)


def test_cancelled_before_it_has_begun(site: Make, loop: Loop) -> None:
    near, _ = memory_pair(loop)
    proxy = parse_proxy("http://h")
    talk, outcomes = conversation(proxy, TARGET), list[Any]()
    late = (loop.now + 10, TimedOut(""))
    Tunnel(loop, near, proxy, talk, late, outcomes.append).cancel()
    turn(loop)
    assert (outcomes, near.closed) == ([], True)


def test_cancelled_when_it_is_done(site: Make) -> None:
    """The end is somebody else's then."""
    made = site("http://h")
    made.answers(ANSWERS["http://h"])
    made.tunnel.cancel()
    made.passes(20)
    made.stands()


# Dialling.


class Client:
    """Dials through proxies, and keeps what was told."""

    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self.loop, self._patch = loop, patch
        self.events: list[Event] = []
        self.asked: list[int] = []  # the families that were asked for

    def dial(
        self, proxy: Proxy, to: Address = TARGET, family: int | None = None, **options: Any
    ) -> End:
        context = kit.context(self.loop, emit=self.events.append)
        connect, sockets = ConnectOptions(proxy=proxy, **options), SocketOptions(family=family)
        return wait_for(self.loop, partial(dial, context, to, connect, sockets))

    def resolves(self, answer: list[Endpoint] | SockkitError | None) -> None:
        """Have the target's name resolved here to `answer`, or to nothing for ever."""

        def resolve(
            context: Context,
            address: HostPort,
            family: int,
            done: OnDone[list[Endpoint]],
            timeout: float | None,
        ) -> Pending:
            self.asked.append(family)
            assert timeout is not None
            if answer is None:
                late = TimedOut("no answer")
                self.loop.later(timeout, lambda: done(late))
            else:
                self.loop.call_soon(lambda: done(answer))
            return Done()

        self._patch.setattr(module, "resolve", resolve)


@pytest.fixture
def client(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(loop, monkeypatch)


def take(end: End) -> bytes:
    buffer = memoryview(bytearray(100))
    return bytes(buffer[: end.read_into(buffer)])


class SocksProxy:
    """Refuses the targets that it is asked for with `codes`, one after the other, then grants."""

    def __init__(self, codes: bytes = b"") -> None:
        self._codes = list(codes)
        self.asked: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        assert read_exactly(sock, 3) == b"\5\1\0"
        sock.sendall(b"\5\0")
        head = read_exactly(sock, 4)
        size = {1: 4, 4: 16}.get(head[3]) or read_exactly(sock, 1)[0]
        self.asked.append(read_exactly(sock, size + 2)[:-2])
        code = self._codes.pop(0) if self._codes else 0
        sock.sendall(bytes([5, code]) + b"\0\1\0\0\0\0\0\0" + BANNER)
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)


def at(port: int, scheme: str = "socks5h", host: str = HERE) -> Proxy:
    return Proxy(scheme, HostPort(host, port))


V4 = Endpoint(socket.AF_INET, ("10.0.0.7", 5432))
V6 = Endpoint(socket.AF_INET6, ("fe80::7%lo", 5432, 0, 1))
PACKED = [bytes.fromhex("fe80") + bytes(13) + b"\7", bytes([10, 0, 0, 7])]


def test_the_proxy_gets_the_name(client: Client) -> None:
    proxy = SocksProxy()
    with peer(proxy) as port, contextlib.closing(client.dial(at(port))) as end:
        shown = f"db.example:5432 through socks5h://127.0.0.1:{port}"
        assert end.peer == Peer(0, shown)
        assert end.remote == HostPort("db.example", 5432)
        assert kit.of_kind(client.events, Tunnelled)[0].peer == end.peer
        run_until(client.loop, end.has_bytes)
        assert take(end) == BANNER
    assert proxy.asked == [b"db.example"]
    (connected,) = kit.of_kind(client.events, Connected)
    assert connected.peer.address == f"the proxy 127.0.0.1:{port}"
    assert client.events.count(Connecting(f"127.0.0.1:{port}")) == 1


def test_an_address_that_is_resolved_here(client: Client) -> None:
    """Each is tried on a connection of its own, until one is reached."""
    client.resolves([V6, V4])
    proxy = SocksProxy(codes=b"\4")
    with peer(proxy) as port, contextlib.closing(client.dial(at(port, "socks5"))) as end:
        assert end.name == f"db.example:5432 through socks5://127.0.0.1:{port}"
    assert proxy.asked == PACKED
    assert len(kit.of_kind(client.events, Connected)) == 2
    assert len(kit.of_kind(client.events, Tunnelled)) == 1


def test_none_of_its_addresses_is_reached(client: Client) -> None:
    client.resolves([V6, V4])
    proxy = SocksProxy(codes=b"\4\5")
    with peer(proxy) as port, pytest.raises(ProxyError) as failed:
        client.dial(at(port, "socks5"))
    told = f"the proxy 127.0.0.1 port {port} refused the connection to 10.0.0.7 port 5432"
    assert failed.value.args[0] == f"{told}: connection refused"
    assert proxy.asked == PACKED


def test_what_is_not_about_the_address_is_not_tried_again(client: Client) -> None:
    client.resolves([V6, V4])
    count = 0

    def serve(sock: socket.socket) -> None:
        nonlocal count
        count += 1
        read_exactly(sock, 3)
        sock.sendall(b"\5\xff")

    with peer(serve) as port, pytest.raises(ProxyError, match="requires a user and a password"):
        client.dial(at(port, "socks5"))
    assert count == 1


@pytest.mark.parametrize(
    ("scheme", "given", "family"),
    [
        ("socks5", None, socket.AF_UNSPEC),
        ("socks5", 4, socket.AF_INET),
        ("socks5", 6, socket.AF_INET6),
        ("socks4", None, socket.AF_INET),
        ("socks4", 6, socket.AF_INET),  # which is about the way to the proxy
    ],
)
def test_the_family_of_the_address(
    scheme: str, given: int | None, family: int, client: Client
) -> None:
    client.resolves(ResolveError("no such name"))
    with pytest.raises(ResolveError, match="no such name"):
        client.dial(at(1, scheme), family=given)
    assert client.asked == [family]
    assert client.events == [], "it has connected first"


def test_a_search_for_the_address_is_bounded(client: Client) -> None:
    client.resolves(None)
    with pytest.raises(TimedOut, match="no answer"):
        client.dial(at(1, "socks5"), timeout=0.05)


def test_a_proxy_at_ipv6(client: Client) -> None:
    with peer(SocksProxy(), "::1", socket.AF_INET6) as port:
        end = client.dial(at(port, host="::1"))
        end.close()
        assert end.name == f"db.example:5432 through socks5h://[::1]:{port}"


def test_the_source_is_that_of_the_connection_to_the_proxy(client: Client) -> None:
    with peer(SocksProxy()) as port:
        client.dial(at(port), source=HostPort("127.0.0.2", 0)).close()
    assert kit.of_kind(client.events, Connected)[0].local.startswith("127.0.0.2:")


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        yield sock.getsockname()[1]


def test_a_proxy_that_is_not_there(client: Client, nobody: int) -> None:
    told = f"^could not connect to the proxy 127.0.0.1 port {nobody}: connection refused: start"
    with pytest.raises(ProxyError, match=told):
        client.dial(at(nobody))


def test_a_proxy_that_has_no_address(client: Client) -> None:
    told = "^could not connect to the proxy a..b port 80: could not resolve a..b: "
    with pytest.raises(ProxyError, match=told):
        client.dial(at(80, host="a..b"))


def test_a_proxy_that_accepts_and_says_nothing(client: Client) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TimedOut) as failed:
            client.dial(at(port), timeout=0.1)
    told = f"the proxy 127.0.0.1 port {port} did not connect to db.example port 5432"
    hint = "does it speak SOCKS5? If so, allow more time with --connect-timeout"
    assert str(failed.value) == f"{told} within 0.1 s: {hint}"


def test_the_time_to_connect_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation has what is left of it."""
    real = module.Tunnel
    left: list[float] = []

    def tunnel(loop: Loop, *arguments: Any) -> Pending:
        left.append(arguments[3][0] - loop.now)
        return real(loop, *arguments)

    monkeypatch.setattr(module, "Tunnel", tunnel)
    client.resolves([V4])
    with peer(SocksProxy()) as port:
        client.dial(at(port, "socks5"), timeout=5.0).close()
    assert 0 < left[0] < 5.0


@pytest.mark.parametrize(("to", "told"), [
    (UnixPath("/x"), "unix:/x cannot be reached through a proxy"),
    (HostPort("fe80::1%lo", 1), "names an interface"),
])  # fmt: skip
def test_a_target_that_no_proxy_reaches(to: Address, told: str, client: Client) -> None:
    with pytest.raises(UsageError, match=told):
        client.dial(at(1), to)
    assert client.events == []


@pytest.mark.parametrize("host", ["a..b", "01.2.3.4"])
def test_a_name_that_cannot_be_sent(host: str, client: Client) -> None:
    with pytest.raises(ResolveError, match="not a valid host name"):
        client.dial(at(1), HostPort(host, 1))
    assert client.events == []
