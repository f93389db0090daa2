"""Listening over loopback and unix sockets, and what a full or foreign place says."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from functools import partial
from pathlib import Path

import pytest

from sockkit.core.access import AccessList, Network, parse_rule
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.records import Record
from sockkit.errors import BindError, ResolveError
from sockkit.events import Connected, Event, Listening, Notice, PeerUser, SocketCall
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.screen import MAX_WAITING_BYTES
from sockkit.net.tcp import listen as module
from sockkit.net.tcp.listen import Listener, ListenOptions, announce, listen, raise_limit
from sockkit.net.views import Views
from sockkit.net.waiting import wait_for
from tests.net import kit
from tests.net.kit import HERE, fail_nth, run_for, run_until
from tests.support import few_descriptors, state_of

loop, stack = kit.loop, kit.stack

SERVER = SocketOptions(reuse_address=True)
LOCAL = HostPort(HERE, 0)


class Nothing:
    """A view that shows nothing."""

    def show(self, record: Record, /) -> bytes:
        return b""


class Server:
    """Makes listeners that are closed with the test, and keeps what was told and accepted."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self._loop, self._stack = loop, stack
        self.events: list[Event] = []
        self.context = kit.context(loop, emit=self.events.append)
        self.streams: list[SocketEnd] = []

    def listen(
        self,
        address: HostPort | UnixPath = LOCAL,
        sockets: SocketOptions = SERVER,
        backlog: int = 128,
        access: AccessList | None = None,
        max_connections: int | None = None,
        allow_users: str | None = None,
    ) -> Listener:
        options = ListenOptions(address, backlog, access, max_connections, allow_users=allow_users)
        listener = kit.listening(self._loop, options, sockets, self.events.append)
        self._stack.callback(listener.close)
        return listener

    def welcome(self, stream: SocketEnd) -> None:
        self._stack.callback(stream.close)
        self.streams.append(stream)

    def client(self, to: object, family: int = socket.AF_INET, source: str = "") -> socket.socket:
        sock = self._stack.enter_context(socket.socket(family))
        sock.settimeout(kit.WAIT)
        if source:
            sock.bind((source, 0))
        sock.connect(to)  # type: ignore[arg-type]
        return sock


@pytest.fixture
def server(loop: Loop, stack: contextlib.ExitStack) -> Server:
    return Server(loop, stack)


def test_port_0_is_a_real_port_and_is_reported(server: Server) -> None:
    listener = server.listen()
    assert listener.port
    assert listener.address == f"{HERE}:{listener.port}"
    assert [event for event in server.events if isinstance(event, Listening)] == []
    announce(listener, server.context)
    assert server.events[-1] == Listening(listener.address, True)
    assert [event.call for event in kit.of_kind(server.events, SocketCall)][-2:] == [
        "bind",
        "listen",
    ]


@pytest.mark.parametrize(
    ("host", "loopback"), [("0.0.0.0", False), ("::", False), ("::1", True), ("127.0.0.9", True)]
)
def test_it_says_whether_others_can_reach_it(host: str, loopback: bool, server: Server) -> None:
    announce(server.listen(HostPort(host, 0)), server.context)
    assert server.events[-1].loopback is loopback  # type: ignore[union-attr]


def test_connections_are_numbered_from_1(server: Server, loop: Loop) -> None:
    listener = server.listen()
    listener.accept(server.welcome)
    names = []
    for count in (1, 2, 3):
        names.append(server.client((HERE, listener.port)).getsockname())
        run_until(loop, lambda count=count: len(server.streams) == count)  # type: ignore[misc]
    expected = [(number + 1, f"{HERE}:{name[1]}") for number, name in enumerate(names)]
    assert [tuple(stream.peer) for stream in server.streams] == expected
    connected = kit.of_kind(server.events, Connected)
    assert [tuple(event.peer) for event in connected] == expected
    assert {event.local for event in connected} == {listener.address}


def test_nobody_is_accepted_before_accept_and_after_close(server: Server, loop: Loop) -> None:
    listener = server.listen()
    early = server.client((HERE, listener.port))
    run_for(loop, 0.02)
    assert server.streams == []

    def one(stream: SocketEnd) -> None:
        server.welcome(stream)
        listener.close()
        listener.close()

    server.client((HERE, listener.port))
    listener.accept(one)
    run_for(loop, 0.02)
    assert [stream.peer.address for stream in server.streams] == [
        f"{HERE}:{early.getsockname()[1]}"
    ]
    with pytest.raises(ConnectionRefusedError):
        server.client((HERE, listener.port))


