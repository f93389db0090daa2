"""Connecting over loopback: who wins, in which order, and what a failure says."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import (
    BindError,
    ConnectError,
    ResolveError,
    SockkitError,
    TimedOut,
    UsageError,
)
from sockkit.events import Connected, ConnectFailed, Connecting, Event, SocketCall
from sockkit.net import internet
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop, Timer
from sockkit.net.options import SocketOptions
from sockkit.net.tcp import dial as module
from sockkit.net.tcp.dial import ConnectOptions, dial, interleave
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from tests.net import kit
from tests.net.kit import HERE, run_for, run_until
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
        self.context = kit.context(loop, emit=self.events.append)

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
            self.names(lambda done: self._loop.call_soon(lambda: done(answer)))
            to = HostPort("name", 80)
        stream = wait_for(self._loop, partial(dial, self.context, to, options, sockets))
        with contextlib.closing(stream):
            use(stream)

    def names(self, ask: Callable[[OnDone[list[Endpoint]]], object]) -> None:
        """Have `ask` answer for names, in place of the resolver."""
        real = module.resolve

        def resolve(context: Context, to: Address, family: int, done: Any, *more: Any) -> Pending:
            if to.host not in ("name", "slow"):
                return real(context, to, family, done, *more)
            ask(done)
            return Done()

        self._monkeypatch.setattr(module, "resolve", resolve)

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
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 1000.0)
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
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.02)
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


@pytest.mark.parametrize(
    ("codes", "kind", "cause"),
    [
        ([errno.ECONNREFUSED], "refused", errno.ECONNREFUSED),
        ([errno.ENETUNREACH, errno.ECONNREFUSED], "refused", errno.ENETUNREACH),
        ([errno.ECONNREFUSED, errno.ENETUNREACH], "refused", errno.ECONNREFUSED),
        ([errno.ENETUNREACH, errno.EHOSTUNREACH], "no route to host", errno.ENETUNREACH),
        ([errno.ECONNREFUSED, errno.ETIMEDOUT], "no answer", errno.ECONNREFUSED),
        ([errno.ECONNREFUSED, errno.EMFILE, errno.ECONNREFUSED], "refused", errno.EMFILE),
    ],
)
def test_of_several_reasons_the_kind_is_what_says_most(
    codes: list[int], kind: str, cause: int, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the cause is what is wrong with our own system, if anything is."""
    failing = iter(codes)

    def connect(_: object, __: object) -> None:
        code = next(failing)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(SockkitError) as caught:
        client.connect([Endpoint(V4, (HERE, port)) for port in range(1, len(codes) + 1)])
    assert caught.value.kind == kind
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == cause


def test_another_lookup_may_take_the_place_of_the_systems(
    client: Client, live: socket.socket
) -> None:
    def resolve(_: Any, __: Any, ___: Any, on_done: Any, ____: Any) -> Pending:
        on_done([endpoint(live)])
        return Done()

    client.connect(HostPort("nosuch.invalid", 1), ConnectOptions(resolve=resolve))


def test_an_endpoint_may_be_checked_before_it_is_tried(client: Client, live: socket.socket) -> None:
    def check(found: Endpoint) -> str:
        return "not there" if found == endpoint(live) else ""

    options = ConnectOptions(check=check)
    with pytest.raises(ConnectError, match="name port 80: not there: give another one"):
        client.connect([endpoint(live)], options)
    assert client.told(SocketCall) == []
    with socket.create_server((HERE, 0)) as other:
        client.connect([endpoint(live), endpoint(other)], options)
        other.accept()[0].close()


@pytest.mark.parametrize("resets", [False, True])
def test_a_peer_that_is_not_waited_for_may_see_a_reset(
    client: Client, live: socket.socket, loop: Loop, *, resets: bool
) -> None:
    """The system has connected, and the loop has not noticed."""
    options = ConnectOptions(resets=resets)
    to = HostPort(*live.getsockname())
    dialling = dial(client.context, to, options, SocketOptions(), lambda _: None)
    sock, _ = live.accept()
    dialling.cancel()
    with sock, pytest.raises(ConnectionResetError) if resets else contextlib.nullcontext():
        assert sock.recv(1) == b""


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


