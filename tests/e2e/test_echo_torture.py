"""What echo must survive: floods, stutters, clients that stall or vanish, failing calls.

How fast, and in full size: tests/e2e/test_timed.py. Each kind of answer, and each n-th call that
fails, is in tests/net/echo/test_tcp.py and tests/net/echo/test_udp.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import (
    END,
    HERE,
    SOON,
    WAIT,
    Program,
    connect,
    datagrams,
    errors,
    eventually,
    few,
    leaving,
    noise,
    patched,
    read_exactly,
    reset,
    rests,
)

KIB, MIB = 1024, 1024 * 1024
UDP_SEGMENT = (17, 103)  # linux/udp.h


def echo(*options: str, **more: object) -> Program:
    return Program("echo", "-p", "0", *options, **more)  # type: ignore[arg-type]


def answered(sock: socket.socket, wait: float = WAIT) -> None:
    sock.settimeout(wait)
    sock.sendall(b"7\n")
    assert read_exactly(sock, 2) == b"7\n"


def stuff(sock: socket.socket, data: bytes, most: int = 256 * MIB) -> int:
    """Send until nothing is taken for 0.3 s; how much was."""
    size = 0
    sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while size < most:
            size += sock.send(data)
    assert size < most, "it takes without end"
    return size


each = pytest.mark.parametrize("options", [[], ["--reply", "zz=y"]], ids=["plain", "ruled"])


@each
def test_a_client_that_never_reads_costs_a_buffer(options: list[str]) -> None:
    never_reads(options)


Rest = Callable[[Program], None]


def never_reads(options: list[str], rest: Rest = rests) -> None:
    """`rest` looks whether nothing is used for such a client."""
    with echo(*options) as program, connect(program.port) as witness:
        answered(witness)
        idle = program.resident()
        with connect(program.port) as sock:
            stuff(sock, b"x" * 1023 + b"\n")
            answered(witness)
            rest(program)
            assert program.resident() < idle + 8 * MIB
            assert program.peak() < idle + 16 * MIB
        answered(witness)
        assert errors(program) == []


def test_long_answers_to_a_client_that_never_reads_cost_a_buffer() -> None:
    """A short line may have an answer a thousand times as long."""
    with echo("--reply", f"*={'x' * 2000}") as program, connect(program.port) as witness:
        witness.sendall(b"\n")
        assert len(take(witness, 2001)) == 2001
        idle = program.resident()
        with connect(program.port) as sock:
            stuff(sock, b"\n" * 65536)
            assert program.resident() < idle + 8 * MIB
            assert program.peak() < idle + 16 * MIB
        witness.sendall(b"\n")
        assert len(take(witness, 2001)) == 2001


def test_a_line_that_does_not_end_costs_a_buffer() -> None:
    with echo("--reply", "zz=y") as program, connect(program.port) as sock:
        answered(sock)
        idle = program.resident()
        data = b"x" * (16 * MIB)
        sender = threading.Thread(target=sock.sendall, args=[data], daemon=True)
        sender.start()
        sock.settimeout(WAIT)
        assert len(take(sock, len(data) - 128 * KIB)) == len(data) - 128 * KIB
        sender.join(WAIT)
        assert program.resident() < idle + 8 * MIB


def take(sock: socket.socket, size: int) -> bytearray:
    got = bytearray(size)
    view = memoryview(got)
    while view:
        count = sock.recv_into(view)
        assert count, f"ended {len(view)} bytes early"
        view = view[count:]
    return got


@leaving
def test_more_clients_than_descriptors(leave: Callable[[socket.socket], None]) -> None:
    crowd(leave, WAIT, *(["--upper"] if leave is reset else []))


def crowd(
    leave: Callable[[socket.socket], None], wait: float, *options: str, rest: Rest = rests
) -> None:
    """200 clients come where 64 descriptors are, and 150 leave: each answer comes in `wait`.

    `rest` looks whether nothing is used while they wait.
    """
    with (
        echo("--backlog", "200", *options, preexec_fn=few) as program,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(program.port)) for _ in range(200)]
        program.said("could not accept a connection")
        rest(program)
        answered(clients[0], wait)
        for client in clients[1:151]:
            leave(client)
        answered(clients[-1], wait)
        answered(clients[0], wait)
        answered(stack.enter_context(connect(program.port)), wait)
        assert len(program.stderr.splitlines()) <= 5
        assert errors(program) == []


def test_much_at_once_without_descriptors_for_pipes() -> None:
    """What the kernel would move is copied instead."""
    data = noise(8 * MIB)
    with (
        echo("--backlog", "200", preexec_fn=few) as program,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(program.port)) for _ in range(100)]
        program.said("could not accept a connection")
        sender = threading.Thread(target=clients[0].sendall, args=[data], daemon=True)
        sender.start()
        assert take(clients[0], len(data)) == data
        sender.join(WAIT)
        answered(clients[1])


def test_much_there_and_back() -> None:
    there_and_back(16)


def there_and_back(count: int) -> None:
    """`count` MiB go through tcp-client to echo and back, no two of them alike."""
    block = noise(MIB - 8)
    sent, got = hashlib.sha256(), hashlib.sha256()
    with (
        echo() as server,
        Program("tcp-client", HERE, str(server.port), stdin=-1) as client,
    ):
        assert client.process.stdin
        assert client.process.stdout

        def give() -> None:
            for number in range(count):
                data = number.to_bytes(8, "big") + block
                sent.update(data)
                client.type(data)
            client.end_input()

        giver = threading.Thread(target=give, daemon=True)
        giver.start()
        size = most = 0
        while data := client.process.stdout.read1(MIB):  # type: ignore[attr-defined]
            got.update(data)
            size += len(data)
            if size >= count * MIB // 2 and not most:
                most = client.peak()
        giver.join(WAIT)
        assert client.status() == 0
        assert most < 64 * MIB
        assert server.peak() < 64 * MIB
        assert (errors(server), client.stderr) == ([], "")
    assert (size, got.digest()) == (count * MIB, sent.digest())


# Sends and receives of random size, and EAGAIN where the kernel would have moved bytes.
# Receives come short only with `short`: full ones in a row are what makes echo splice.
STUTTER = """
import os, random, socket
from socket import socket as S
draw = random.Random(1).random
def some(size):
    if draw() < 0.1:
        raise BlockingIOError(11, "not now")
    return 1 if draw() < 0.2 else 1 + int(draw() * size)
