"""echo as a user runs it: what is answered, by whom, when, and how workers share a port."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    children,
    connect,
    datagrams,
    errors,
    eventually,
    gone,
    need,
    patched,
    read_all,
    read_exactly,
    reset,
    run,
    runs,
)

PIPE = subprocess.PIPE


def echo(*options: str, **more: object) -> Program:
    return Program("echo", "-p", "0", *options, **more)  # type: ignore[arg-type]


def by_tcp(port: int, data: bytes) -> bytes:
    """Everything that is answered to `data` and its end."""
    with connect(port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def by_udp(port: int, *messages: bytes, wanted: int | None = None) -> list[bytes]:
    """The answers to `messages`, each of which has one unless `wanted` are."""
    with datagrams(port) as sock:
        for message in messages:
            sock.send(message)
        return [sock.recv(65536) for _ in range(len(messages) if wanted is None else wanted)]


def free_port() -> int:
    """One that both TCP and UDP can have."""
    for _ in range(20):
        with (
            socket.create_server((HERE, 0)) as listener,
            socket.socket(type=socket.SOCK_DGRAM) as sock,
            contextlib.suppress(OSError),
        ):
            sock.bind(listener.getsockname())
            return int(listener.getsockname()[1])
    raise AssertionError


@pytest.mark.parametrize("choose", [lambda: 0, free_port], ids=["any", "given"])
def test_tcp_and_udp_on_one_number(choose: Callable[[], int]) -> None:
    port = choose()
    with Program("echo", "-p", str(port)) as program:
        assert port in (0, program.port)
        assert by_tcp(program.port, b"over tcp \xff\0") == b"over tcp \xff\0"
        assert by_udp(program.port, b"over udp \xff\0", b"") == [b"over udp \xff\0", b""]
        program.process.terminate()
        gone(program, 143, "terminated")
        assert len(program.stderr.splitlines()) == 2
        assert program.output() == b""


def test_tcp_alone() -> None:
    with echo("--tcp") as program:
        assert by_tcp(program.port, b"x") == b"x"
        with pytest.raises(ConnectionRefusedError):
            by_udp(program.port, b"x")


def test_udp_alone() -> None:
    with echo("--udp") as program:
        assert by_udp(program.port, b"x") == [b"x"]
        with pytest.raises(ConnectionRefusedError):
            connect(program.port)


@pytest.mark.parametrize(("busy", "workers"), [("tcp", "1"), ("udp", "2"), ("echo", "2")])
def test_a_busy_port_is_an_error(busy: str, workers: str) -> None:
    port = str(free_port())
    with contextlib.ExitStack() as stack:
        if busy == "tcp":
            stack.enter_context(socket.create_server((HERE, int(port))))
        elif busy == "udp":
            stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((HERE, int(port)))
        else:
            first = stack.enter_context(Program("echo", "-p", port, "--workers", workers))
            first.said("listening on")
        with Program("echo", "-p", port, "--workers", workers) as program:
            gone(program, 45, f"port {port} is in use", "-p 0")


def test_ipv6() -> None:
    with echo("-6") as program:
        with socket.create_connection(("::1", program.port), WAIT) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.settimeout(WAIT)
            sock.sendto(b"x", ("::1", program.port))
            assert sock.recv(9) == b"x"


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Program("echo", "--tcp", "--bind", f"unix:{path}") as program:
        program.said("listening on")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"x")
            assert sock.recv(9) == b"x"
        program.process.terminate()
        gone(program, 143, "terminated")
    assert not os.path.exists(path)


def test_the_tutorials_upper_casing_server() -> None:
    with echo("--upper", "--backlog", "5", "-vv") as program:
        program.said("listen: backlog 5")
        for client in (b"first", b"second"):
            with connect(program.port) as sock:  # connection loop
                for message in (client, b"hello", "straße".encode(), b"\xff"):  # talk loop
                    sock.sendall(message)
                    expected = message.decode("utf-8", "surrogateescape").upper()
                    assert sock.recv(1024) == expected.encode("utf-8", "surrogateescape")
        sock = connect(program.port)
        sock.sendall(b"x")
        assert sock.recv(1024) == b"X"
        reset(sock)
        program.said("* reset: ")
        assert by_tcp(program.port, b"still here") == b"STILL HERE"
        assert errors(program) == []


def test_capitals_by_udp() -> None:
    with echo("--upper", "-E", "gbk") as program:
        said = by_udp(program.port, "a你b".encode("gbk"), b"", b"\xff a")
        assert said == ["A你B".encode("gbk"), b"", b"\xff A"]


def test_rules() -> None:
    options = ["--reply", "PING*=PONG", "--reply-re", r"^ADD (\d+)=OK \1", "--reply", "*!=never"]
    with echo(*options) as program:
        asked = b"PING 1\nADD 12\nother\n\nno PING\nwhat!"
        answer = b"PONG\nOK 12\nother\n\nno PING\nnever"
        assert by_tcp(program.port, asked) == answer
        assert by_udp(program.port, *asked.split(b"\n")) == answer.split(b"\n")


def test_rules_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("# a device\n你?=好\n\nre:^(.)(.)$=\\2\\1\nPING=later\n")
    with echo("--rules", str(path), "--reply", "PING=first", "--upper") as program:
        asked = "你们\nab\nPING\nelse\n".encode()
        assert by_tcp(program.port, asked) == "好\nba\nfirst\nELSE\n".encode()


@pytest.mark.parametrize(
    ("content", "says"), [("a=b\nre:(=x\n", "line 2"), ("\nno rule", "line 2"), (None, "could not")]
)
def test_a_file_of_rules_that_cannot_be(content: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rules"
    if content:
        path.write_text(content)
    with echo("--rules", str(path)) as program:
        gone(program, 2, str(path), says)


@pytest.mark.parametrize("rule", ["a{99999999999}=x", "(" * 3000 + ")" * 3000 + "=x", "[[a]=x"])
def test_no_regex_is_a_fault_in_sockkit(rule: str) -> None:
    with echo("--reply-re", rule) as program:
        eventually(lambda: bool(program.stderr))
        program.process.terminate()
        assert program.status() in (2, 143)
        assert "Warning" not in program.stderr


def test_a_greeting() -> None:
    with echo("--greet", "你好\n", "-E", "gbk") as program:
        with connect(program.port) as sock:
            assert read_exactly(sock, 5) == "你好\n".encode("gbk")
            sock.sendall(b"x")
            assert read_exactly(sock, 1) == b"x"
        assert by_udp(program.port, b"x") == [b"x"]


def test_late_answers() -> None:
    with echo("--delay", "300ms") as program:
        with connect(program.port) as sock, datagrams(program.port) as udp:
            for end in (sock, udp):
                began = time.monotonic()
                for message in (b"1", b"2", b"3"):
                    end.send(message)
                got = b""
                while len(got) < 3:
                    got += end.recv(3)
                    assert time.monotonic() - began >= 0.3
                assert got == b"123"
        began = time.monotonic()
        assert by_tcp(program.port, b"and its end") == b"and its end"
        assert time.monotonic() - began >= 0.3


def test_a_share_of_datagrams_is_dropped() -> None:
    """All or none: tests/net/echo/test_udp.py."""
    with echo("--drop", "50%") as program, datagrams(program.port) as sock:
        got = []
        for number in range(400):
            sock.send(b"%d" % number)
            if number % 50 == 49:  # or the answers would overflow
                sock.settimeout(0.1 if number < 399 else 0.3)
                with contextlib.suppress(TimeoutError):
                    while len(got) <= number:
                        got.append(int(sock.recv(9)))
        assert 120 <= len(got) <= 280
        assert sorted(set(got)) == got
        assert by_tcp(program.port, b"x" * 1000) == b"x" * 1000


def test_after_its_last_answer_a_connection_is_closed() -> None:
    with echo("--close-after", "2") as program:
        with connect(program.port) as sock:
            for message in (b"1", b"2"):
                sock.sendall(message)
                assert read_exactly(sock, 1) == message
            assert sock.recv(1) == b""
        assert by_udp(program.port, b"1", b"2", b"3") == [b"1", b"2", b"3"]


@pytest.mark.parametrize("options", [[], ["--upper"], ["--reply", "zz=y"]])
def test_an_answer_is_a_line_also_where_several_come_at_once(options: list[str]) -> None:
    with echo("--tcp", "--close-after", "2", *options) as program:
        assert by_tcp(program.port, b"a\nb\nc\nd\n").lower() == b"a\nb\n"


def test_every_line_has_its_answer_however_long_that_is() -> None:
    count, answer = 100_000, b"x" * 100
    with echo("--tcp", "--reply", f"*={answer.decode()}") as program:
        assert by_tcp(program.port, b"\n" * count) == (answer + b"\n") * count


def test_a_datagram_that_was_cut_is_told_of() -> None:
    with echo("--udp", "--buffer-size", "10") as program:
        assert by_udp(program.port, b"x" * 20) == [b"x" * 10]
        program.said("a datagram of 20 bytes from 127.0.0.1:")
        program.said("was truncated to 10: use a larger --buffer-size")


def test_an_answer_that_is_no_datagram_is_told_of() -> None:
    """In capitals it is longer than the largest there is."""
    with echo("--udp", "--upper") as program:
        assert by_udp(program.port, "ŉ".encode() * 30_000, b"next", wanted=1) == [b"NEXT"]
        program.said("a datagram of 90,000 bytes is too large for the path")


@pytest.mark.parametrize("delay", [[], ["--delay", "100ms"]], ids=["at once", "late"])
def test_all_answers_arrive_before_it_closes(delay: list[str]) -> None:
    """More was asked than is answered, and the client is slow to take it."""
    answer = b"x" * 100_000
    options = ["--reply", f"*={answer.decode()}", "--close-after", "3", *delay]
    with echo("--tcp", *options) as program, socket.socket() as sock:
        sock.settimeout(WAIT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((HERE, program.port))
        sock.sendall(b"1\n2\n3\n")
        assert sock.recv(1) == b"x"
        with contextlib.suppress(OSError):
            sock.sendall(b"4\n" * 10)
        assert read_all(sock) == ((answer + b"\n") * 3)[1:]


# Workers.


def sockets(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


@contextlib.contextmanager
def crew(count: int, *options: str, **more: object):  # type: ignore[no-untyped-def]
    """`count` workers; afterwards none is left."""
    everyone: set[int] = set()
    with echo("--workers", str(count), *options, **more) as program:
        program.said("listening on")
        eventually(lambda: len(children(program)) == count)
        everyone.update(children(program))
        yield program
        if program.process.poll() is None:
            everyone.update(children(program))
    eventually(lambda: not any(map(runs, everyone)))


def answered(sock: socket.socket) -> bool:
    sock.sendall(b"?")
    return sock.recv(1) == b"?"


def test_workers_share_the_clients() -> None:
    with crew(3) as program, contextlib.ExitStack() as stack:
        for _ in range(60):
            assert answered(stack.enter_context(connect(program.port)))
        busy = [sockets(process) for process in children(program)]
        assert max(busy) - min(busy) < 55  # no one has them all
        assert by_udp(program.port, b"x") == [b"x"]
        program.process.terminate()
        gone(program, 143, "terminated")


def test_a_worker_that_is_killed_is_replaced_and_its_queue_served() -> None:
    with crew(3) as program, contextlib.ExitStack() as stack:
        for _ in range(10):
            assert answered(stack.enter_context(connect(program.port)))
        victim = children(program)[0]
        os.kill(victim, signal.SIGSTOP)
        waiting = [stack.enter_context(connect(program.port)) for _ in range(60)]
        for sock in waiting:
            sock.sendall(b"?")
        served: set[socket.socket] = set()
        while ready := select.select(set(waiting) - served, [], [], 0.3)[0]:
            served.update(ready)
        assert 0 < len(served) < 60  # the others are in the queue of the one that stands still
        os.kill(victim, signal.SIGKILL)
        line = program.said(f"process {victim}")
        assert line.startswith("sockkit: worker ")
        assert "killed by SIGKILL" in line
        assert all(sock.recv(1) == b"?" for sock in waiting)
        assert len(children(program)) == 3
        assert victim not in children(program)
        assert answered(stack.enter_context(connect(program.port)))
        assert len(errors(program)) == 1
        program.process.terminate()
        assert program.status(END) == 143


def test_any_signal_to_a_worker_is_survived() -> None:
    with crew(2) as program:
        victim = children(program)[0]
        os.kill(victim, signal.SIGRTMIN + 1)
        program.said(f"process {victim}")
        eventually(lambda: len(children(program)) == 2)
        with connect(program.port) as sock:
            assert answered(sock)


def test_ctrl_c_ends_the_whole_group_quietly() -> None:
    with crew(3, start_new_session=True) as program:
        with connect(program.port) as sock:
            assert answered(sock)
        os.killpg(program.process.pid, signal.SIGINT)
        gone(program, 130, "interrupted")


def test_workers_end_by_themselves_when_their_parent_is_killed() -> None:
    with crew(3) as program:
        port = program.port
        with connect(port) as sock:
            assert answered(sock)
        workers = children(program)
        program.process.kill()
        eventually(lambda: not any(map(runs, workers)))
        with pytest.raises(ConnectionRefusedError):
            connect(port)


# A new process that is slow to begin: a signal may come before it is ready for one.
SLOW = """
import os, time
fork = os.fork
def slow():
    process = fork()
    if process == 0:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            time.sleep(0.01)
    return process