def test_many_at_once_leave_turns_to_others(server: Server, loop: Loop) -> None:
    listener = server.listen(backlog=300)
    for _ in range(200):
        server.client((HERE, listener.port))
    served_between: list[int] = []
    loop.call_soon(lambda: served_between.append(len(server.streams)))
    listener.accept(server.welcome)
    run_until(loop, lambda: len(server.streams) == 200)
    assert served_between[0] <= module.MAX_ACCEPTS_PER_TURN


@pytest.mark.parametrize(("host", "shown"), [(HERE, HERE), ("::1", "[::1]")])
def test_the_dual_stack_address_takes_both_and_shows_ipv4_as_such(
    host: str, shown: str, server: Server, loop: Loop
) -> None:
    listener = server.listen(HostPort("::", 0))
    listener.accept(server.welcome)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    port = server.client((host, listener.port), family).getsockname()[1]
    run_until(loop, lambda: bool(server.streams))
    assert server.streams[0].peer.address == f"{shown}:{port}"


def test_version_6_alone_keeps_ipv4_out(server: Server) -> None:
    listener = server.listen(HostPort("::", 0), SocketOptions(6, True))
    server.client(("::1", listener.port), socket.AF_INET6)
    with pytest.raises(ConnectionRefusedError):
        server.client((HERE, listener.port))


