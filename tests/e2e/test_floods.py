"""What peers can make a server say: the first of a kind, and then how many more there were."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support import HERE, WAIT, Program, connect, errors, eventually, patched, reset

MANY = 300
MOST, MOST_VERBOSE = 20, 130  # lines on stderr

# No answer can be sent, as to a forged source that nothing leads to.
NO_WAY = """
import errno, socket
def fail(*_):
    raise OSError(errno.EHOSTUNREACH, "No route to host")
socket.socket.sendto = socket.socket.sendmsg = fail
"""


def counted(program: Program, kind: str) -> int:
    """How many events of a kind its lines stand for."""
    lines = program.stderr.splitlines()
    single = sum(kind in line and " more: " not in line for line in lines)
    more = [re.fullmatch(r"\* ([\d,]+) more: (.*)", line) for line in lines]
    counts = [int(found[1].replace(",", "")) for found in more if found and kind in found[2]]
    return single + sum(counts)


def taken(port: int) -> bool:
    """Whether the program has received every datagram that has come to `port`."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, _, _, queues = line.split()[:5]
        if int(local.rpartition(":")[2], 16) == port:
            return queues.endswith(":00000000")
    raise AssertionError(port)


def stop(program: Program, most: int = MOST) -> None:
    program.process.send_signal(signal.SIGTERM)
    program.status()
    assert len(program.stderr.splitlines()) <= most, program.stderr


@pytest.mark.parametrize("verbose", [[], ["-v"]], ids=["", "-v"])
def test_clients_that_reset_are_named_and_then_counted(verbose: list[str]) -> None:
    flood_of_resets(verbose, MANY)


def flood_of_resets(verbose: list[str], many: int) -> None:
    with Program("tcp-server", "-p", "0", *verbose) as program, connect(program.port) as witness:

        def served() -> bool:
            witness.sendall(b"hello\n")
            assert program.process.stdout
            return program.process.stdout.readline() == b"hello\n"

        assert served()
        before = program.descriptors()
        for _ in range(many):
            reset(connect(program.port))
        assert served()
        eventually(lambda: program.descriptors() == before)
        stop(program, MOST_VERBOSE if verbose else MOST)
        assert counted(program, "connection reset by peer") == many
        if verbose:
            assert counted(program, "connected") == many + 1


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


@pytest.mark.parametrize(
    "command",
    [["echo", "--udp"], ["udp-server", "--reply", "hi"], ["chat", "serve", "--udp"]],
    ids=" ".join,
)
def test_answers_that_cannot_be_sent(command: list[str]) -> None:
    with (
        Program(*command, "-p", "0", "-v", command=patched(NO_WAY)) as program,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.connect((HERE, program.port))
        for number in range(MANY):
            sock.send(b"server:%d" % number)  # no name for a member, so the room answers
        eventually(lambda: taken(program.port))
        stop(program)
        assert 1 <= len([line for line in errors(program) if "no route to host" in line]) < MOST
        assert counted(program, "no route to host") >= MANY


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
        assert f"127.0.0.2:{program.port} is not answered" in program.said("it seems to come")


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