os.fork = slow
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_workers_begin(number: int) -> None:
    with echo("--workers", "2", command=patched(SLOW)) as program:
        eventually(lambda: len(children(program)) == 2)
        os.kill(program.process.pid, number)
        assert program.status(END) == 128 + number


FORK = """
import os, itertools
fork, count = os.fork, itertools.count(1)
def some():
    if next(count) == {number}:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = some
"""


def test_a_worker_that_cannot_begin_ends_the_command() -> None:
    with echo("--workers", "3", command=patched(FORK.format(number=3))) as program:
        gone(program, 1, "worker 3", "esource temporarily unavailable")


def test_a_replacement_that_cannot_begin_is_tried_again() -> None:
    soon = "import sockkit.net.workers as workers; workers.RESTART_PAUSE_SECONDS = 0.1\n"
    command = patched(soon + FORK.format(number=3))
    with echo("--workers", "2", command=command) as program:
        eventually(lambda: len(children(program)) == 2)
        os.kill(children(program)[0], signal.SIGKILL)
        program.said("was killed by SIGKILL")
        eventually(lambda: len(children(program)) == 2)


def test_workers_on_any_port_and_a_port_file(tmp_path: Path) -> None:
    path = tmp_path / "port"
    with crew(2, "--port-file", str(path)) as program:
        eventually(path.exists)
        assert path.read_text() == f"{program.port}\n"
        program.process.terminate()
        assert program.status(END) == 143
    assert not path.exists()


