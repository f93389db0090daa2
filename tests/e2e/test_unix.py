"""Unix sockets, streams and datagrams, beside nc, socat and other users' processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_floods import counted, stop
from tests.refusal import refusal
from tests.support import (
    END,
    WAIT,
    Program,
    cpu,
    errors,
    eventually,
    gone,
    need,
    noise,
    patched,
    rests,
    run,
    shell_status,
)

PIPE = -1
NOBODY = 65534
BULK = noise(2_000_000)
LINES = ("--lines", "--linger", "0")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name: an address has 107 bytes."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


class Place:
    """An address of either form, as each program writes it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.abstract = kind == "abstract"
        self.path = f"{folder}/socket"
        self.ours = f"unix:{'@' if self.abstract else ''}{self.path}"
        self.socket = f"\0{self.path}" if self.abstract else self.path

    def socat(self, what: str) -> str:
        return f"{'ABSTRACT' if self.abstract else 'UNIX'}-{what}:{self.path}"

    def exists(self, kind: int) -> bool:
        name = f"@{self.path}" if self.abstract else self.path
        lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        return any(line[4] == f"{kind:04}" and line[7:] == [name] for line in lines)


@pytest.fixture(params=["file", "abstract"])
def place(request: pytest.FixtureRequest, folder: Path) -> Place:
    return Place(folder, request.param)


@pytest.fixture
def file(folder: Path) -> Place:
    return Place(folder, "file")


@pytest.fixture
def name(folder: Path) -> Place:
    return Place(folder, "abstract")


def nc(*arguments: str) -> list[str]:
    return [need("nc.openbsd"), *arguments]


def socat(*arguments: str) -> list[str]:
    return [need("socat"), *arguments]


# Streams.


peers_of_each_kind = pytest.mark.parametrize(
    ("peer", "kind"), [("nc", "file"), ("socat", "file"), ("socat", "abstract")]
)  # nc has no abstract names


@peers_of_each_kind
def test_a_stream_client_and_who_listens(peer: str, kind: str, folder: Path) -> None:
    place = Place(folder, kind)
    listens = nc("-N", "-lU", place.path)
    if peer == "socat":
        listens = socat(place.socat("LISTEN"), "STDIO")
    with Program(command=listens, stdin=PIPE) as server:
        eventually(lambda: place.exists(socket.SOCK_STREAM))
        with Program("tcp-client", "-v", place.ours, stdin=PIPE) as client:
            client.said(f"connected to {place.ours} from unix\n")
            told = client.said("peer is process ")
            assert f" process {server.process.pid} of " in told
            converse(server, client)


@peers_of_each_kind
def test_a_stream_server_and_who_connects(peer: str, kind: str, folder: Path) -> None:
    place = Place(folder, kind)
    command = nc("-N", "-U", place.path)
    if peer == "socat":
        command = socat(place.socat("CONNECT"), "STDIO")
    with Program("tcp-server", "--once", "-v", "--bind", place.ours, stdin=PIPE) as server:
        server.said("listening on ")
        with Program(command=command, stdin=PIPE) as client:
            user = f"process {client.process.pid} of "
            assert user in server.said("peer is process ")
            converse(server, client)


def converse(server: Program, client: Program) -> None:
    assert server.process.stdout
    assert client.process.stdout
    client.type(b"question\n")
    assert server.process.stdout.read(9) == b"question\n"
    server.type(b"answer\n")
    assert client.process.stdout.read(7) == b"answer\n"
    client.end_input()
    server.end_input()
    assert client.output() == server.output() == b""
    assert (client.status(), server.status()) == (0, 0)


def test_a_stream_client_may_have_an_address(place: Place) -> None:
    with Program("echo", "--tcp", "-v", "--bind", place.ours) as server:
        server.said("listening on ")
        source = f"{place.ours}-mine"
        assert run("tcp-client", "--source", source, place.ours, data=b"x") == (0, b"x", "")
    if not place.abstract:
        assert not os.path.lexists(source.removeprefix("unix:"))


# Datagrams.


def test_datagrams_there_and_back(place: Place) -> None:
    with Program("echo", "--udp", "--bind", place.ours) as server:
        server.said("listening on ")
        for data in map(noise, (1, 8192, 65_507)):
            result = run("udp-client", "--expect", "1", place.ours, data=data)
            assert result == (0, data, ""), f"{len(data)} bytes"