send, recv_into, splice = S.send, S.recv_into, os.splice
S.send = lambda s, data, *flags: send(s, data[:some(len(data))], *flags)
if {short}:
    S.recv_into = lambda s, buffer, *more: recv_into(s, buffer[:some(len(buffer))], *more)
os.splice = lambda a, b, size, **more: splice(a, b, some(min(size, 65536)), **more)
"""
SPLICE_AT_ONCE = (
    "import sockkit.net.echo.plain as e\ne.MAX_RECEIVE_BYTES, e.BULK_RECEIVES = 16, 1\n"
)


STUTTERS: list[tuple[str, list[str]]] = [
    (STUTTER.format(short=True), []),
    (STUTTER.format(short=False) + SPLICE_AT_ONCE, []),
    (STUTTER.format(short=True), ["--upper"]),
    (STUTTER.format(short=True), ["--reply", "zz=y"]),
    (STUTTER.format(short=True), ["--delay", "1ms"]),
]


@pytest.mark.parametrize(
    ("code", "options"), STUTTERS, ids=["copy", "splice", "upper", "ruled", "late"]
)
def test_stutter(code: str, options: list[str]) -> None:
    stutter(code, options, MIB // 2)


def stutter(code: str, options: list[str], size: int) -> None:
    """All of `size` bytes comes back, however short each call comes."""
    line = "0123456789 你好👋\n0123456789\r\n".encode()
    data = line * (size // len(line))
    small = ["--send-buffer", "4k", "--no-delay"]
    with (
        echo("--tcp", "-vv", *small, *options, command=patched(code)) as program,
        connect(program.port) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            view, cut = memoryview(data), random.Random(2)
            while view:
                some = 1 if len(view) > len(data) - 10_000 else cut.randint(1, 20_000)
                sock.sendall(view[:some])
                view = view[some:]
            sock.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        assert take(sock, len(data)) == data
        assert sock.recv(1) == b""
        thread.join(WAIT)
        program.said("* close: the connection")
        assert errors(program) == []


@contextlib.contextmanager
def descriptors(wanted: int) -> Iterator[int]:
    """This process may have `wanted` descriptors, or as many as it can get; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def as_usual() -> None:
    """The limit that shells have: it is for the program to raise it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = 1024 if hard == resource.RLIM_INFINITY else min(1024, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_connections_than_a_shell_allows() -> None:
    """Fewer where this system's hard limit on descriptors does not allow so many."""
    with connections(1100) as (program, clients):
        assert program.descriptors() >= len(clients)
        clients[0].sendall(b"7")
        assert clients[0].recv(10) == b"7"
        for client in clients:
            reset(client)
        eventually(lambda: program.descriptors() < 20)
        with connect(program.port) as sock:
            answered(sock)
        assert len(program.stderr.splitlines()) == 1