@pytest.mark.parametrize("reuse", [True, False])
def test_a_port_in_use_is_an_error_with_a_hint(reuse: bool, server: Server) -> None:
    sockets = SocketOptions(reuse_address=reuse)
    port = server.listen(LOCAL, sockets).port
    assert port
    with pytest.raises(BindError) as caught:
        server.listen(HostPort(HERE, port), sockets)
    assert caught.value.args[0] == (
        f"could not listen on {HERE} port {port}: port {port} is in use"
        f" by {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"
    )
    assert "-p 0" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "code", "says", "hint"),
    [
        (HostPort("192.0.2.1", 0), None, "does not have that address", "--bind"),
        (HostPort(HERE, 80), errno.EACCES, "port 80 needs root privileges", "-p 8080"),
        (HostPort(HERE, 0), errno.EMFILE, "too many open files", ""),
        (UnixPath("/nonexistent/socket"), None, "no such file or directory", ""),
    ],
)
def test_a_place_that_cannot_be_had(
    address: HostPort | UnixPath,
    code: int | None,
    says: str,
    hint: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if code:
        fail_nth(monkeypatch, socket.socket, "bind", 1, OSError(code, os.strerror(code)))
    with pytest.raises(BindError) as caught:
        server.listen(address)
    assert says in caught.value.args[0]
    assert hint in caught.value.hint


def test_an_address_of_the_other_family_does_not_resolve(server: Server) -> None:
    with pytest.raises(ResolveError):
        server.listen(LOCAL, SocketOptions(family=6))


def left_behind(path: Path) -> None:
    """What a server that was killed leaves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_a_stale_unix_socket_is_replaced_and_ours_is_removed(
    server: Server, loop: Loop, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    left_behind(path)
    listener = server.listen(UnixPath(str(path)))
    listener.accept(server.welcome)
    server.client(str(path), socket.AF_UNIX)
    run_until(loop, lambda: bool(server.streams))
    assert server.streams[0].peer.address == "unix"
    assert (listener.port, listener.address) == (None, f"unix:{path}")
    listener.close()
    assert not path.exists()


@pytest.mark.parametrize("what", ["live", "file", "kept", "link", "foreign"])
def test_everything_else_at_the_path_stays(
    what: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    sockets = SERVER
    match what:
        case "live":
            server.listen(UnixPath(str(path)))
        case "file":
            path.write_text("precious")
        case "kept":
            left_behind(path)
            sockets = SocketOptions(reuse_address=False)
        case "link":
            left_behind(tmp_path / "theirs")
            path.symlink_to("theirs")
        case "foreign":
            left_behind(path)
            monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    before = state_of(path)
    with pytest.raises(BindError, match=r"(already in use|not a socket):.* use another path"):
        server.listen(UnixPath(str(path)), sockets)
    assert state_of(path) == before


def test_a_socket_somebody_else_has_bound_since_stays(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    ours = server.listen(UnixPath(str(path)))
    path.rename(tmp_path / "elsewhere")
    theirs = server.listen(UnixPath(str(path)))
    ours.close()
    assert path.is_socket()
    theirs.close()
    assert not path.exists()


def test_a_socket_that_cannot_listen_is_not_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, socket.socket, "listen", 1, OSError(errno.ENOBUFS, "no room"))
    with pytest.raises(BindError):
        server.listen(UnixPath(str(tmp_path / "socket")))
    assert os.listdir(tmp_path) == []


def test_looking_whether_a_unix_server_lives_is_no_client_of_it(
    server: Server, loop: Loop, tmp_path: Path
) -> None:
    address = UnixPath(str(tmp_path / "socket"))
    server.listen(address).accept(server.welcome)
    with pytest.raises(BindError):
        server.listen(address)
    run_for(loop, 0.02)
    assert server.streams == []


@pytest.mark.parametrize(
    "code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL]
)
def test_without_room_it_pauses_says_so_once_and_goes_on(
    code: int, server: Server, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACCEPT_PAUSE_SECONDS", 0.02)
    calls = 0
    room = False
    real = socket.socket.accept

    def accept(sock: socket.socket) -> object:
        nonlocal calls
        calls += 1
        assert calls < 100, "a busy loop, without a pause between each"
        if not room:
            raise OSError(code, os.strerror(code))
        return real(sock)

    monkeypatch.setattr(socket.socket, "accept", accept)
    listener = server.listen()
    listener.accept(server.welcome)
    server.client((HERE, listener.port))
    kit.skip_time(loop, monkeypatch)
    run_until(loop, lambda: calls > 0)
    run_for(loop, 0.1)
    assert 2 <= calls <= 6
    notices = [event.text for event in kit.of_kind(server.events, Notice)]
    assert len(notices) == 1
    assert os.strerror(code)[1:] in notices[0]
    room = True
    run_until(loop, lambda: bool(server.streams))


@pytest.mark.parametrize(
    "code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH]
)
def test_a_connection_lost_before_it_was_accepted_is_passed_over(
    code: int, server: Server, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: the next one does not wait for it, and there is nothing to say."""
    monkeypatch.setattr(module, "ACCEPT_PAUSE_SECONDS", 1000.0)
    fail_nth(monkeypatch, socket.socket, "accept", 1, OSError(code, os.strerror(code)))
    listener = server.listen()
    for _ in range(2):
        server.client((HERE, listener.port))
    taken: list[int] = []
    listener.accept(server.welcome)
    loop.call_soon(lambda: taken.append(len(server.streams)))  # after the first turn
    run_until(loop, lambda: bool(server.streams))
    assert taken == [2]
    assert server.streams[0].peer.number == 1
    assert not kit.of_kind(server.events, Notice)


def test_closing_in_a_pause_does_not_listen_again(
    server: Server, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACCEPT_PAUSE_SECONDS", 0.02)
    fail_nth(monkeypatch, socket.socket, "accept", 1, OSError(errno.EMFILE, "full"))
    listener = server.listen()
    listener.accept(server.welcome)
    server.client((HERE, listener.port))
    run_until(loop, lambda: bool(kit.of_kind(server.events, Notice)))
    listener.close()
    run_for(loop, 0.05)
    assert server.streams == []


def test_a_connection_that_is_closed_ends_the_pause(
    server: Server, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = server.listen()
    listener.accept(server.welcome)
    server.client((HERE, listener.port))
    run_until(loop, lambda: bool(server.streams))
    monkeypatch.setattr(module, "ACCEPT_PAUSE_SECONDS", 1000.0)
    fail_nth(monkeypatch, socket.socket, "accept", 1, OSError(errno.EMFILE, "full"))
    server.client((HERE, listener.port))
    run_until(loop, lambda: bool(kit.of_kind(server.events, Notice)))
    listener.released()
    run_until(loop, lambda: len(server.streams) == 2)


def test_while_as_many_are_open_as_may_be_newcomers_wait(server: Server, loop: Loop) -> None:
    listener = server.listen()
    listener.accept(server.welcome, most=2)
    for _ in range(4):
        server.client((HERE, listener.port))
    run_until(loop, lambda: bool(kit.of_kind(server.events, Notice)))
    run_for(loop, 0.02)
    assert len(server.streams) == 2
    listener.released()
    run_until(loop, lambda: len(server.streams) == 3)
    run_for(loop, 0.02)
    assert len(server.streams) == 3
    (notice,) = kit.of_kind(server.events, Notice)
    assert "too many open files" in notice.text


def test_however_many_come_and_go_it_waits_for_one_time(
    server: Server, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pause that a connection's end has cut short is over."""
    monkeypatch.setattr(module, "ACCEPT_PAUSE_SECONDS", 1000.0)
    listener = server.listen()
    listener.accept(server.welcome, most=1)
    timers = []
    for count in range(1, 9):
        server.client((HERE, listener.port))
        run_until(loop, lambda count=count: len(server.streams) == count)  # type: ignore[misc]
        run_for(loop, 0.01)
        timers.append(sum(bool(timer.callback) for timer in loop._timers))
        listener.released()
    assert max(timers) <= timers[0] + 1


def denying(*rules: str) -> AccessList:
    parsed = [parse_rule(rule) for rule in rules]
    return AccessList(None, [rule for rule in parsed if isinstance(rule, Network)])


OTHER = "127.0.0.2"


def test_who_is_refused_gets_no_byte_and_no_number(server: Server, loop: Loop) -> None:
    listener = server.listen(access=denying(OTHER))
    listener.accept(server.welcome)
    before = len(os.listdir("/proc/self/fd"))
    refused = server.client((HERE, listener.port), source=OTHER)
    refused.sendall(b"hello")
    name = refused.getsockname()
    run_until(loop, lambda: bool(kit.of_kind(server.events, Notice)))
    with contextlib.suppress(ConnectionResetError):  # what it has sent was not read
        assert refused.recv(1) == b""
    refused.close()
    assert len(os.listdir("/proc/self/fd")) == before
    (notice,) = kit.of_kind(server.events, Notice)
    assert notice.text == f"refused a connection from {OTHER}:{name[1]} (denied by --deny)"
    assert notice.kind == "refused a connection (denied by --deny)"
    calls = [event.call for event in kit.of_kind(server.events, SocketCall)]
    assert calls[-2:] == ["accept", "close"]
    assert not kit.of_kind(server.events, Connected)
    assert not listener.used
    server.client((HERE, listener.port))
    run_until(loop, lambda: bool(server.streams))
    assert server.streams[0].peer.number == 1
    assert listener.used


@pytest.mark.parametrize(
    ("kind", "asked", "refused"),
    [
        ("abstract", None, True),
        ("abstract", "any", False),
        ("file", None, False),
        ("file", "own", True),
    ],
)
def test_who_is_of_another_user_gets_no_byte_and_no_number(
    kind: str,
    asked: str | None,
    refused: bool,
    server: Server,
    loop: Loop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = f"@{tmp_path}" if kind == "abstract" else f"{tmp_path}/socket"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # the server's, not the client's
    listener = server.listen(UnixPath(path), allow_users=asked)
    listener.accept(server.welcome)
    client = server.client(path.replace("@", "\0"), socket.AF_UNIX)
    run_until(loop, lambda: bool(server.streams or kit.of_kind(server.events, Notice)))
    assert bool(server.streams) is not refused
    if refused:
        assert client.recv(1) == b""
        (notice,) = kit.of_kind(server.events, Notice)
        why = "(another user: --allow-users any lets them in)"
        who = f"unix, process {os.getpid()} of user {os.getuid()}"
        assert notice.text == f"refused a connection from {who} {why}"
        assert notice.kind == f"refused a connection {why}"
        assert not kit.of_kind(server.events, Connected)


def test_it_tells_who_a_unix_peer_is(server: Server, loop: Loop, tmp_path: Path) -> None:
    listener = server.listen(UnixPath(f"@{tmp_path}"))
    listener.accept(server.welcome)
    server.client(f"\0{tmp_path}", socket.AF_UNIX)
    run_until(loop, lambda: bool(server.streams))
    user = PeerUser(server.streams[0].peer, os.getpid(), os.getuid(), os.getgid())
    assert server.events[-1] == user
    before = len(kit.of_kind(server.events, PeerUser))
    listener = server.listen()
    listener.accept(server.welcome)
    server.client((HERE, listener.port))
    run_until(loop, lambda: len(server.streams) == 2)
    assert len(kit.of_kind(server.events, PeerUser)) == before == 1


@pytest.mark.parametrize(
    ("host", "rule", "refused"),
    [
        (HERE, "127.0.0.0/8", True),
        (HERE, "::ffff:127.0.0.1", True),
        (HERE, "::/0", False),
        ("::1", "::1", True),
        ("::1", "0.0.0.0/0", False),
    ],
)
def test_rules_on_a_dual_stack_listener(
    host: str, rule: str, refused: bool, server: Server, loop: Loop
) -> None:
    listener = server.listen(HostPort("::", 0), access=denying(rule))
    listener.accept(server.welcome)
    server.client((host, listener.port), socket.AF_INET6 if ":" in host else socket.AF_INET)
    run_until(loop, lambda: bool(server.streams or kit.of_kind(server.events, Notice)))
    assert bool(server.streams) is not refused


def test_one_more_than_there_may_be_is_closed_until_one_is_released(
    server: Server, loop: Loop
) -> None:
    listener = server.listen(max_connections=2)
    listener.accept(server.welcome)
    clients = [server.client((HERE, listener.port)) for _ in range(4)]
    for refused in clients[2:]:
        run_until(loop, lambda: len(kit.of_kind(server.events, Notice)) == 2)
        assert refused.recv(1) == b""
    assert len(server.streams) == 2
    notice = kit.of_kind(server.events, Notice)[0]
    assert notice.text.endswith("(full: --max-connections 2)")
    server.streams[0].close()
    listener.released()
    server.client((HERE, listener.port))
    run_until(loop, lambda: len(server.streams) == 3)
    assert server.streams[2].peer.number == 3
    server.client((HERE, listener.port))
    run_until(loop, lambda: len(kit.of_kind(server.events, Notice)) == 3)


def test_who_is_denied_takes_no_place(server: Server, loop: Loop) -> None:
    listener = server.listen(access=denying(OTHER), max_connections=1)
    listener.accept(server.welcome)
    for _ in range(3):
        server.client((HERE, listener.port), source=OTHER)
    server.client((HERE, listener.port))
    run_until(loop, lambda: bool(server.streams))


def test_many_that_are_refused_at_once_leave_turns_to_others(server: Server, loop: Loop) -> None:
    listener = server.listen(backlog=300, access=denying(HERE))
    for _ in range(200):
        server.client((HERE, listener.port))
    between: list[int] = []
    loop.call_soon(lambda: between.append(len(kit.of_kind(server.events, Notice))))
    listener.accept(server.welcome)
    run_until(loop, lambda: len(kit.of_kind(server.events, Notice)) == 200)
    assert between[0] <= module.MAX_ACCEPTS_PER_TURN


def test_as_many_descriptors_as_the_system_allows() -> None:
    with few_descriptors() as most:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)


@pytest.mark.parametrize("error", [ValueError, PermissionError])
def test_a_limit_that_cannot_be_raised_will_do(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error("more than the system has")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit()


def test_newcomers_wait_while_nobody_reads_a_view(
    server: Server, loop: Loop, stack: contextlib.ExitStack
) -> None:
    """Otherwise each connection that is opened and reset would add to what is shown."""
    views = Views(loop, server.events.append)
    sink, reader = memory_pair(loop)
    views.show_on(sink, Nothing()).put(bytes(2 * MAX_WAITING_BYTES))
    context = server.context._replace(views=views)
    listener = wait_for(loop, partial(listen, context, ListenOptions(LOCAL), SERVER))
    stack.callback(listener.close)
    listener.accept(server.welcome)
    for _ in range(3):
        server.client((HERE, listener.port))
    run_for(loop, 0.1)
    assert not server.streams
    listener.released()  # as an older connection does when it is closed
    run_for(loop, 0.1)
    assert not server.streams
    buffer = memoryview(bytearray(65536))
    while reader.has_bytes():
        reader.read_into(buffer)
        kit.settle(loop)
    run_until(loop, lambda: len(server.streams) == 3)


def test_a_listener_that_closes_while_newcomers_wait_stays_closed(
    server: Server, loop: Loop, stack: contextlib.ExitStack
) -> None:
    views = Views(loop, server.events.append)
    sink, reader = memory_pair(loop)
    views.show_on(sink, Nothing()).put(bytes(2 * MAX_WAITING_BYTES))
    context = server.context._replace(views=views)
    listener = wait_for(loop, partial(listen, context, ListenOptions(LOCAL), SERVER))
    listener.accept(server.welcome)
    server.client((HERE, listener.port))
    run_for(loop, 0.1)
    listener.close()
    buffer = memoryview(bytearray(65536))
    while reader.has_bytes():
        reader.read_into(buffer)
        kit.settle(loop)
    run_for(loop, 0.1)
    assert not server.streams
