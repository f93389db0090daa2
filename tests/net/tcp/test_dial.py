"""Connecting over loopback: who wins, in which order, and what a failure says."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import BindError, ConnectError, ResolveError, TimedOut
from sockkit.events import Connected, ConnectFailed, Connecting, Event, Step
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, show_address
from sockkit.net.tcp import dial as module
from sockkit.net.tcp.dial import ConnectOptions, connect, interleave
from tests.net import kit
from tests.net.kit import HERE, run_for
from tests.support import read_all

loop, stack = kit.loop, kit.stack

V4, V6 = socket.AF_INET, socket.AF_INET6
REFUSED = "connection refused"


def endpoint(sock: socket.socket) -> Endpoint:
    return Endpoint(sock.family, sock.getsockname())


@pytest.fixture
def live(loop: Loop) -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0)) as listener:
        yield listener


@pytest.fixture
def dead(loop: Loop) -> Iterator[Endpoint]:
    """A port that is bound, so that nobody else gets it, and does not listen."""
    with socket.socket(V4) as sock:
        sock.bind((HERE, 0))
        yield endpoint(sock)


@pytest.fixture
def hole(loop: Loop) -> Iterator[Endpoint]:
    """A listener whose backlog is full: a newcomer hears nothing, as from a dead machine."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(V4))
        listener.bind((HERE, 0))
        listener.listen(0)
        stack.enter_context(socket.create_connection(listener.getsockname()))
        yield endpoint(listener)