@contextlib.contextmanager
def connections(wanted: int) -> Iterator[tuple[Program, list[socket.socket]]]:
    """An echo with that many clients, each of which has been answered."""
    with descriptors(wanted + 500) as most, contextlib.ExitStack() as stack:
        program = stack.enter_context(echo("--backlog", "1024", preexec_fn=as_usual))
        clients = [stack.enter_context(connect(program.port)) for _ in range(most - 500)]
        messages = [b"%063d\n" % number for number in range(len(clients))]
        for client, message in zip(clients, messages, strict=True):
            client.sendall(message)
        for client, message in zip(clients, messages, strict=True):
            assert read_exactly(client, 64) == message
        yield program, clients


def test_datagrams_with_64_on_their_way() -> None:
    in_window(5_000)


def in_window(count: int, window: int = 64) -> None:
    """None of `count` datagrams is lost, nor comes out of its turn."""
    sent = 0
    with echo("--udp") as program, datagrams(program.port) as sock:
        for expected in range(count):
            while sent < min(count, expected + window):
                sock.send(sent.to_bytes(64, "big"))
                sent += 1
            assert sock.recv(65536) == expected.to_bytes(64, "big")
        assert len(program.stderr.splitlines()) == 1


@each
def test_datagrams_of_any_size(options: list[str]) -> None:
    with echo(*options) as program, datagrams(program.port) as sock:
        for size in (0, 1, 1472, 0, 0, 8192, 16384, 65_507, 0):
            sock.send(b"7" * size)
            assert sock.recv(65536) == b"7" * size
        assert errors(program) == []


def test_many_resets() -> None:
    with echo() as program, connect(program.port) as witness:
        answered(witness)
        before = program.descriptors()
        for number in range(300):
            sock = connect(program.port)
            if number % 3:
                sock.sendall(b"x" * 10_000 * (number % 3))
            reset(sock)
        answered(witness)
        eventually(lambda: program.descriptors() == before)
        assert len(program.stderr.splitlines()) == 1


# The n-th call of NAME on one socket fails with ERROR, from the time that the witness is
# served: its socket, the first that was received from or sent to, is spared.
FAIL = """
import errno, os, socket, sys
name, number, code = "{name}", {number}, errno.{error}
owner = os if name == "splice" else socket.socket
real, count, spared = getattr(owner, name), 0, None
def failing(first, *values, **more):
    global count, spared
    spared = spared or first
    count += first is not spared or {spare_none}
    if count == number:
        count += 1
        print("FAILED", file=sys.stderr, flush=True)
        raise OSError(code, os.strerror(code))
    return real(first, *values, **more)
setattr(owner, name, failing)
"""


