"""What the TCP commands must survive: floods, stutters, full disks, signals, failing calls.

How fast, and in full size: tests/e2e/test_timed.py.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import (
    CLIENT,
    END,
    HERE,
    ONCE,
    SERVER,
    SOON,
    WAIT,
    Program,
    both,
    connect,
    conversation,
    errors,
    eventually,
    everyone,
    few,
    gone,
    leaving,
    noise,
    patched,
    read_all,
    read_exactly,
    reset,
    rests,
    sleeps,
)

MIB = 1024 * 1024
PIPE = subprocess.PIPE

# Sends and receives of random size, and EAGAIN where the kernel would have moved bytes.
STUTTER = """
import os, random, socket
from socket import socket as S
draw = random.Random(1).random
def some(size):
    if draw() < 0.1:
        raise BlockingIOError(11, "not now")
    return 1 if draw() < 0.2 else 1 + int(draw() * size)
send, recv_into, splice, write = S.send, S.recv_into, os.splice, os.write
S.send = lambda s, data, *flags: send(s, data[:some(len(data))], *flags)
S.recv_into = lambda s, buffer, *more: recv_into(s, buffer[:some(len(buffer))], *more)
os.splice = lambda a, b, size, **more: splice(a, b, some(min(size, 65536)), **more)
"""
WITHOUT = "import os\nos.splice = os.sendfile = None\ndel os.splice, os.sendfile\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


LANES = {"kernel": ("sendfile", "splice through a pipe"), "copy": ("copy", "copy")}


@pytest.mark.parametrize("lane", LANES)
def test_from_file_to_file(lane: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(noise(8 * MIB))
    from_file_to_file(lane, tmp_path / "in", tmp_path / "out")


def from_file_to_file(lane: str, sent: Path, received: Path) -> None:
    more = {"command": patched(WITHOUT)} if lane == "copy" else {}
    out, into = LANES[lane]
    with (
        sent.open("rb") as source,
        received.open("wb") as sink,
        Program("tcp-server", "--once", "-v", "-p", "0", stdout=sink, **more) as server,
        Program("tcp-client", "-v", HERE, str(server.port), stdin=source, **more) as client,
    ):
        assert (client.status(60), server.status()) == (0, 0)
        size = f"{sent.stat().st_size:,} bytes"
        assert f" by {out} in" in client.said(f"sent {size}")
        assert f" by {into} in" in server.said(f"received {size}")
    assert filecmp.cmp(sent, received, shallow=False)


@both
@pytest.mark.parametrize("lane", ["splice", "copy"])
def test_pipe_to_pipe(kind: str, lane: str) -> None:
    data = noise(4 * MIB)
    command = {"command": patched(WITHOUT)} if lane == "copy" else {}
    with conversation(kind, "-v", stdin=PIPE, **command) as (program, sock):

        def feed() -> None:
            program.type(data)
            program.end_input()

        def echo() -> None:
            while chunk := sock.recv(MIB):
                sock.sendall(chunk)
            sock.shutdown(socket.SHUT_WR)

        threads = [threading.Thread(target=each, daemon=True) for each in (feed, echo)]
        for thread in threads:
            thread.start()
        assert digest(program.output()) == digest(data)
        gone(program, 0)
        for thread in threads:
            thread.join(WAIT)
        assert program.stderr.count(f" by {lane} in") == 2


Rest = Callable[[Program], None]


@pytest.mark.parametrize(
    ("kind", "options"), [(CLIENT, []), (CLIENT, ["-E", "gbk"]), (ONCE, []), (SERVER, [])]
)
def test_endless_input_to_a_peer_that_never_reads(kind: str, options: list[str]) -> None:
    endless_input(kind, options)


def endless_input(kind: str, options: list[str], rest: Rest = rests) -> None:
    """It costs little memory; `rest` looks whether nothing is used for it."""
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        program.type(b".")
        read_exactly(sock, 1)
        idle = program.resident()
    with (
        open("/dev/zero", "rb") as zero,
        conversation(kind, *options, stdin=zero) as (program, sock),
    ):
        read_exactly(sock, 1)
        rest(program)
        assert program.resident() < idle + 8 * MIB
        sock.close()
        if kind == SERVER:
            program.said("[1] ")
        else:
            assert program.status(END) in (55, 56)


@both
def test_an_answer_long_after_the_end_of_input(kind: str) -> None:
    answer_after(0.3, kind)


def answer_after(pause: float, kind: str) -> None:
    """It all arrives; for `pause` seconds nothing happens, and nobody gives up."""
    answer = noise(MIB)
    with conversation(kind, stdin=PIPE) as (program, sock):
        program.type(b"0123456789")
        program.end_input()
        assert read_all(sock) == b"0123456789"
        time.sleep(pause)
        sock.sendall(answer)
        sock.close()
        assert digest(program.output()) == digest(answer)
        gone(program, 0)


STUTTERING = pytest.mark.parametrize(
    ("kind", "options"),
    [(CLIENT, []), (ONCE, []), (CLIENT, ["-C"]), (ONCE, ["-E", "utf-8", "-C"])],
)


@STUTTERING
def test_stutter(kind: str, options: list[str]) -> None:
    stutter(kind, options, MIB // 2)


def stutter(kind: str, options: list[str], size: int) -> None:
    """All of `size` bytes arrives each way, however short each call comes."""
    line = "0123456789 你好👋\n0123456789\r\n".encode()
    data = line * (size // len(line))
    expected = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if options else data
    small = ["--send-buffer", "4k", "--receive-buffer", "4k"]
    got = []
    with conversation(
        kind, *options, *small, stdin=PIPE, command=patched(STUTTER)
    ) as (program, sock):  # fmt: skip
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        def answer() -> None:
            view, cut = memoryview(data), random.Random(2)
            while view:
                some = 1 if len(view) > len(data) - 10_000 else cut.randint(1, 20_000)
                sock.sendall(view[:some])
                view = view[some:]
            sock.shutdown(socket.SHUT_WR)

        def feed() -> None:
            program.type(data)
            program.end_input()

        threads = [
            threading.Thread(target=each, daemon=True)
            for each in (answer, feed, lambda: got.append(read_all(sock)))
        ]
        for thread in threads:
            thread.start()
        assert program.output(50) == data
        gone(program, 0)
        for thread in threads:
            thread.join(WAIT)
    assert got == [expected]


@both
@pytest.mark.parametrize(
    ("given", "options"),
    [("idle", []), ("ended", []), ("idle", ["-E", "utf-8"])],
    ids=["splice", "ended", "copy"],
)
def test_four_bytes_then_a_reset(kind: str, given: str, options: list[str]) -> None:
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        if given == "ended":
            program.end_input()
            assert read_all(sock) == b""
        sock.sendall(b"last")
        reset(sock)
        assert program.output() == b"last"
        gone(program, 56, "received 4 bytes")


# The program looks at its connection only when the peer has answered and gone.
LATE = """
import select, socket
connect = socket.socket.connect
def late(sock, address):
    try:
        connect(sock, address)
    finally:
        poll = select.poll()
        poll.register(sock, 0)
        poll.poll(20000)
