"""Urgent data (MSG_OOB, as a telnet client's Synch): all that is not urgent arrives, in order."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import (
    CLIENT,
    HERE,
    ONCE,
    SERVER,
    WAIT,
    Program,
    Terminal,
    connect,
    conversation,
    eventually,
    read_all,
    read_exactly,
)


def say(
    sock: socket.socket,
    arrived: Callable[[bytes], None],
    pause: Callable[[], object] = lambda: None,
) -> None:
    """Send text with urgent bytes in it. That nothing turns meanwhile: tests/net/test_kernel.py."""
    sock.sendall(b"one ")
    arrived(b"one ")
    sock.send(b"!", socket.MSG_OOB)
    sock.sendall(b"two ")
    arrived(b"one two ")
    pause()
    sock.sendall(b"three\n")
    arrived(b"one two three\n")


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        (CLIENT, "pipe"),
        (CLIENT, "terminal"),
        (ONCE, "file"),
        (SERVER, "pipe"),
        (SERVER, "terminal"),
    ],
)
def test_urgent_data_loses_nothing(kind: str, output: str, tmp_path: Path) -> None:
    urgent(kind, output, tmp_path)


def urgent(
    kind: str, output: str, tmp_path: Path, pause: Callable[[Program], object] = lambda _: None
) -> None:
    """All that is not urgent arrives; `pause` while nothing comes."""
    path = tmp_path / "out"
    seen = b""
    with open(path, "wb") as file, Terminal() as terminal:
        stdout = {"pipe": -1, "file": file, "terminal": terminal.child}[output]
        with conversation(kind, stdout=stdout) as (program, sock):

            def arrived(data: bytes) -> None:
                nonlocal seen
                if kind == SERVER and not data.endswith(b"\n"):
                    return  # a server of many waits for the end of the line
                if output == "file":
                    eventually(lambda: path.read_bytes() == data)
                elif output == "terminal":
                    terminal.shows(data.rstrip())
                else:
                    assert program.process.stdout
                    while len(seen) < len(data):
                        seen += program.process.stdout.read1(4096)  # type: ignore[attr-defined]
                    assert seen == data

            say(sock, arrived, lambda: pause(program))
            sock.shutdown(socket.SHUT_WR)
            if kind == SERVER:
                program.process.terminate()
            assert program.status() == (143 if kind == SERVER else 0)


def test_an_echo_goes_on_after_urgent_data() -> None:
    """Also where the kernel has taken over the echo of much data."""
    with Program("echo", "-p", "0") as program, connect(program.port) as sock:
        much = bytes(1024 * 1024)
        for _ in range(8):
            sock.sendall(much)
            assert read_exactly(sock, len(much)) == much
        echoed = b""

        def arrived(data: bytes) -> None:
            nonlocal echoed
            echoed += read_exactly(sock, len(data) - len(echoed))
            assert echoed == data

        say(sock, arrived)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def test_urgent_data_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with Program(ONCE.split()[0], "--once", "--bind", f"unix:{path}") as program:
        program.said("listening on")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(WAIT)
            sock.connect(path)
            sock.sendall(b"one ")
            sock.send(b"!", socket.MSG_OOB)
            sock.sendall(b"two")
        assert program.output() == b"one two"
        assert program.status() == 0


def test_urgent_data_and_the_chat() -> None:
    with (
        Program("chat", "serve", "-p", "0") as room,
        Program("chat", "join", HERE, str(room.port), "--name", "b", stdin=-1) as member,
        connect(room.port) as sock,
    ):
        with sock.makefile("rb") as file:
            assert any(b"* b joined" in line for line in file)
        sock.sendall(b"/nick a\nhel")
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(b"lo\n")
        assert member.process.stdout
        assert any(line == b"[a] hello\n" for line in member.process.stdout)
        member.end_input()