def failing(name: str, number: int, error: str, *, spare_none: bool = False) -> tuple[str, ...]:
    return patched(FAIL.format(name=name, number=number, error=error, spare_none=spare_none))


@pytest.mark.parametrize(
    ("name", "error", "number", "options"),
    [
        ("recv_into", "ECONNRESET", 2, []),
        ("send", "EPIPE", 1, ["--upper"]),
        ("send", "ENOBUFS", 3, []),
    ],
)
def test_a_call_that_fails_ends_that_client(
    name: str, error: str, number: int, options: list[str]
) -> None:
    with (
        echo("-v", *options, command=failing(name, number, error)) as program,
        connect(program.port) as witness,
    ):
        answered(witness)
        before = program.descriptors()
        with connect(program.port) as sock, contextlib.suppress(ConnectionResetError):
            for _ in range(number):
                sock.sendall(b"7\n")
                if not sock.recv(2):
                    break
            assert sock.recv(1) == b""
        program.said("FAILED")
        program.said("closed (sent ")
        answered(witness)
        eventually(lambda: program.descriptors() == before)
        assert errors(program) == []


@pytest.mark.parametrize(("error", "number"), [("ECONNRESET", 2), ("ENOMEM", 1), ("EINVAL", 3)])
def test_a_splice_that_fails(error: str, number: int) -> None:
    data = noise(4 * MIB)
    got: list[bytes] = []
    command = failing("splice", number, error, spare_none=True)
    with (
        echo("-v", command=command) as program,
        connect(program.port) as witness,
        connect(program.port) as sock,
    ):
        answered(witness)
        answered(sock)
        before = program.descriptors()

        def read() -> None:
            with contextlib.suppress(ConnectionError):
                while chunk := sock.recv(MIB):
                    got.append(chunk)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        sock.settimeout(WAIT)
        with contextlib.suppress(OSError):
            for _ in range(8):  # until it was trusted to the kernel
                sock.sendall(data)
                if "FAILED" in program.stderr:
                    break
            sock.shutdown(socket.SHUT_WR)
        reader.join(WAIT)
        program.said("FAILED")
        back = b"".join(got)
        assert (data * 8).startswith(back)
        if error in ("EINVAL", "ENOSYS"):
            assert len(back) % len(data) == 0
            assert back
        answered(witness)
        eventually(lambda: program.descriptors() == before - 1)
        assert errors(program) == []


@pytest.mark.parametrize(("error", "number"), [("ECONNABORTED", 1), ("EMFILE", 2)])
def test_an_accept_that_fails(error: str, number: int) -> None:
    fail = FAIL.format(name="accept", number=number, error=error, spare_none=True)
    command = patched(SOON + fail)
    with echo(command=command) as program:
        for _ in range(number):
            with connect(program.port) as sock:
                answered(sock)
        program.said("FAILED")
        assert errors(program) == []