def test_the_timeout_bounds_the_resolver_too(client: Client) -> None:
    client.names(lambda _: None)
    with pytest.raises(TimedOut):
        client.connect(HostPort("slow", 80), ConnectOptions(timeout=0.02))


@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_comes_too_late_begins_nothing(
    known: bool, client: Client, loop: Loop, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Callable[[], None]] = []
    host, port = live.getsockname()
    number = socket.getaddrinfo

    def getaddrinfo(name: bytes, *more: Any) -> Any:
        if name == b"slow" and (more[-1] or not known):  # no number, or no name either
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return number(host, port, *more[1:])

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(
        internet, "start_new_thread", lambda ask, given: asked.append(partial(ask, *given))
    )
    with pytest.raises(TimedOut):
        client.connect(HostPort("slow", port), ConnectOptions(timeout=0.02))
    asked[0]()
    run_for(loop, 0.02)
    assert client.told(Connecting) == []


def test_nothing_is_tried_once_the_time_is_over(
    client: Client, loop: Loop, hole: Endpoint, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.05)
    with pytest.raises(TimedOut):
        client.connect([hole, endpoint(live)], ConnectOptions(timeout=0.02))
    run_for(loop, 0.06)
    assert client.told(Connecting) == [Connecting(str(hole))]


def test_of_two_that_answer_together_one_is_used_and_the_other_closed(
    client: Client, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.0)  # both are on their way in one turn
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
    assert [event.call for event in kit.of_kind(client.events, SocketCall)][:3] == [
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
    monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.02)
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