# Others as clients.

TALKERS = {
    "nc": ("nc.openbsd", ["-N", HERE]),
    "ncat": ("ncat", [HERE]),
    "socat": ("socat", ["-t5", "STDIO"]),
}


@pytest.mark.parametrize("name", TALKERS)
def test_others_talk_tcp(name: str) -> None:
    command, words = TALKERS[name]
    path = need(command)
    data = bytes(range(256)) * 4096
    with echo() as program:
        where = [f"TCP:{HERE}:{program.port}"] if name == "socat" else [str(program.port)]
        status, out, _ = run(data=data, command=[path, *words, *where])
        assert (status, out == data) == (0, True)
        assert errors(program) == []


@pytest.mark.parametrize("name", ["nc", "socat"])
def test_others_talk_udp(name: str) -> None:
    path = need(TALKERS[name][0])
    with echo("--reply", "PING=PONG") as program:
        port = program.port
        words = (
            ["-u", "-w1", HERE, str(port)] if name == "nc" else ["-t1", "-", f"UDP:{HERE}:{port}"]
        )
        with Program(command=[path, *words], stdin=PIPE) as client:
            client.type(b"PING\n")
            assert client.process.stdout
            assert client.process.stdout.readline() == b"PONG\n"


def test_sockkits_own_clients_talk() -> None:
    with echo("--reply", "PING=PONG") as program:
        assert run("tcp-client", HERE, str(program.port), data=b"PING\nx\n")[:2] == (
            0,
            b"PONG\nx\n",
        )
        said = run("udp-client", "--expect", "1", HERE, str(program.port), data=b"PING\n")
        assert said[:2] == (0, b"PONG\n")