socket.socket.connect = late
"""


@pytest.mark.parametrize("options", [[], ["-E", "utf-8"]], ids=["splice", "copy"])
def test_four_bytes_and_a_reset_before_we_look(options: list[str]) -> None:
    with conversation(CLIENT, *options, stdin=PIPE, command=patched(LATE)) as (program, sock):
        sock.sendall(b"last")
        reset(sock)
        assert program.output() == b"last"
        gone(program, 56, "received 4 bytes")


@everyone
def test_a_full_disk(kind: str) -> None:
    with (
        open("/dev/full", "wb") as full,
        conversation(kind, stdin=PIPE, stdout=full) as (program, sock),
    ):
        sock.sendall(b"data\n")
        gone(program, 23, "no space left on device")


@everyone
def test_a_reader_that_takes_one_byte_and_leaves(kind: str) -> None:
    with conversation(kind, stdin=PIPE) as (program, sock):
        sock.sendall(b"data\n")
        assert program.process.stdout
        assert os.read(program.process.stdout.fileno(), 1) == b"d"
        program.process.stdout.close()
        program.process.stdout = None
        gone(program, 141)


# Every signal is in tests/e2e/test_signals.py.
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
doing = pytest.mark.parametrize("doing", ["idle", "transfer", "blocked"])


@everyone
@doing
def test_signals(kind: str, doing: str) -> None:
    signalled(kind, signal.SIGTERM if kind == SERVER else signal.SIGINT, doing, END)


def signalled(kind: str, number: int, doing: str, wait: float) -> None:
    """The program ends by the signal, within `wait` seconds, whatever it is doing."""
    stop = threading.Event()
    with (
        open("/dev/null" if doing == "idle" else "/dev/zero", "rb") as stdin,
        conversation(kind, stdin=stdin) as (program, sock),
    ):

        def drain() -> None:
            try:
                while not stop.is_set() and sock.recv(65536):
                    pass
            except OSError:
                pass  # it has left

        reader = threading.Thread(target=drain if doing == "transfer" else stop.set, daemon=True)
        if doing != "idle":
            read_exactly(sock, MIB)
        elif kind == CLIENT:
            read_all(sock)  # its input has ended: it is past its start
        reader.start()
        if doing == "blocked":
            eventually(lambda: sleeps(program))
        os.kill(program.process.pid, number)
        assert program.status(wait) == SIGNALS[number]  # type: ignore[index]
        stop.set()
        reader.join(WAIT)


@everyone
def test_a_signal_spares_the_group(kind: str) -> None:
    number = signal.SIGINT if kind == SERVER else signal.SIGTERM
    with subprocess.Popen(["sleep", "60"], process_group=0) as sibling:
        try:
            with conversation(kind, stdin=PIPE, process_group=sibling.pid) as (program, sock):
                program.type(b"x")
                assert read_exactly(sock, 1) == b"x"
                os.kill(program.process.pid, number)
                assert program.status(END) == SIGNALS[number]
            assert sibling.poll() is None
        finally:
            sibling.kill()


NO_TEXT = [
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    "👋".encode()[:3],
    b"ok\xf0\x9f",
    b"\0\r\n\x80",
    noise(MIB),
]


@everyone
def test_bytes_that_are_no_text_arrive_as_they_are(kind: str) -> None:
    with conversation(kind, "--linger", "0", stdin=PIPE) as (program, sock):
        assert program.process.stdout
        for data in [text + b"\n" for text in NO_TEXT]:  # a server may wait for a line's end
            sender = threading.Thread(target=sock.sendall, args=[data], daemon=True)
            sender.start()
            assert program.process.stdout.read(len(data)) == data
            sender.join(WAIT)
            threading.Thread(target=program.type, args=[data], daemon=True).start()
            assert read_exactly(sock, len(data)) == data


# Every encoding, and every cut, is in tests/core/test_text.py.


@pytest.mark.parametrize(("kind", "encoding"), [(CLIENT, "utf-8"), (ONCE, "gb18030")])
def test_bytes_that_are_no_text_are_shown_as_text(kind: str, encoding: str) -> None:
    data = b"\n".join(NO_TEXT)
    with conversation(kind, "-E", encoding) as (program, sock):
        sender = threading.Thread(target=sock.sendall, args=[data], daemon=True)
        sender.start()
        sender.join(WAIT)
        sock.close()
        shown = program.output().decode("utf-8")
        gone(program, 0)
        assert shown == data.decode(encoding, "backslashreplace")


@pytest.mark.parametrize(
    ("kind", "encoding", "size"), [(CLIENT, "gbk", 1), (ONCE, "utf-16", 1), (CLIENT, "utf-8", 5)]
)
def test_characters_cut_everywhere(kind: str, encoding: str, size: int) -> None:
    text = "a你好，世界é\n日本語ー\n"
    wire = text.encode(encoding)
    options = ["-E", encoding, "--buffer-size", str(size)]
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        program.type(text.encode())
        program.end_input()
        assert read_all(sock) == wire
        sock.sendall(wire)
        sock.close()
        assert program.output().decode() == text
        gone(program, 0)


@pytest.mark.parametrize(("kind", "encoding"), [(CLIENT, "gbk"), (ONCE, "utf-16-le")])
def test_a_character_cut_by_the_end_is_reported(kind: str, encoding: str) -> None:
    with conversation(kind, "-E", encoding) as (program, sock):
        sock.sendall("ok日".encode(encoding)[:-1])
        sock.close()
        assert program.output().startswith(b"ok\\x")
        assert program.status(END) == 0
        assert "last character is incomplete" in program.stderr


# The n-th call of NAME fails with ERROR, and says so once. A marker in the environment would
# be read by nobody else: the arguments are what stands before the program's own.
FAIL = """
import errno, itertools, os, socket, sys
name, number, code = "{name}", {number}, errno.{error}
owner = os if hasattr(os, name) else socket.socket
real, count = getattr(owner, name), itertools.count(1)
def failing(*values, **more):
    if next(count) == number:
        print("FAILED", file=sys.stderr, flush=True)
        raise OSError(code, os.strerror(code))
    return real(*values, **more)