def test_bulk_is_echoed_whole(place: Place) -> None:
    """Both ends wait for each other, and neither loses a datagram or spins."""
    with Program("echo", "--udp", "--bind", place.ours) as server:
        server.said("listening on ")
        before = cpu(server)
        count = str(len(BULK) // 8192 + 1)  # who is held up for 1 s is silent
        options = ["--buffer-size", "8192", "--expect", count, "--linger", "20"]
        assert run("udp-client", *options, place.ours, data=BULK) == (0, BULK, "")
        assert cpu(server) - before < 5
        assert errors(server) == []


def is_full(place: Place) -> bool:
    """Whether the receiver there takes nothing more; it may get an empty datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.sendto(b"", place.socket)
        except BlockingIOError:
            return True
    return False


def test_bulk_waits_for_a_receiver_that_is_slow(file: Place, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(file.path)
        receiver.settimeout(WAIT)
        arguments = ["udp-client", "--linger", "0", "--buffer-size", "1000", file.ours]
        source = folder / "bulk"
        source.write_bytes(BULK[:500_000])
        with source.open("rb") as data, Program(*arguments, stdin=data) as client:
            eventually(lambda: is_full(file))
            rests(client)
            got = []
            while len(got) < 500:
                got += filter(None, [receiver.recv(100_000)])
            assert client.status() == 0
        assert b"".join(got) == BULK[:500_000]


def test_nobody_spins_because_of_a_peer_that_reads_nothing(file: Place, folder: Path) -> None:
    with (
        Program("echo", "--udp", "--bind", file.ours) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as honest,
    ):
        server.said("listening on ")
        deaf.bind(f"{folder}/deaf")
        honest.bind(f"{folder}/honest")
        honest.settimeout(WAIT)
        for _ in range(200):
            deaf.sendto(b"x", file.path)
        honest.sendto(b"hi", file.path)
        assert honest.recv(100) == b"hi"
        server.said("lost 1 datagram for unix:")
        rests(server)
        stop(server)
        assert counted(server, "lost") + 11 >= 190  # its queue has what is missing


def test_a_socat_that_has_no_address(place: Place) -> None:
    arguments = ["udp-server", "--lines", "-v", "--bind", place.ours]
    with Program(*arguments, stdin=PIPE) as server:
        server.said("listening on ")
        server.type(b"to nobody\n")
        for text in (b"one", b"two"):
            with Program(command=socat("-u", "-", place.socat("SENDTO")), stdin=PIPE) as sender:
                sender.type(text)
                sender.end_input()
                assert sender.status() == 0
        assert server.process.stdout
        assert server.process.stdout.read(8) == b"one\ntwo\n"
        told = server.said("cannot be answered")
        assert server.stderr.count(told) == 1
        assert run("udp-client", "--expect", "1", place.ours, data=b"hi") == (0, b"to nobody", "")
        assert errors(server) == []


def test_a_peer_that_has_an_address_is_answered(file: Place, folder: Path) -> None:
    with Program("udp-server", "--bind", file.ours, "--reply", "ok", "-v") as server:
        server.said("listening on ")
        sendto = f"UNIX-SENDTO:{file.path},bind={folder}/mine"
        for command in (nc("-uU", file.path), socat("STDIO", sendto)):
            with Program(command=command, stdin=PIPE) as client:
                client.type(b"hi\n")
                assert client.process.stdout
                assert client.process.stdout.read(2) == b"ok"
                server.said(f"process {client.process.pid} of ")
                client.process.terminate()


def test_a_client_of_socat(place: Place) -> None:
    with Program(command=socat(place.socat("RECVFROM"), "STDIO"), stdin=PIPE) as server:
        eventually(lambda: place.exists(socket.SOCK_DGRAM))
        with Program("udp-client", "--expect", "1", "-v", place.ours, stdin=PIPE) as client:
            client.type(b"hi")
            client.end_input()
            assert server.process.stdout
            assert server.process.stdout.read(2) == b"hi"
            server.type(b"answer")
            server.end_input()
            assert client.output() == b"answer"
            assert client.status() == 0
            client.said(f"process {server.process.pid} of ")


def test_a_client_of_nc(file: Place) -> None:
    with Program(command=nc("-luU", file.path), stdin=PIPE) as server:
        eventually(lambda: place_is_bound(file))
        with Program("udp-client", "--expect", "1", file.ours, stdin=PIPE) as client:
            client.type(b"hi\n")
            client.end_input()
            assert server.process.stdout
            assert server.process.stdout.read(3) == b"hi\n"
            server.type(b"answer\n")
            assert client.output() == b"answer\n"
            assert client.status() == 0


def place_is_bound(place: Place) -> bool:
    return place.exists(socket.SOCK_DGRAM)


def test_a_room_over_unix_datagrams(place: Place) -> None:
    with Program("chat", "serve", "--udp", "--bind", place.ours) as room:
        room.said("listening on ")
        with Program("chat", "join", "--udp", "--name", "amy", place.ours, stdin=PIPE) as amy:
            assert room.process.stdout
            assert room.process.stdout.readline() == b"* amy joined\n"
            assert run("chat", "join", "--udp", "--name", "bob", place.ours, data=b"hi\n")[0] == 0
            assert amy.process.stdout
            said = [amy.process.stdout.readline() for _ in range(3)]
            assert said == [b"* bob joined\n", b"bob:hi\n", b"* bob left\n"]
            amy.end_input()
            assert amy.status() == 0


# A client's own address.


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, None]
)
def test_a_clients_own_file_is_removed_however_it_ends(
    number: signal.Signals | None, file: Place, folder: Path
) -> None:
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {"XDG_RUNTIME_DIR": str(runtime)}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Program("udp-server", "--bind", file.ours, "--label"))
        server.said("listening on ")
        client = stack.enter_context(Program("udp-client", file.ours, stdin=PIPE, env=environment))
        client.type(b"hi\n")
        assert server.process.stdout
        line = server.process.stdout.readline()
        (mine,) = runtime.iterdir()
        assert line == f"[1 unix:{mine}/socket] hi\n".encode()
        assert stat.S_IMODE(mine.stat().st_mode) == 0o700
        if number:
            client.process.send_signal(number)
        else:
            server.process.terminate()
            assert server.status() == 143
            client.type(b"there?\n")
        assert client.status(END) == (128 + number if number else 7), client.stderr
        assert list(runtime.iterdir()) == []


@pytest.mark.parametrize(
    ("there", "says"),
    [("nothing", "no such file"), ("stale", "refused"), ("stream", "use tcp-client")],
)
def test_nobody_there_is_7(there: str, says: str, file: Place, folder: Path) -> None:
    kind = socket.SOCK_STREAM if there == "stream" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX, kind) as sock:
        if there != "nothing":
            sock.bind(file.path)
        if there == "stale":
            sock.close()
        status, out, told = run("udp-client", file.ours, data=b"x", env={"TMPDIR": str(folder)})
    assert (status, out) == (7, b"")
    assert re.fullmatch(f"sockkit: could not send to {file.ours}: .*{says}.*\n", told)
    assert [path.name for path in folder.iterdir() if path.name != "socket"] == []


def test_a_stream_client_of_datagrams_is_told(file: Place) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(file.path)
        status, _, told = run("tcp-client", file.ours)
        assert run("probe", file.ours)[1].decode() == f"{file.ours} takes datagrams\n"
    assert status == 7
    assert told.endswith("it is a datagram socket: use udp-client\n")


# The file of a server.

SERVERS = [["tcp-server"], ["echo", "--tcp"], ["echo", "--udp"], ["udp-server"], ["chat", "serve"]]
each_server = pytest.mark.parametrize("command", SERVERS, ids=" ".join)


@each_server
def test_the_file_has_its_mode_and_goes_with_the_server(
    command: list[str], file: Place, folder: Path
) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stale:
        stale.bind(file.path)
    port_file = folder / "port"
    options = ["--unix-mode", "0620", "--port-file", str(port_file)]
    with Program(*command, "--bind", file.ours, *options) as server:
        server.said("listening on ")
        assert stat.S_IMODE(os.lstat(file.path).st_mode) == 0o620
        assert port_file.read_text() == f"{file.ours}\n"
        for other in ("tcp-server", "udp-server"):
            status, _, told = run(other, "--bind", file.ours)
            assert (status, told.count("\n")) == (45, 1)
        server.process.terminate()
        gone(server, 143, "terminated")
    assert os.listdir(folder) == []


@each_server
@pytest.mark.parametrize("what", ["file", "directory", "fifo", "link"])
def test_what_is_no_socket_is_left_alone(command: list[str], what: str, file: Place) -> None:
    path = Path(file.path)
    match what:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("nowhere")
    before = path.lstat()
    status, _, told = run(*command, "--bind", file.ours)
    assert (status, told.count("\n")) == (45, 1)
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("tcp-server -p 0 --unix-mode 600", "--unix-mode needs a unix socket"),
        ("udp-server -p 0 --unix-mode 600", "--unix-mode needs a unix socket"),
        ("echo -p 0 --allow-users any", "--allow-users needs a unix socket"),
        ("chat serve --bind unix:@x --unix-mode 600", "unix:@x has no file mode"),
        ("udp-server --bind unix:@x --unix-mode 600", "unix:@x has no file mode"),
        ("udp-server --bind unix:/x --unix-mode 4755", "'4755' is not a file mode"),
        ("udp-server --bind unix:/x --join 239.1.2.3", "--join cannot be used with unix:/x"),
        ("udp-server --bind unix:/x --allow 10.0.0.7", "have no IP address"),
        ("echo --bind unix:/x", "unix:/x cannot serve both TCP and UDP: add --tcp or --udp"),
        ("echo --udp --bind unix:/x --workers 2", "--workers cannot be used with"),
        ("udp-client --broadcast unix:/x", "--broadcast cannot be used with unix:/x"),
    ],
)
def test_what_cannot_be_meant(command: str, says: str) -> None:
    status, out, told = refusal(*command.split())
    assert (status, out, told.count("\n")) == (2, b"", 1)
    assert says in told


def test_elsewhere_an_abstract_name_is_an_error() -> None:
    """On a system without them, here one that says it is another."""
    code = "import sys; import sockkit.net.unix as unix; unix.sys = type(sys)('sys')\n"
    code += "unix.sys.platform = 'darwin'\n"
    for command in (["tcp-client"], ["udp-client"], ["tcp-server", "--bind"]):
        status, _, told = run(*command, "unix:@x", command=patched(code))
        assert status == 2
        assert told == (
            "sockkit: unix:@x is an abstract address, which only Linux has: use unix:/PATH\n"
        )


# Other users.

ONLY_ROOT = "only root can be somebody else"
ATTACK = f"""
import os, socket, sys
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
kind = socket.SOCK_STREAM if sys.argv[1] == "stream" else socket.SOCK_DGRAM
for _ in range(int(sys.argv[3])):
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.connect("\\0" + sys.argv[2])
        try:
            sock.send(b"evil")
            print(*sock.recv(1) if kind == socket.SOCK_STREAM else "")
        except (ConnectionResetError, BrokenPipeError):
            pass
"""


def attack(kind: str, name: Place, times: int = 1) -> bytes:
    """Connect and send as another user; what is received."""
    command = [sys.executable, "-I", "-c", ATTACK, kind, name.path, str(times)]
    with Program(command=command) as program:
        out = program.output()
        assert program.status() == 0, program.stderr
    return out.strip()


@pytest.mark.parametrize(
    "command",
    [["tcp-server", "--greet", "hi"], ["echo", "--tcp"], ["chat", "serve"]],
    ids=" ".join,
)
def test_another_users_process_gets_no_byte(command: list[str], name: Place) -> None:
    if os.geteuid():
        pytest.skip(ONLY_ROOT)
    with Program(*command, "--bind", name.ours) as server:
        server.said("listening on ")
        assert attack("stream", name) == b""
        line = server.said("refused a connection from unix, process ")
        assert line.endswith(f" of user {NOBODY} (another user: --allow-users any lets them in)\n")
        with Program("tcp-client", name.ours, stdin=PIPE) as client:
            client.type(b"hi\n")
            assert client.process.stdout
            assert client.process.stdout.read(1)
        assert errors(server) == []
    with Program(*command, "--bind", name.ours, "--allow-users", "any", "-v") as server:
        server.said("listening on ")
        attack("stream", name)
        server.said(f"(user {NOBODY})")
        assert "refused" not in server.stderr


@pytest.mark.parametrize(
    "command",
    [["udp-server", "--reply", "ok"], ["echo", "--udp"], ["chat", "serve", "--udp"]],
    ids=" ".join,
)
def test_another_users_datagram_is_dropped(command: list[str], name: Place) -> None:
    if os.geteuid():
        pytest.skip(ONLY_ROOT)
    with Program(*command, "--bind", name.ours) as server:
        server.said("listening on ")
        attack("datagram", name)
        server.said("dropped a datagram from unix, process ")
        expected = run("udp-client", "--expect", "1", name.ours, data=b"/who\n")
        assert expected[0] == 0
        if command[0] == "udp-server":
            server.process.terminate()
            assert server.output() == b"/who\n"


def test_many_of_another_user(name: Place) -> None:
    if os.geteuid():
        pytest.skip(ONLY_ROOT)
    with Program("echo", "--tcp", "--bind", name.ours) as server:
        server.said("listening on ")
        before = server.descriptors()
        attack("stream", name, 2_000)
        assert run("tcp-client", name.ours, data=b"x") == (0, b"x", "")
        eventually(lambda: server.descriptors() <= before)
        stop(server)
        assert counted(server, "refused a connection") == 2_000
        assert len(server.stderr.splitlines()) < 20


def test_a_program_that_is_killed_leaves_a_file_that_is_replaced(file: Place) -> None:
    for _ in range(2):
        with Program("udp-server", "--bind", file.ours) as server:
            server.said("listening on ")
            server.process.kill()
            assert shell_status(server.process.wait(WAIT)) == 137
        assert os.path.lexists(file.path)
