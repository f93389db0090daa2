"""udp-server with a program for each peer, as a user runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.refusal import refusal
from tests.support import HERE, WAIT, Program, eventually


@contextlib.contextmanager
def serving(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Program]:
    """A server that is told to end, and so ends its programs."""
    with Program("udp-server", "-p", "0", *arguments, env=env) as program:
        try:
            yield program
        finally:
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(WAIT) == -signal.SIGTERM


def client(program: Program) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT)
    sock.connect((HERE, program.port))
    return sock


def is_gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_time_service() -> None:
    with serving("--exec", "date -u +%Y") as server, client(server) as sock:
        sock.send(b"?")
        assert sock.recv(100).strip().isdigit()


def test_a_peer_of_socat() -> None:
    with serving("--exec", "cat") as server:
        got = subprocess.run(
            ["socat", "-t", "1", "-", f"UDP:{HERE}:{server.port}"],
            input=b"hello",
            capture_output=True,
            timeout=WAIT,
            check=True,
        )
        assert got.stdout == b"hello"


def test_gbk_is_converted_by_datagram() -> None:
    with serving("-E", "gbk", "--shell", "cat") as server, client(server) as sock:
        sock.send("你好".encode("gbk"))
        assert sock.recv(100) == "你好".encode("gbk")
        sock.send(b"\xff")  # no text: shown to the program as a backslash escape
        assert sock.recv(100) == b"\\xff"


def test_a_program_outlives_nothing() -> None:
    shell = "trap '' TERM; sleep 60 & echo $$ $!; wait; wait"
    with serving("--shell", shell) as server, client(server) as sock:
        sock.send(b"?")
        numbers = [int(word) for word in sock.recv(100).split()]
    eventually(lambda: all(map(is_gone, numbers)))


def test_many_peers_leave_no_descriptor_and_no_zombie() -> None:
    with (
        serving("--exec", "cat", "--max-connections", "200") as server,
        contextlib.ExitStack() as stack,  # a port that is free again could be that of the next one
    ):
        assert server.port
        before = server.descriptors()
        for _ in range(100):
            sock = stack.enter_context(client(server))
            sock.send(b"x")
            assert sock.recv(10) == b"x"
            sock.send(b"")  # the end of its input
        eventually(lambda: server.descriptors() == before)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        eventually(lambda: not children.read_text())


def test_on_a_public_address_it_warns_unless_somebody_is_allowed() -> None:
    for rules, warned in (([], True), (["--allow", "127.0.0.1"], False)):
        public = serving("--bind", "0.0.0.0", "--exec", "cat", *rules)
        with public as server, client(server) as sock:
            sock.send(b"x")
            assert sock.recv(10) == b"x"
        assert ("anyone who can reach this port can run the program" in server.stderr) == warned


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--exec", "cat", "--reply", "x"], "--reply cannot be used with --exec or --shell"),
        (
            ["--exec", "cat", "--answer", "all"],
            "--answer cannot be used with --exec or --shell",
        ),
        (["--exec", "cat", "--lines"], "--lines cannot be used with --exec or --shell"),
        (["--exec", "cat", "--shell", "cat"], "--exec cannot be used with --shell"),
        (["--exec", "no-such-program"], "could not find or run the program 'no-such-program'"),
        (["--exec", "'"], "cannot be split"),
        (["--max-connections", "5"], "--max-connections needs --exec or --shell"),
    ],
)
def test_what_makes_no_sense_is_told(more: list[str], told: str) -> None:
    status, out, err = refusal("udp-server", "-p", "0", *more)
    assert (status, out) == (2, b"")
    assert told in err


def test_it_sees_none_of_our_passwords_nor_descriptors() -> None:
    shell = "echo $SOCKKIT_PASSWORD.$SOCKKIT_PROXY_PASSWORD; ls /proc/self/fd | wc -l"
    environment = {**os.environ, "SOCKKIT_PASSWORD": "a", "SOCKKIT_PROXY_PASSWORD": "b"}
    with serving("--shell", shell, env=environment) as server, client(server) as sock:
        sock.send(b"?")
        assert sock.recv(100) == b".\n"
        assert int(sock.recv(100)) == 4  # the three, and the folder itself