class Client:
    """Connects, and keeps what was told."""

    def __init__(self, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop, self._monkeypatch = loop, monkeypatch
        self.events: list[Event] = []

    def connect(
        self,
        to: Address | list[Endpoint],
        options: ConnectOptions = ConnectOptions(),  # noqa: B008
        sockets: SocketOptions = SocketOptions(),  # noqa: B008
        use: Callable[[SocketEnd], object] = lambda _: None,
    ) -> None:
        """To an address, or to a name that has these endpoints; `use` and close the stream."""
        if isinstance(to, list):
            answer = to
            self._monkeypatch.setattr(
                module,
                "resolve_soon",
                lambda loop, _a, _f, done: loop.call_soon(lambda: done(answer)),
            )
            to = HostPort("name", 80)
        stream = connect(self._loop, to, options, sockets, self.events.append)
        with contextlib.closing(stream):
            use(stream)

    def told(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


@pytest.fixture
def client(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(loop, monkeypatch)


def test_a_connection_stands(client: Client, live: socket.socket) -> None:
    name = live.getsockname()
    client.connect(HostPort(*name))
    sock, theirs = live.accept()
    sock.close()
    shown = show_address(name)
    connected = kit.of_kind(client.events, Connected)[0]
    assert client.told(Connecting) == [Connecting(shown)]
    assert (connected.peer.number, connected.peer.address) == (0, shown)
    assert connected.local == show_address(theirs)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_unix_connection_stands(
    abstract: bool, client: Client, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    path = f"@sockkit-{os.getpid()}" if abstract else str(tmp_path / "socket")
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path.replace("@", "\0"))
    listener.listen()
    client.connect(UnixPath(path))
    assert kit.of_kind(client.events, Connected)[0].peer.address == f"unix:{path}"


def test_families_take_turns() -> None:
    names = ["6a", "6b", "6c", "4a"]
    points = {name: Endpoint(V6 if name[0] == "6" else V4, name) for name in names}
    order = [points[name] for name in names]
    assert interleave(order) == [points[name] for name in ("6a", "4a", "6b", "6c")]
    assert interleave(order[::-1])[:2] == [points["4a"], points["6c"]]
    assert interleave([]) == []


def test_after_a_refusal_the_next_is_tried_at_once(
    client: Client, dead: Endpoint, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 1000.0)
    client.connect([dead, endpoint(live)])
    won = kit.of_kind(client.events, Connected)[0]
    assert client.told(Connecting, ConnectFailed, Connected) == [
        Connecting(str(dead)),
        ConnectFailed(str(dead), REFUSED),
        Connecting(str(endpoint(live))),
        won,
    ]
    assert won.peer.address == str(endpoint(live))


def test_after_a_silence_the_next_is_tried_too(
    client: Client, hole: Endpoint, live: socket.socket
) -> None:
    client.connect([hole, endpoint(live)])
    won = kit.of_kind(client.events, Connected)[0]
    assert client.told(Connecting, ConnectFailed, Connected) == [
        Connecting(str(hole)),
        Connecting(str(endpoint(live))),
        won,
    ]
    assert won.peer.address == str(endpoint(live))


def test_the_first_keeps_its_chance_while_the_next_is_tried(
    client: Client, hole: Endpoint, dead: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.02)
    with pytest.raises(TimedOut):
        client.connect([hole, dead], ConnectOptions(timeout=0.5))
    assert client.told(Connecting, ConnectFailed) == [
        Connecting(str(hole)),
        Connecting(str(dead)),
        ConnectFailed(str(dead), REFUSED),
    ]


def test_ours_is_the_only_socket_left(client: Client, hole: Endpoint, live: socket.socket) -> None:
    """The loop's fixture counts descriptors: the loser of the race is closed."""
    client.connect([hole, hole, endpoint(live)])
    assert len(client.told(Connecting)) == 3


@pytest.mark.parametrize("same", [True, False])
def test_when_all_refuse_the_error_says_why(same: bool, client: Client, dead: Endpoint) -> None:
    other = dead if same else Endpoint(socket.AF_UNIX, "/nonexistent/socket")
    with pytest.raises(ConnectError) as caught:
        client.connect([dead, other])
    each = f"{dead} {REFUSED}, {other} no such file or directory"
    assert str(caught.value) == f"could not connect to name port 80: {REFUSED if same else each}"


def test_a_refusal_of_one_address(client: Client, dead: Endpoint) -> None:
    host, port = dead.address
    with pytest.raises(ConnectError) as caught:
        client.connect(HostPort(host, port))
    assert str(caught.value) == f"could not connect to {HERE} port {port}: {REFUSED}"


def test_a_name_nobody_knows(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ResolveError):
        client.connect(HostPort("nowhere.invalid", 80))


def test_a_silence_is_a_timeout(client: Client, hole: Endpoint) -> None:
    host, port = hole.address
    with pytest.raises(TimedOut) as caught:
        client.connect(HostPort(host, port), ConnectOptions(timeout=0.05))
    assert str(caught.value).startswith(f"could not connect to {HERE} port {port} within 0.05 s: ")


def test_a_silence_does_not_hide_what_the_other_addresses_said(
    client: Client, dead: Endpoint, hole: Endpoint
) -> None:
    with pytest.raises(TimedOut) as caught:
        client.connect([dead, hole], ConnectOptions(timeout=0.5))
    told = f"could not connect to name port 80: {dead} {REFUSED}, {hole} no answer within 0.5 s: "
    assert str(caught.value).startswith(told)


def test_the_timeout_bounds_the_resolver_too(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "resolve_soon", lambda *_: None)
    with pytest.raises(TimedOut):
        client.connect(HostPort("slow", 80), ConnectOptions(timeout=0.02))


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_comes_too_late_begins_nothing(
    known: bool, client: Client, loop: Loop, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Callable[[list[Endpoint] | ResolveError], None]] = []
    monkeypatch.setattr(module, "resolve_soon", lambda _l, _a, _f, done: asked.append(done))
    with pytest.raises(TimedOut):
        client.connect(HostPort("slow", 80), ConnectOptions(timeout=0.02))
    answer = [endpoint(live)] if known else ResolveError("none")
    loop.call_soon(lambda: asked[0](answer))
    run_for(loop, 0.02)
    assert client.told(Connecting) == []


def test_nothing_is_tried_once_the_time_is_over(
    client: Client, loop: Loop, hole: Endpoint, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.05)
    with pytest.raises(TimedOut):
        client.connect([hole, endpoint(live)], ConnectOptions(timeout=0.02))
    run_for(loop, 0.06)
    assert client.told(Connecting) == [Connecting(str(hole))]


def test_of_two_that_answer_together_one_is_used_and_the_other_closed(
    client: Client, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.0)  # both are on their way in one turn
    with socket.create_server((HERE, 0)) as other:
        client.connect([endpoint(live), endpoint(other)], use=lambda stream: stream.write(b"hi"))
        assert len(client.told(Connecting)) == 2
        (won,) = kit.of_kind(client.events, Connected)
        for listener in (live, other):
            listener.settimeout(kit.WAIT)
            with listener.accept()[0] as sock:
                is_used = won.peer.address == str(endpoint(listener))
                assert read_all(sock) == (b"hi" if is_used else b"")


def test_whoever_comes_second_leaves_nothing_on_the_loop(
    client: Client, loop: Loop, hole: Endpoint, live: socket.socket
) -> None:
    """Its descriptor's number may be somebody else's next."""
    client.connect([hole, endpoint(live)])
    assert loop._callbacks == {}


def test_the_source_is_bound(client: Client, live: socket.socket) -> None:
    client.connect(HostPort(*live.getsockname()), ConnectOptions(source=HostPort("127.0.0.2", 0)))
    sock, (host, port) = live.accept()
    sock.close()
    assert host == "127.0.0.2"
    assert kit.of_kind(client.events, Connected)[0].local == f"127.0.0.2:{port}"
    assert [event.call for event in kit.of_kind(client.events, Step)][:3] == [
        "socket",
        "bind",
        "connect",
    ]


@pytest.mark.parametrize("why", ["foreign", "family", "busy"])
def test_a_bad_source_is_a_bind_error_and_leaks_nothing(
    why: str, client: Client, live: socket.socket, dead: Endpoint
) -> None:
    source = {
        "foreign": HostPort("192.0.2.1", 0),
        "family": HostPort("::1", 0),
        "busy": HostPort(*dead.address),
    }[why]
    with pytest.raises(BindError) as caught:
        client.connect(HostPort(*live.getsockname()), ConnectOptions(source=source))
    assert source.host in str(caught.value)
    assert "--source" in caught.value.hint


def test_a_source_port_in_use_by_an_attempt_of_ours_fails_the_next_alone(
    client: Client, hole: Endpoint, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.02)
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    options = ConnectOptions(timeout=0.6, source=HostPort(HERE, port))
    with pytest.raises(TimedOut):
        client.connect([hole, endpoint(live)], options)
    in_use = os.strerror(errno.EADDRINUSE).lower()
    assert client.told(ConnectFailed) == [ConnectFailed(str(endpoint(live)), in_use)]


def test_a_source_of_one_family_leaves_the_other_familys_addresses_out(
    client: Client, live: socket.socket
) -> None:
    port = live.getsockname()[1]
    source = ConnectOptions(source=HostPort(HERE, 0))
    client.connect([Endpoint(V6, ("::1", port, 0, 0)), endpoint(live)], source)
    assert kit.of_kind(client.events, Connected)[0].peer.address == str(endpoint(live))


def test_to_meet_oneself_is_a_refusal(client: Client) -> None:
    """TCP connects a socket to itself where source and destination are one."""
    with socket.socket(V4) as sock:
        sock.bind((HERE, 0))
        port = sock.getsockname()[1]
    here = HostPort(HERE, port)
    with pytest.raises(ConnectError, match=REFUSED):
        client.connect(here, ConnectOptions(source=here))


@pytest.mark.parametrize("drained", [True, False])
def test_a_unix_listener_with_a_full_backlog_is_asked_again(
    drained: bool, client: Client, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen(0)
    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(path)
    probe = stack.enter_context(socket.socket(socket.AF_UNIX))
    probe.setblocking(False)
    assert probe.connect_ex(path) == errno.EAGAIN
    if drained:
        loop.later(0.06, lambda: listener.accept()[0].close())
        client.connect(UnixPath(path))
    else:
        with pytest.raises(TimedOut):
            client.connect(UnixPath(path), ConnectOptions(timeout=0.06))
    run_for(loop, 0.1)  # nothing of the attempt is left to fail later


@pytest.mark.parametrize("way", ["refused", "no file", "source"])
def test_a_failure_leaves_nothing_on_the_loop(
    way: str,
    client: Client,
    loop: Loop,
    dead: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = HostPort(*dead.address)
    to = UnixPath(str(tmp_path / "none")) if way == "no file" else here
    source = here if way == "source" else None
    with pytest.raises(BindError if source else ConnectError):
        client.connect(to, ConnectOptions(kit.WAIT, source))
    kit.skip_time(loop, monkeypatch)
    run_for(loop, 2 * kit.WAIT)
