"""Unix datagram sockets: what a full receiver does, who sends, and a client's own address."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.address import UnixPath
from sockkit.errors import BindError, ConnectError, ReceiveError, SendError, SockkitError
from sockkit.events import Notice, SocketCall
from sockkit.net.endpoint import Endpoint
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp import unix as module
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramOutbox, DatagramSocket
from sockkit.net.udp.open import UdpOptions
from sockkit.net.udp.unix import UnixDatagramSocket, bind_client
from tests.net import kit
from tests.net.kit import fail_nth, noise, run_for, run_until
from tests.net.udp import site as udp_site
from tests.net.udp.site import Site

loop, stack, site = kit.loop, kit.stack, udp_site.site
ABSTRACT = "@"  # stands for a name that nobody else has
US = (os.getpid(), os.getuid(), os.getgid())


class Unix:
    """Makes unix datagram sockets at the path `place`, of a server and its clients."""

    def __init__(self, site: Site, stack: contextlib.ExitStack, folder: Path) -> None:
        self._site, self._stack, self.folder = site, stack, folder
        self.loop, self.events = site.loop, site.events
        self.place, self.temporary = f"{folder}/server", folder / "temporary"
        self.temporary.mkdir()

    def at(self, place: str) -> str:
        return f"@{self.place}" if place == ABSTRACT else place or self.place

    def server(
        self, place: str = "", patience: float = 0.02, allow_users: str | None = None, **more: Any
    ) -> DatagramSocket:
        options = ListenOptions(UnixPath(self.at(place)), allow_users=allow_users)
        udp = UdpOptions(patience=patience)
        sock = kit.bound(self.loop, options, SocketOptions(**more), udp, self.events.append)
        self._stack.callback(sock.close)
        return sock

    def client(self, place: str = "", source: str = "") -> DatagramSocket:
        connect = ConnectOptions(source=UnixPath(source) if source else None)
        to, environment = UnixPath(self.at(place)), {"TMPDIR": str(self.temporary)}
        sock, _ = next(
            kit.aimed(
                self.loop,
                to,
                emit=self.events.append,
                connect=connect,
                environment=environment,
            )
        )
        self._stack.callback(sock.close)
        return sock

    def plain(self, name: str = "") -> socket.socket:
        """A socket of the test's own, bound to a file of that name if it has one."""
        sock = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        sock.settimeout(5)
        if name:
            sock.bind(f"{self.folder}/{name}")
        return sock

    def receive(self, sock: DatagramSocket, count: int) -> list[bytes]:
        return udp_site.receive(self.loop, sock, count)


@pytest.fixture
def unix(site: Site) -> Iterator[Unix]:
    """In a folder with a short name: an address has 107 bytes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        yield Unix(site, stack, Path(folder))


def fill(sock: socket.socket, to: Any) -> int:
    """Send single bytes to `to` until its queue is full; how many."""
    sock.setblocking(False)
    for count in range(100_000):
        try:
            sock.sendto(b"x", to)
        except BlockingIOError:
            return count
    raise AssertionError("it takes without end")


@pytest.mark.parametrize("place", ["", ABSTRACT])
def test_datagrams_keep_their_bounds_both_ways(place: str, unix: Unix) -> None:
    server, client = unix.server(place), unix.client(place)
    assert isinstance(server, UnixDatagramSocket)
    assert (server.connected, client.connected, server.port) == (False, True, None)
    for datagram in (b"", b"x", noise(16384), b"", noise(MAX_PAYLOAD_BYTES)):
        assert client.send(datagram, MAX_PAYLOAD_BYTES) == len(datagram)
        got = server.receive()
        assert bytes(got.data) == datagram
        assert got.address == client.bound_to
        assert server.send(datagram, MAX_PAYLOAD_BYTES, got.address) == len(datagram)
        assert unix.receive(client, 1) == [datagram]


def test_each_is_sent_by_itself(unix: Unix, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no UDP_SEGMENT and no UDP_GRO there."""
    monkeypatch.setattr(socket.socket, "sendmsg", lambda *_: pytest.fail("in bulk"))
    server, client = unix.server(), unix.client()
    assert client.send(b"aabbc", 2) == 5
    assert unix.receive(server, 3) == [b"aa", b"bb", b"c"]


def test_one_larger_than_udp_allows_comes_whole(unix: Unix) -> None:
    server, sender = unix.server(), unix.plain()
    data = noise(150_000)
    sender.sendto(data, unix.place)
    assert unix.receive(server, 1) == [data]


