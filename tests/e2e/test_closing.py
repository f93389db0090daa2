"""Whichever way we let a peer go that still sends: it gets what we sent before, and an end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screen import ENTER, Screen
from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    patched,
    read_all,
    sleeps,
)

# For how long a peer may send on that has all of ours, and for how long one that takes nothing.
SOON = "import sockkit.net.closing as delivery; delivery.MAX_CHATTER_SECONDS = 0.5"
STALLED = "import sockkit.net.closing as delivery; delivery.MAX_STALL_SECONDS = 1.0"
SAID = 100_000  # bytes, more than a peer with a small buffer takes at once


@contextlib.contextmanager
def chatterer(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    """A client that says `first` and sends on and on, and has not begun to read."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(WAIT)
        sock.connect((HERE, port))
        sock.sendall(first)
        stop = threading.Event()

        def chatter() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.005):
                    sock.sendall(b"chatter\n")

        thread = threading.Thread(target=chatter, daemon=True)
        thread.start()
        try:
            yield sock
        finally:
            stop.set()
            thread.join(WAIT)


def read_late(sock: socket.socket) -> bytes:
    """What it reads that begins after it has been let go, to an end that is no reset."""
    time.sleep(0.2)  # the part that this peer plays: it is late
    return read_all(sock)


@pytest.mark.parametrize("way", ["/kick 1", "/quit"])
def test_the_operator_lets_it_go(way: str, tmp_path: Path) -> None:
    with (
        Screen(
            tmp_path, "tcp-server", "-p", "0", "--greet", "x" * SAID, command=patched(SOON)
        ) as screen,
        chatterer(screen.port) as sock,
    ):
        screen.shows("] chatter")
        screen.type(f"{way}{ENTER}")
        assert read_late(sock) == b"x" * SAID
        screen.until(lambda lines: any(f"closed (sent {SAID:,} bytes" in line for line in lines))
        if way != "/quit":
            screen.type(f"/quit{ENTER}")
        assert screen.process.wait(WAIT) == 0


MOTD = "\n".join(["x" * 98] * (SAID // 100))
GREETING = "".join(f"[server] {line}\n" for line in MOTD.split("\n")).encode()


SERVE = ("chat", "serve", "-p", "0")


@pytest.mark.parametrize("way", ["q", "/kick guest-1", "server /quit"])
def test_a_member_of_a_room_leaves(way: str) -> None:
    operated = way.startswith(("/kick", "server"))
    with (
        Program(*SERVE, "--motd", MOTD, stdin=subprocess.PIPE, command=patched(SOON)) as program,
        chatterer(program.port, b"" if operated else f"{way}\n".encode()) as sock,
    ):
        if operated:
            assert program.process.stdout
            while b"[guest-1] chatter" not in program.process.stdout.readline():
                pass
            program.type(way.removeprefix("server ").encode() + b"\n")
        heard = read_late(sock)
        assert GREETING in heard
        if way.startswith("server"):
            assert program.status() == 0
        else:
            last = b"the operator has disconnected you" if operated else b"goodbye"
            assert last in heard.splitlines()[-1]
        assert errors(program) == []


@pytest.mark.parametrize(
    ("options", "last"),
    [
        (["--password", "x"], b"* wrong password, goodbye\n"),
        (["--max-connections", "1"], b"* the room is full\n"),
    ],
    ids=["wrong password", "full"],
)
def test_who_is_refused_hears_why(options: list[str], last: bytes) -> None:
    with (
        Program(*SERVE, *options, command=patched(SOON)) as program,
        connect(program.port) as one,
    ):
        one.recv(100)
        with chatterer(program.port, b"a\nb\nc\n" * 1000) as sock:
            assert read_late(sock).endswith(last)


@pytest.mark.parametrize("options", [["--close-after", "1"], ["--close-after", "1", "--upper"]])
def test_an_answer_that_is_the_last(options: list[str]) -> None:
    line = b"X" * SAID + b"\n"
    with (
        Program("echo", "-p", "0", "--tcp", *options, command=patched(SOON)) as program,
        connect(program.port) as sock,
    ):
        sock.sendall(line + b"more\n" * 200_000)
        got = read_late(sock)
        assert got  # to what had come of the line
        assert line.startswith(got)


def test_a_peer_that_takes_nothing_delays_the_end_for_so_long_and_is_told_of(
    tmp_path: Path,
) -> None:
    two_that_take_nothing(tmp_path, WAIT)


def two_that_take_nothing(tmp_path: Path, wait: float) -> None:
    with (
        Screen(
            tmp_path, "tcp-server", "-p", "0", "--greet", "x" * SAID, command=patched(STALLED)
        ) as screen,
        chatterer(screen.port),
        chatterer(screen.port),
    ):
        screen.shows("] chatter")
        screen.type(f"/quit{ENTER}")
        assert screen.process.wait(wait) == 55
        screen.shows("bytes not sent")
        screen.shows("part of the input did not reach 2 of the clients")


COMMANDS = ["tcp-server", "chat serve"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_waits_for_nobody(command: str) -> None:
    signal_amid_output(command, END)


def signal_amid_output(command: str, wait: float) -> None:
    """It ends within `wait`, although a client has not got all."""
    with (
        Program(*command.split(), "-p", "0", stdin=subprocess.PIPE) as program,
        chatterer(program.port),
    ):
        assert program.process.stdout
        program.process.stdout.readline()
        program.type(b"x" * SAID + b"\n")
        eventually(lambda: sleeps(program))
        program.process.send_signal(signal.SIGTERM)
        assert program.status(wait) == 143