@pytest.mark.parametrize(
    ("name", "number", "error", "lost"),
    [
        ("recvmsg_into", 2, "ECONNREFUSED", False),
        ("sendto", 2, "EPERM", True),
        ("sendmsg", 1, "ENOBUFS", True),
        ("sendmsg", 2, "EINVAL", False),
    ],
)
def test_a_datagram_call_that_fails(name: str, error: str, lost: bool, number: int) -> None:
    command = failing(name, number, error, spare_none=True)
    with (
        echo(command=command) as program,
        datagrams(program.port) as sock,
        connect(program.port) as witness,
    ):
        answered(witness)
        before = program.descriptors()
        at, got = 0, []
        while "FAILED" not in program.stderr:
            assert at < 10 * 50
            messages = [b"%04d" % n for n in range(at, at + 10)]
            at += 10
            if name == "sendmsg":  # what comes in one piece goes out in one
                sock.sendmsg([b"".join(messages)], [(*UDP_SEGMENT, (4).to_bytes(2, "little"))])
            else:
                for message in messages:
                    sock.send(message)
            while select.select([sock], [], [], 0.2)[0] and len(got) < at:
                got.append(sock.recv(9))
        program.said("FAILED")
        sock.send(b"next")
        while (answer := sock.recv(9)) != b"next":
            got.append(answer)
        expected = [b"%04d" % n for n in range(at)]
        assert got == [message for message in expected if message in got]  # in order
        assert (len(got) < at) == lost
        assert len(errors(program)) == (lost or error in ("ENOMEM", "ECONNREFUSED"))
        answered(witness)
        assert program.descriptors() == before


def test_a_worker_that_dies_in_a_flood_loses_its_clients_alone() -> None:
    with echo("--workers", "2") as program, contextlib.ExitStack() as stack:
        pid = program.process.pid
        path = Path(f"/proc/{pid}/task/{pid}/children")
        eventually(lambda: len(path.read_text().split()) == 2)
        clients = [stack.enter_context(connect(program.port)) for _ in range(40)]
        for client in clients:
            answered(client)
        victim = int(path.read_text().split()[0])
        os.kill(victim, signal.SIGKILL)
        program.said(f"process {victim}")
        left = 0
        for client in clients:
            try:
                answered(client)
            except (ConnectionError, AssertionError):
                left += 1
        assert 0 < left < 40
        answered(stack.enter_context(connect(program.port)))


patterns = pytest.mark.parametrize(
    ("kind", "more"),
    [(socket.SOCK_STREAM, ["--workers", "2"]), (socket.SOCK_DGRAM, [])],
    ids=["tcp, workers", "udp"],
)


@patterns
def test_a_pattern_that_backtracks_stops_nobody(kind: socket.SocketKind, more: list[str]) -> None:
    backtracking(kind, more)


def backtracking(kind: socket.SocketKind, more: list[str]) -> float:
    """How long ten questions took, while four peers send what takes longest as fast as they are
    answered. A signal is not kept waiting by it either.
    """
    line = b"a" * 60_000 + b"!\n"
    stopping = threading.Event()
    if kind is socket.SOCK_DGRAM:
        more = [*more, "--receive-buffer", "1m"]  # the usual one loses what follows three lines
    with echo("--reply-re", "(a|a)*$=X", *more) as program, contextlib.ExitStack() as stack:

        def client() -> socket.socket:
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            sock.settimeout(WAIT)
            sock.connect((HERE, program.port))
            return sock

        def attack(sock: socket.socket) -> None:
            sock.settimeout(0.2)
            while not stopping.is_set():
                with contextlib.suppress(OSError):
                    sock.sendall(line)
                    sock.recv(65536)

        def asks(sock: socket.socket) -> None:
            """A datagram may be lost among those of the others: then it is sent again."""
            sock.settimeout(WAIT if kind is socket.SOCK_STREAM else 1)
            for _ in range(int(WAIT)):
                sock.send(b"b\n")
                with contextlib.suppress(TimeoutError):
                    assert sock.recv(10) == b"X\n"  # for its end is one, too
                    return
            raise AssertionError("it is not answered")

        witness = client()
        attackers = [threading.Thread(target=attack, args=[client()]) for _ in range(4)]
        for attacker in attackers:
            attacker.start()
        program.said("took longer than 10 ms")
        began = time.monotonic()
        for _ in range(10):
            asks(witness)
        taken = time.monotonic() - began
        program.process.send_signal(signal.SIGTERM)
        program.status(END)
        stopping.set()
        for attacker in attackers:
            attacker.join(WAIT)
        assert len([error for error in errors(program) if "(a|a)" in error]) == 1
    return taken