setattr(owner, name, failing)
"""


def failing(name: str, number: int, error: str) -> tuple[str, ...]:
    return patched(FAIL.format(name=name, number=number, error=error))


# Each call and each kind of failure once; every n-th call of each is in tests/net/test_lanes.py.
@pytest.mark.parametrize(
    ("kind", "name", "number", "error", "options", "statuses"),
    [
        (CLIENT, "recv_into", 2, "ECONNRESET", ["-E", "latin-1"], {56}),
        (ONCE, "recv_into", 3, "ENOMEM", ["-E", "latin-1"], {56}),
        (ONCE, "send", 1, "ECONNRESET", ["-C"], {55}),
        (CLIENT, "splice", 2, "ECONNRESET", [], {1, 55, 56}),
        (ONCE, "splice", 3, "EINVAL", [], {0}),
        (CLIENT, "splice", 1, "ENOSYS", [], {0}),
        (CLIENT, "sendfile", 2, "ENOBUFS", [], {55}),
        (ONCE, "sendfile", 3, "EIO", [], {1}),
        (CLIENT, "sendfile", 1, "EINVAL", [], {0}),
    ],
)
def test_a_call_that_fails(
    kind: str, name: str, number: int, error: str, options: list[str], statuses: set[int],
    tmp_path: Path,
) -> None:  # fmt: skip
    data = bytes(range(128)) * 4096  # 512 KiB
    (tmp_path / "in").write_bytes(data)
    got: list[bytes] = []
    with (
        open(tmp_path / "in", "rb") as stdin,
        conversation(
            kind,
            "--buffer-size",
            "64k",
            *options,
            stdin=stdin,
            command=failing(name, number, error),
        ) as (program, sock),
    ):

        def echo() -> None:
            try:
                got.append(read_all(sock))
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has left

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        out = program.output()
        status = program.status(END)
        thread.join(WAIT)
        assert "FAILED" in program.stderr
        assert status in statuses
        assert len(errors(program)) == (status != 0)
        assert data.startswith(out)
        if status == 0:
            assert (got, out) == ([data], data)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("ENETUNREACH", 7),
        ("EACCES", 7),
        ("ETIMEDOUT", 28),
    ],
)
def test_a_connect_that_fails(error: str, status: int) -> None:
    with (
        socket.create_server((HERE, 0)) as listener,
        Program("tcp-client", HERE, str(listener.getsockname()[1]),
                command=failing("connect", 1, error)) as program,
    ):  # fmt: skip
        gone(program, status, "could not connect to")


@pytest.mark.parametrize(
    ("kind", "number", "error"),
    [
        (ONCE, 1, "ECONNABORTED"),
        (SERVER, 2, "EPROTO"),
        (ONCE, 1, "EINTR"),
        (SERVER, 2, "EMFILE"),
    ],
)
def test_an_accept_that_fails(kind: str, error: str, number: int) -> None:
    command = patched(SOON + FAIL.format(name="accept", number=number, error=error))
    with Program(*kind.split(), "-p", "0", "--greet", "hi", command=command) as program:
        for _ in range(1 if kind == ONCE else number):
            with connect(program.port) as sock:
                assert read_exactly(sock, 2) == b"hi"
        if kind == SERVER:
            assert program.process.poll() is None
        else:
            gone(program, 0)
        assert errors(program) == []


@pytest.mark.parametrize(("name", "number"), [("recv_into", 1), ("send", 2)])
def test_a_server_outlives_a_call_that_fails(name: str, number: int) -> None:
    command = failing(name, number, "ECONNRESET")
    with (
        Program("tcp-server", "-v", "-p", "0", "--reply", "hi", command=command) as program,
        connect(program.port) as witness,
    ):
        program.said("[1] ")
        before = program.descriptors()
        for _ in range(number):
            with connect(program.port) as sock, contextlib.suppress(ConnectionResetError):
                sock.sendall(b"?")
                assert read_exactly(sock, 2) == b"hi"
        program.said("connection reset by peer")
        assert len(errors(program)) == 1
        witness.sendall(b"?")
        assert read_exactly(witness, 2) == b"hi"
        eventually(lambda: program.descriptors() == before)


@leaving
def test_more_clients_than_descriptors(leave: Callable[[socket.socket], None]) -> None:
    crowd(leave, WAIT)


def crowd(leave: Callable[[socket.socket], None], wait: float, rest: Rest = rests) -> None:
    """200 clients come where 64 descriptors are, and 150 leave: each answer comes in `wait`.

    `rest` looks whether nothing is used while they wait.
    """

    def answered(sock: socket.socket) -> None:
        sock.settimeout(wait)
        sock.sendall(b"?")
        assert read_exactly(sock, 2) == b"hi"

    arguments = ["tcp-server", "-p", "0", "--backlog", "200", "--reply", "hi"]
    with Program(*arguments, preexec_fn=few) as program, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(program.port)) for _ in range(200)]
        program.said("could not accept a connection")
        rest(program)
        answered(clients[0])
        for client in clients[1:151]:
            leave(client)
        answered(clients[-1])
        answered(clients[0])
        answered(stack.enter_context(connect(program.port)))
        assert leave is reset or len(program.stderr.splitlines()) <= 5
        assert leave is reset or errors(program) == []
