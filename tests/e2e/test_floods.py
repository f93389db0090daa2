"""What peers can make a server say: the first of a kind, and then how many more there were."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import HERE, WAIT, Program, connect, errors, eventually, patched, reset

DEVNULL = subprocess.DEVNULL
MANY = 300
MOST, MOST_VERBOSE = 20, 130  # lines on stderr
BACK, KEPT = 5, 4 * 2**20  # seconds until no more than so many bytes are kept of a flood

# No answer can be sent to 127.0.0.1, as to a forged source that nothing leads to.
NO_WAY = """
import errno, socket
sendto = socket.socket.sendto
def fail(sock, *values):
    if values[-1][0] == "127.0.0.1":
        raise OSError(errno.EHOSTUNREACH, "No route to host")
    return sendto(sock, *values)
socket.socket.sendto = fail
"""
ELSEWHERE = "127.0.0.2"


def counted(program: Program, kind: str) -> int:
    """How many events of a kind its lines stand for."""
    lines = program.stderr.splitlines()
    single = sum(kind in line and " more: " not in line for line in lines)
    more = [re.fullmatch(r"\* ([\d,]+) more: (.*)", line) for line in lines]
    counts = [int(found[1].replace(",", "")) for found in more if found and kind in found[2]]
    return single + sum(counts)


def longest(many: int, flood: Callable[[int], object], ask: Callable[[], object]) -> float:
    """`flood` with each number up to `many`, and `ask` after every hundred of them; the most
    seconds that an answer took.
    """
    most = 0.0
    for number in range(many):
        flood(number)
        if number % 100 == 99:
            began = time.monotonic()
            ask()
            most = max(most, time.monotonic() - began)
    return most


def stop(program: Program, most: int = MOST) -> None:
    program.process.send_signal(signal.SIGTERM)
    program.status()
    assert len(program.stderr.splitlines()) <= most, program.stderr


@pytest.mark.parametrize("verbose", [[], ["-v"]], ids=["", "-v"])
def test_clients_that_reset_are_named_and_then_counted(verbose: list[str]) -> None:
    flood_of_resets(verbose, MANY)


def flood_of_resets(verbose: list[str], many: int) -> float:
    """The most seconds for which another client waited. The memory is back soon after."""
    with Program("tcp-server", "-p", "0", *verbose) as program, connect(program.port) as witness:

        def ask() -> None:
            witness.sendall(b"hello\n")
            assert program.process.stdout
            assert program.process.stdout.readline() == b"hello\n"

        ask()
        before, memory = program.descriptors(), program.resident()
        most = longest(many, lambda _: reset(connect(program.port)), ask)
        eventually(lambda: program.descriptors() == before, BACK)
        eventually(lambda: program.resident() < memory + KEPT, BACK)
        stop(program, MOST_VERBOSE if verbose else MOST)
        assert counted(program, "connection reset by peer") == many
        if verbose:
            assert counted(program, "connected") == many + 1
    return most


def test_a_reset_that_loses_nothing_of_ours_is_no_error(tmp_path: Path) -> None:
    """`-q` is for errors; a client may leave as it likes, unless it had not got all of ours."""
    path = tmp_path / "port"
    arguments = ["tcp-server", "-q", "-p", "0", "--port-file", str(path)]
    with Program(*arguments, stdin=subprocess.PIPE) as program:
        eventually(path.exists)
        port = int(path.read_text())
        assert program.process.stdout
        with connect(port) as witness:
            witness.sendall(b"x\n")
            assert program.process.stdout.readline() == b"x\n"
            before = program.descriptors()
            for _ in range(3):
                sock = connect(port)
                sock.sendall(b"x\n")
                assert program.process.stdout.readline() == b"x\n"
                reset(sock)
            eventually(lambda: program.descriptors() == before)
            assert program.stderr == ""
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(WAIT)
            sock.connect((HERE, port))
            sock.sendall(b"x\n")
            assert program.process.stdout.readline() == b"x\n"
            program.type(b"x" * 100_000)
            assert sock.recv(1)
            reset(sock)
            assert "failed: " in program.said("sockkit: ")
        stop(program)


by_udp = pytest.mark.parametrize(
    "command",
    [
        ["echo", "--udp"],
        ["udp-server", "--reply", "hi"],
        ["chat", "serve", "--udp", "--flood", "0"],
    ],
    ids=" ".join,
)


@by_udp
def test_answers_that_cannot_be_sent(command: list[str]) -> None:
    no_answers(command, MANY)


def no_answers(command: list[str], many: int) -> float:
    """The most seconds for which another peer waited. The memory is back soon after."""
    with (
        Program(*command, "-p", "0", "-v", stdout=DEVNULL, command=patched(NO_WAY)) as program,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as witness,
    ):
        sock.connect((HERE, program.port))
        witness.settimeout(WAIT)
        witness.bind((ELSEWHERE, 0))
        witness.connect((HERE, program.port))

        def ask() -> None:
            witness.send(b"/who")
            assert witness.recv(9999)

        ask()
        memory = program.resident()
        # No name for a member, so a room answers, but not more than a thousand strangers a second.
        most = longest(many, lambda number: sock.send(b"server:%d" % number), ask)
        eventually(lambda: program.resident() < memory + KEPT, BACK)
        stop(program)
        assert 1 <= len([line for line in errors(program) if "no route to host" in line]) < MOST
        assert MANY <= counted(program, "no route to host") <= many
    return most


ANSWERING = pytest.mark.parametrize(
    ("command", "message", "answer"),
    [
        (["echo", "--udp"], b"hello", b"hello"),
        (["echo", "--udp", "--upper", "--workers", "2"], b"hello", b"HELLO"),
        (["udp-server", "--reply", "hi"], b"hello", b"hi"),
        (["chat", "serve", "--udp"], b"server:x", b"* "),
    ],
    ids=["echo", "workers", "udp-server", "chat"],
)


def is_answered(sock: socket.socket, port: int, message: bytes, answer: bytes) -> bool:
    """Whether a datagram of `sock` is, as another's surely is, that is sent after it."""
    for _ in range(50):
        sock.sendto(message, (HERE, port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as witness:
        witness.settimeout(WAIT)
        witness.sendto(message, (HERE, port))
        assert witness.recv(9999).startswith(answer)
    sock.setblocking(False)
    try:
        return bool(sock.recv(9999))
    except BlockingIOError:
        return False


@ANSWERING
def test_what_comes_from_ourselves_is_not_answered(
    command: list[str], message: bytes, answer: bytes
) -> None:
    arguments = ["-v", "-p", "0", "--bind", "0.0.0.0", "--reuse-port"]
    with (
        Program(*command, *arguments) as program,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.2", program.port))
        assert not is_answered(sock, program.port, message, answer)
        assert f"127.0.0.2:{program.port} not answered" in program.said("it seems to come")


@ANSWERING
def test_a_service_that_answers_everything_is_not_answered(
    command: list[str], message: bytes, answer: bytes
) -> None:
    with (
        Program(*command, "-v", "-p", "0") as program,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        try:
            sock.bind((HERE, 19))
        except OSError as error:  # a port below 1024 needs root, and may be taken
            pytest.skip(f"port 19: {error}")
        assert not is_answered(sock, program.port, message, answer)
        program.said("which answers everything")
        if command[0] == "udp-server":
            assert program.process.stdout
            assert program.process.stdout.read(5) == b"hello"