def test_one_larger_than_the_buffer_tells_its_size(unix: Unix) -> None:
    server, client = unix.server(buffer_size=10), unix.client()
    client.send(b"0123456789abc", MAX_PAYLOAD_BYTES)
    got = server.receive()
    assert (bytes(got.data), got.true_size) == (b"0123456789", 13)


def test_one_larger_than_the_system_sends_is_an_error(unix: Unix) -> None:
    unix.server()
    with pytest.raises(
        SendError, match="a datagram of 1,000,000 bytes is too large for the path to"
    ):
        unix.client().send(bytes(1_000_000), 1_000_000)


def test_who_sends_is_known_also_without_an_address(unix: Unix) -> None:
    server, sender = unix.server(), unix.plain()
    sender.sendto(b"hi", unix.place)
    got = server.receive()
    assert (got.address, got.credentials) == ("", US)
    client = unix.client()
    client.send(b"x", 1)
    server.send(b"y", 1, server.receive().address)
    assert client.receive().credentials == US


def test_descriptors_that_a_peer_sends_are_not_taken(unix: Unix) -> None:
    server, sender = unix.server(), unix.plain()
    before = len(os.listdir("/proc/self/fd"))
    rights = array.array("i", [0, 1, 2])
    for _ in range(3):
        sender.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], 0, unix.place)
        assert bytes(server.receive().data) == b"x"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("place", "asked", "user", "admitted"),
    [
        (ABSTRACT, None, 0, True),
        (ABSTRACT, None, 1, False),
        (ABSTRACT, "any", 1, True),
        ("", None, 1, True),
        ("", "own", 1, False),
    ],
)
def test_datagrams_of_other_users_are_dropped_and_told(
    place: str,
    asked: str | None,
    user: int,
    admitted: bool,
    unix: Unix,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: US[1] + user)  # we are another than the sender
    server = unix.server(place, allow_users=asked)
    sender = unix.plain()
    sender.sendto(b"hi", f"\0{unix.place}" if place else unix.place)
    got = [bytes(got.data) for got in server.incoming(pytest.fail)]
    assert got == ([b"hi"] if admitted else [])
    told = [tuple(event) for event in kit.of_kind(unix.events, Notice)]
    why = "another user: --allow-users any lets them in"
    who = f"unix, process {US[0]} of user {US[1]}"
    line = (f"dropped a datagram from {who} ({why})", f"dropped a datagram ({why})")
    assert told == ([] if admitted else [line])