@pytest.mark.parametrize(("made", "told"), [(True, "that is not a socket"), (False, REFUSED)])
def test_a_unix_path_that_is_not_a_socket(
    made: bool, told: str, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    if made:
        path.write_text("")
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    with pytest.raises(ConnectError, match=told) as caught:
        client.connect(UnixPath(str(path)))
    assert bool(caught.value.hint) == made


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


class Outcomes:
    """Dials without waiting, and keeps each outcome; what stands is closed with the test."""

    def __init__(self, client: Client, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.client, self.loop, self._stack = client, loop, stack
        self.streams: list[SocketEnd] = []
        self.failures: list[SockkitError] = []

    @property
    def count(self) -> int:
        return len(self.streams) + len(self.failures)

    def dial(self, to: Address, options: ConnectOptions = ConnectOptions()) -> Pending:  # noqa: B008
        return dial(self.client.context, to, options, SocketOptions(), self._done)

    def _done(self, outcome: SocketEnd | SockkitError) -> None:
        if isinstance(outcome, SockkitError):
            self.failures.append(outcome)
        else:
            self._stack.callback(outcome.close)
            self.streams.append(outcome)

    def nothing_more(self, patch: pytest.MonkeyPatch) -> None:
        """Whatever else was to come would be told by now, or have a socket on the loop."""
        before = self.count, list(self.client.events)
        assert self.loop._callbacks == {}
        kit.skip_time(self.loop, patch)
        run_for(self.loop, 2 * kit.WAIT)
        assert (self.count, self.client.events) == before


@pytest.fixture
def outcomes(client: Client, loop: Loop, stack: contextlib.ExitStack) -> Outcomes:
    return Outcomes(client, loop, stack)


def test_hundreds_are_dialled_side_by_side(
    outcomes: Outcomes, live: socket.socket, dead: Endpoint, hole: Endpoint, loop: Loop
) -> None:
    live.listen(500)
    there, nobody, silent = (HostPort(*each.address) for each in (endpoint(live), dead, hole))
    for _ in range(100):
        outcomes.dial(there)
        outcomes.dial(nobody)
    abandoned = [outcomes.dial(silent) for _ in range(100)]
    assert outcomes.count == 0
    run_until(loop, lambda: outcomes.count >= 200)
    assert (len(outcomes.streams), len(outcomes.failures)) == (100, 100)
    assert {str(error) for error in outcomes.failures} == {
        f"could not connect to {nobody}: {REFUSED}"
    }
    assert len({stream.descriptor for stream in outcomes.streams}) == 100
    for dialling in abandoned:
        dialling.cancel()
    assert loop._callbacks == {}
    assert outcomes.count == 200


def test_dialling_waits_for_nobody_else(outcomes: Outcomes, live: socket.socket) -> None:
    """A name whose resolver is slow, or a machine that is silent, holds nobody up."""
    outcomes.client.names(lambda _: None)
    slow = outcomes.dial(HostPort("slow", 80))
    outcomes.dial(HostPort(*live.getsockname()))
    run_until(outcomes.loop, lambda: outcomes.count == 1)
    slow.cancel()
    assert len(outcomes.streams) == 1


def test_each_has_its_own_time(
    outcomes: Outcomes, hole: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(outcomes.loop, monkeypatch)
    began = outcomes.loop.now
    ended: list[float] = []
    for seconds in (40.0, 10.0, 20.0):
        outcomes.dial(HostPort(*hole.address), ConnectOptions(seconds))
    for count in (1, 2, 3):
        run_until(outcomes.loop, lambda count=count: outcomes.count == count)  # type: ignore[misc]
        ended.append(round(outcomes.loop.now - began))
    assert ended == [10, 20, 40]
    assert {type(error) for error in outcomes.failures} == {TimedOut}


def test_the_search_for_the_source_counts_towards_the_time(
    outcomes: Outcomes, hole: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, here = outcomes.loop, [Endpoint(V4, (HERE, 0))]
    kit.skip_time(loop, monkeypatch)
    outcomes.client.names(lambda done: loop.later(8.0, lambda: done(here)))
    began = loop.now
    outcomes.dial(HostPort(*hole.address), ConnectOptions(10.0, HostPort("slow", 0)))
    run_until(loop, lambda: outcomes.count == 1)
    assert round(loop.now - began) == 10
    assert type(outcomes.failures[0]) is TimedOut


class Stage:
    """Brings a dialling to a stage: `to` is dialled, and the loop turned until it `is_there`."""

    def __init__(self, to: Address, is_there: Callable[[], bool], source: bool = False) -> None:
        self.to, self.is_there = to, is_there
        self.options = ConnectOptions(source=HostPort("slow", 0) if source else None)


@pytest.fixture(params=["source", "name", "attempt", "two", "backlog", "refused", "settled"])
def stage(
    request: pytest.FixtureRequest,
    client: Client,
    hole: Endpoint,
    dead: Endpoint,
    live: socket.socket,
    stack: contextlib.ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    tried = partial(client.told, Connecting)
    match request.param:
        case "source":  # it is a name, and being looked for
            client.names(lambda _: None)
            return Stage(HostPort(*hole.address), lambda: True, source=True)
        case "name":
            client.names(lambda _: None)
            return Stage(HostPort("slow", 80), lambda: True)
        case "two":
            monkeypatch.setattr(module, "ATTEMPT_DELAY_SECONDS", 0.0)
            client.names(lambda done: done([hole, hole, hole]))
            return Stage(HostPort("name", 80), lambda: len(tried()) >= 2)
        case "backlog":
            path = str(tmp_path / "socket")
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            listener.listen(0)
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
            return Stage(UnixPath(path), lambda: len(tried()) == 1)
        case "refused":  # it is over, and about to be told
            return Stage(UnixPath(str(tmp_path / "none")), lambda: True)
        case "settled":  # connected, and about to be noticed
            return Stage(HostPort(*live.getsockname()), lambda: True)
    return Stage(HostPort(*hole.address), lambda: len(tried()) == 1)


def test_a_cancel_at_any_stage_leaves_nothing_and_tells_nobody(
    stage: Stage, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's fixture counts the descriptors, too."""
    dialling = outcomes.dial(stage.to, stage.options)
    if not stage.is_there():
        run_until(outcomes.loop, stage.is_there)
    dialling.cancel()
    dialling.cancel()
    assert [timer for timer in outcomes.loop._timers if is_of_dial(timer)] == []
    outcomes.nothing_more(monkeypatch)
    assert outcomes.count == 0


def is_of_dial(timer: Timer) -> bool:
    callback = timer.callback
    return callback is not None and callback.__module__ == module.__name__


def test_a_cancel_after_the_end_changes_nothing(
    outcomes: Outcomes, live: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialling = outcomes.dial(HostPort(*live.getsockname()))
    run_until(outcomes.loop, lambda: outcomes.count == 1)
    dialling.cancel()
    outcomes.nothing_more(monkeypatch)
    outcomes.streams[0].write(b"hi")
    with live.accept()[0] as sock:
        assert sock.recv(2) == b"hi"


@pytest.mark.parametrize("way", ["no file", "option", "source", "name"])
def test_what_fails_at_once_is_told_by_the_loop(
    way: str,
    outcomes: Outcomes,
    live: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So whoever dials knows what was begun before hearing of its end."""
    to: Address = HostPort(*live.getsockname())
    options = ConnectOptions()
    match way:
        case "no file":
            to, kind = UnixPath(str(tmp_path / "none")), ConnectError
        case "option":
            monkeypatch.setattr(SocketOptions, "_apply", raising(UsageError("does not set it")))
            kind = UsageError
        case "source":
            options, kind = ConnectOptions(source=HostPort("::1", 0)), BindError
        case "name":
            outcomes.client.names(lambda done: done(ResolveError("none")))
            to, kind = HostPort("name", 80), ResolveError
    outcomes.dial(to, options)
    assert outcomes.count == 0
    run_until(outcomes.loop, lambda: outcomes.count == 1)
    assert [type(error) for error in outcomes.failures] == [kind]
    outcomes.nothing_more(monkeypatch)


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("way", ["connected", "refused"])
def test_who_is_told_may_fail_and_is_told_once(
    way: str, client: Client, loop: Loop, live: socket.socket, dead: Endpoint
) -> None:
    told: list[SocketEnd | SockkitError] = []

    def done(outcome: SocketEnd | SockkitError) -> None:
        told.append(outcome)
        raise SockkitError("of its own")

    to = HostPort(*(live.getsockname() if way == "connected" else dead.address))
    dial(client.context, to, ConnectOptions(), SocketOptions(), done)
    with pytest.raises(SockkitError, match="of its own"):
        loop.run()
    kit.settle(loop)
    assert len(told) == 1
    if isinstance(told[0], SocketEnd):
        told[0].close()


CALLS = ["setblocking", "bind", "connect", "recv", "getsockname"]


@pytest.mark.parametrize("call", ["socket", *CALLS])
@pytest.mark.parametrize("another", [True, False], ids=["another", "alone"])
def test_a_call_that_fails_is_a_failed_attempt(
    call: str,
    another: bool,
    outcomes: Outcomes,
    live: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever fails, the loop goes on, the outcome is told once, and no descriptor is left."""
    error = OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
    to = endpoint(live)
    kit.fail_nth(monkeypatch, socket if call == "socket" else socket.socket, call, 1, error)
    outcomes.client.names(lambda done: done([to, to] if another else [to]))
    outcomes.dial(HostPort("name", 80), ConnectOptions(source=HostPort(HERE, 0)))
    run_until(outcomes.loop, lambda: outcomes.count == 1)
    told = [str(error) for error in outcomes.failures]
    why = os.strerror(errno.ENOBUFS).lower()
    if call == "bind":
        assert told[0].startswith(f"could not connect from {HERE}:0: {why}")
    elif another:
        assert told == []
        assert outcomes.client.told(ConnectFailed) == [ConnectFailed(str(to), why)]
    else:
        assert told == [f"could not connect to name port 80: {why}"]
    if not outcomes.streams:
        outcomes.nothing_more(monkeypatch)