def test_a_client_waits_for_a_receiver_that_is_full_without_asking_all_the_time(
    unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = unix.plain("server")
    client = unix.client()
    sent: list[int] = []
    box = DatagramOutbox(
        client,
        on_empty=unix.loop.stop,
        on_fail=pytest.fail,
        on_sent=lambda size, segment: sent.append(size),
    )
    calls: list[int] = []
    real = socket.socket.send
    monkeypatch.setattr(socket.socket, "send", lambda *given: calls.append(1) or real(*given))
    for number in range(300):
        box.put(b"%d" % number, MAX_PAYLOAD_BYTES)
    before = len(calls)
    run_for(unix.loop, 0.1)
    assert box.waits
    assert len(calls) <= before + 1, "it was asked although it was full"
    receiver.setblocking(False)
    got: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            got.append(receiver.recv(100))
        if len(got) < 300:
            unix.loop.call_soon(read)

    read()
    unix.loop.run()
    run_until(unix.loop, lambda: len(got) == 300)
    assert got == [b"%d" % number for number in range(300)]
    assert len(sent) == 300


class Answering:
    """An outbox of a server, and two peers, of which the first is full."""

    def __init__(self, unix: Unix, patience: float) -> None:
        self.unix, self.failed = unix, list[SockkitError]()
        self.server = unix.server(patience=patience)
        self.box = DatagramOutbox(self.server, on_empty=lambda: None, on_fail=self.failed.append)
        self.full, self.free = unix.plain("full"), unix.plain("free")
        self.names = [sock.getsockname() for sock in (self.full, self.free)]
        self.took = fill(unix.plain(), self.names[0])

    def put(self, *targets: int) -> None:
        for number in targets:
            self.box.put(b"answer", MAX_PAYLOAD_BYTES, self.names[number])


def test_a_receiver_that_takes_nothing_holds_up_the_others_once_and_briefly(
    unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Answering(unix, 5.0)
    made.put(0, 1, 0, 1)
    kit.skip_time(unix.loop, monkeypatch)
    began = unix.loop.now
    assert made.box.waits
    run_until(unix.loop, lambda: not made.box.waits)
    assert 5.0 <= unix.loop.now - began < 6.0
    told = f"lost 1 datagram for unix:{made.names[0]}: it accepted no data for 5 s"
    assert [str(error) for error in made.failed] == [told] * 2
    assert made.failed[0].kind == "lost datagrams for a peer: it accepted no data for 5 s"
    assert [made.free.recv(100) for _ in range(2)] == [b"answer"] * 2
    made.put(0, 1)
    assert not made.box.waits, "what is for the full one is lost at once"
    assert len(made.failed) == 3


def test_a_receiver_that_takes_again_gets_everything_again(unix: Unix) -> None:
    made = Answering(unix, 0.0)
    made.put(0)
    assert len(made.failed) == 1
    for _ in range(made.took):
        assert made.full.recv(100) == b"x"
    made.put(0, 0)
    assert [made.full.recv(100) for _ in range(2)] == [b"answer"] * 2
    assert len(made.failed) == 1
    assert isinstance(made.server, UnixDatagramSocket)
    assert made.server._full_since == {}


def test_one_that_takes_in_time_loses_nothing(unix: Unix) -> None:
    made = Answering(unix, kit.WAIT)
    made.put(*[0] * 50)
    made.full.setblocking(False)
    got: list[bytes] = []

    def read() -> bool:
        with contextlib.suppress(BlockingIOError):
            got.append(made.full.recv(100))
        return len(got) == made.took + 50

    run_until(unix.loop, read)
    assert made.failed == []
    assert got[made.took :] == [b"answer"] * 50


def test_full_receivers_that_are_remembered_are_bounded(
    unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    made = Answering(unix, 1.0)
    assert isinstance(made.server, UnixDatagramSocket)
    others = [unix.plain(name).getsockname() for name in ("a", "b")]
    for name in others:
        fill(unix.plain(), name)
    for name in (made.names[0], *others):
        with pytest.raises(BlockingIOError):
            made.server.send(b"x", 1, name)
    assert list(made.server._full_since) == others


def test_several_datagrams_that_are_lost_are_all_counted(unix: Unix) -> None:
    made = Answering(unix, 0.0)
    made.box.put(bytes(25), 10, made.names[0])
    assert str(made.failed[0]).startswith("lost 3 datagrams for unix:")


def test_a_client_is_told_that_its_peer_has_gone(unix: Unix) -> None:
    server, client = unix.server(), unix.client()
    server.close()
    for _ in range(2):  # the second one is told in another way by the system
        with pytest.raises(ConnectError, match=r"could not reach .*server: nobody receives"):
            client.send(b"x", 1)


def test_a_server_is_told_that_its_peer_has_gone(unix: Unix) -> None:
    server, client = unix.server(), unix.client()
    name = client.bound_to
    client.close()
    with pytest.raises(SendError, match=f"sending to unix:{name} failed: no such file"):
        server.send(b"x", 1, name)
    left = unix.plain("left")
    left.close()
    with pytest.raises(SendError, match="left failed: connection refused"):
        server.send(b"x", 1, f"{unix.folder}/left")


def test_a_receive_that_fails_is_told(unix: Unix, monkeypatch: pytest.MonkeyPatch) -> None:
    server = unix.server()
    fail_nth(monkeypatch, socket.socket, "recvmsg_into", 1, OSError(errno.ECONNRESET, "reset"))
    with pytest.raises(ReceiveError):
        server.receive()


def test_nobody_but_the_peer_can_send_to_a_client(unix: Unix) -> None:
    unix.server()
    client, stranger = unix.client(), unix.plain("stranger")
    with pytest.raises(PermissionError):
        stranger.sendto(b"forged", client.bound_to)


def test_the_removal_and_the_retry_end_with_the_socket(unix: Unix) -> None:
    made = Answering(unix, 60.0)
    made.put(0)
    assert isinstance(made.server, UnixDatagramSocket)
    made.server.close()
    made.server.close()
    assert not os.path.lexists(unix.place)
    assert made.server._retry
    run_for(unix.loop, 0.05)
    assert made.failed == []


Own = Callable[..., str]


@pytest.fixture
def own(unix: Unix, stack: contextlib.ExitStack) -> Iterator[Own]:
    """Binds a client of a server, in an environment with these variables; the path of its file."""
    unix.server()
    removals: list[Callable[[], None] | None] = []

    def make(**environment: str) -> str:
        sock = unix.plain()
        sock.connect(unix.place)
        to = Endpoint(socket.AF_UNIX, unix.place)
        removals.append(bind_client(sock, to, None, SocketOptions(), environment))
        return str(sock.getsockname())

    yield make
    for remove in removals:
        assert remove
        remove()


def test_a_clients_file_is_where_nobody_else_can_enter(own: Own, unix: Unix) -> None:
    runtime, temporary = unix.folder / "runtime", unix.folder / "tmp"
    runtime.mkdir()
    temporary.mkdir()
    made = own(XDG_RUNTIME_DIR=str(runtime), TMPDIR=str(temporary))
    folder = Path(made).parent
    assert folder.parent == runtime
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_ISSOCK(Path(made).stat().st_mode)
    other = own(TMPDIR=str(temporary))
    assert Path(other).parent.parent == temporary
    assert Path(own()).parent.parent == Path("/tmp")


def test_what_is_made_for_a_client_is_removed(own: Own, unix: Unix) -> None:
    client = unix.client()
    assert Path(client.bound_to).parent.parent == unix.temporary
    client.close()
    assert os.listdir(unix.temporary) == []


@pytest.mark.parametrize("what", ["nothing", "a file", "foreign", "relative"])
def test_a_runtime_directory_that_is_not_ours_is_not_used(
    what: str, own: Own, unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, temporary = unix.folder / "runtime", unix.folder / "tmp"
    temporary.mkdir()
    match what:
        case "a file":
            runtime.touch()
        case "foreign":
            runtime.mkdir()
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        case "relative":
            monkeypatch.chdir(unix.folder)
            runtime.mkdir()
    name = "runtime" if what == "relative" else str(runtime)
    made = own(XDG_RUNTIME_DIR=name, TMPDIR=str(temporary))
    assert Path(made).parent.parent == temporary


def test_a_directory_whose_name_is_too_long_is_passed_over(own: Own, unix: Unix) -> None:
    long = unix.folder / ("d" * 90)
    long.mkdir()
    assert Path(own(TMPDIR=str(long))).parent.parent == Path("/tmp")
    assert list(long.iterdir()) == []


def test_without_a_place_for_its_file_a_client_says_so(
    unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    unix.server()
    for _ in range(2):  # among the temporary files, and in /tmp
        error = PermissionError(errno.EACCES, "permission denied")
        fail_nth(monkeypatch, os, "mkdir", 1, error)
    with pytest.raises(BindError) as caught:
        unix.client()
    assert str(caught.value) == (
        "could not send from an address of its own: permission denied: "
        "use another --source unix:/PATH"
    )


def test_a_file_that_cannot_be_made_leaves_no_folder(
    unix: Unix, monkeypatch: pytest.MonkeyPatch
) -> None:
    unix.server()
    only = lambda sock, to: "sockkit-" in str(to)  # noqa: E731
    fail_nth(monkeypatch, socket.socket, "bind", 1, OSError(errno.ENOSPC, "full"), only)
    with pytest.raises(BindError):
        unix.client()
    assert os.listdir(unix.temporary) == []


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_a_source_of_ones_own(kind: str, unix: Unix) -> None:
    source = f"@{unix.folder}/mine" if kind == "abstract" else f"{unix.folder}/mine"
    server, client = unix.server(), unix.client(source=source)
    assert client.address == f"unix:{source}"
    client.send(b"x", 1)
    server.send(b"y", 1, server.receive().address)
    assert unix.receive(client, 1) == [b"y"]
    assert SocketCall("bind", f"unix:{source}") in unix.events
    client.close()
    assert not os.path.lexists(source)


def test_a_source_that_is_taken(unix: Unix) -> None:
    unix.server()
    taken = unix.plain("taken").getsockname()
    with pytest.raises(BindError, match="taken: address already in use: use another --source"):
        unix.client(source=taken)
    assert os.path.lexists(taken)


def test_a_client_of_an_abstract_address_has_one_too(unix: Unix) -> None:
    unix.server(ABSTRACT)
    assert unix.client(ABSTRACT).address.startswith("unix:@")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nothing", "no such file or directory"),
        ("stale", "connection refused"),
        ("streams", "it is a stream socket: use tcp-client"),
    ],
)
def test_who_cannot_be_sent_to(what: str, says: str, unix: Unix) -> None:
    kind = socket.SOCK_STREAM if what == "streams" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX, kind) as there:
        if what != "nothing":
            there.bind(unix.place)
        if what == "stale":
            there.close()
        with pytest.raises(ConnectError, match=f"could not send to unix:{unix.place}: .*{says}"):
            unix.client()
    assert os.listdir(unix.temporary) == []
