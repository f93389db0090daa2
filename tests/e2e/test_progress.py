"""--progress: what is seen of it on a terminal, and in a pipe."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screen import Screen
from tests.support import HERE, SOCKKIT, WAIT, Program, connect, need, noise, read_all

SIZE = 8_000_000
BAR = re.compile(
    r" *\d+% \[=*> *\] [\d.]+ [kM]B of 8\.00 MB, ([\d.]+ [kM]B/s|stalled)(, \d+:\d\d left)?"
)


@contextlib.contextmanager
def listener() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server((HERE, 0)) as sock:
        sock.settimeout(WAIT)
        yield sock, str(sock.getsockname()[1])


def redirected(words: str) -> tuple[str, ...]:
    return (need("sh"), "-c", f"exec {SOCKKIT} {words}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(noise(SIZE))
    return path


def test_a_file_has_a_bar_that_gives_way_to_what_arrives(tmp_path: Path, file: Path) -> None:
    with listener() as (server, port):
        command = redirected(f"tcp-client --progress --send-buffer 64k {HERE} {port} < {file}")
        with Screen(tmp_path, command=command) as screen:
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"ready\nlogin: ")
                sock.recv(1000)
                screen.until(lambda lines: bool(BAR.fullmatch(lines[-1])))
                assert screen.lines()[:-1] == ["ready", "login:"]
                sock.sendall(b"hello\n")
                screen.until(lambda lines: "hello" in lines and bool(BAR.fullmatch(lines[-1])))
                assert len(read_all(sock)) == SIZE - 1000
                sock.sendall(b"thanks\n")
            assert screen.status() == 0
            last = screen.until(lambda lines: "in " in lines[-1])
    assert last[:-1] == ["ready", "login:", "hello", "thanks"]
    assert re.fullmatch(
        r"\* sent 8\.00 MB( at [\d.]+ [kM]B/s)?, received 26 bytes, in [\d.]+ s", last[-1]
    )


def test_a_terminal_that_takes_nothing_holds_nobody_up(file: Path) -> None:
    """Standard error is one that nobody reads."""
    person, terminal = os.openpty()
    try:
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(terminal, False)
            while True:
                os.write(terminal, b"x" * 1000)
        os.set_blocking(terminal, True)
        with listener() as (server, port), file.open("rb") as source:
            process = subprocess.Popen(
                [SOCKKIT, "tcp-client", "--progress", HERE, port],
                stdin=source,
                stdout=subprocess.DEVNULL,
                stderr=terminal,
            )
            sock, _ = server.accept()
            with sock:
                threading.Event().wait(0.5)  # looks pass
                assert len(read_all(sock)) == SIZE
            assert process.wait(WAIT) == 0
    finally:
        os.close(terminal)
        os.close(person)


@pytest.mark.parametrize("lane", ["file", "pipe", "text"])
def test_what_is_told_in_a_pipe(lane: str, file: Path) -> None:
    with listener() as (server, port), file.open("rb") as source:
        options = ["-E", "latin-1", "-v"] if lane == "text" else ["-v"]
        stdin = subprocess.PIPE if lane == "pipe" else source
        with Program("tcp-client", "--progress", *options, HERE, port, stdin=stdin) as program:
            sock, _ = server.accept()
            with sock:
                if lane == "pipe":
                    threading.Thread(
                        target=lambda: (program.type(file.read_bytes()), program.end_input())
                    ).start()
                got = read_all(sock)
            assert program.status() == (65 if lane == "text" else 0)
            assert (lane == "text") or len(got) == SIZE
            by = {"file": "sendfile", "pipe": "splice", "text": "copy"}[lane]
            total = program.said(f"sent {len(got):,} bytes by {by} in ")
            assert lane == "text" or re.search(r"\d [kMG]B/s$", total)
            assert "\r" not in program.stderr
            assert "\x1b" not in program.stderr
            last = program.stderr.splitlines()
            assert [line for line in last if re.search(r"received 0 bytes, in [\d.]+ s$", line)]


def test_a_server_counts_all_its_clients() -> None:
    with Program("tcp-server", "--progress", "-p", "0") as program:
        for text in (b"one", b"three"):
            with connect(program.port) as sock:
                sock.sendall(text)
        assert program.process.stdout
        assert program.process.stdout.read(8) == b"onethree"
        program.process.terminate()
        assert program.status() == 143
        program.said("* sent 0 bytes, received 8 bytes, in ")


def test_udp_counts_the_bytes_of_datagrams() -> None:
    with Program("udp-server", "--progress", "-v", "-p", "0") as server:
        client = ["udp-client", "--progress", "-v", "--lines", "--linger", "0"]
        with Program(*client, HERE, str(server.port), stdin=subprocess.PIPE) as program:
            program.type(b"one\nthree\n")
            program.end_input()
            assert program.status() == 0
            program.said("* sent 8 bytes in 2 datagrams")
            program.said("* sent 8 bytes, received 0 bytes, in ")
        assert server.process.stdout
        assert server.process.stdout.read(8) == b"onethree"
        server.process.terminate()
        server.status()
        server.said("* sent 0 bytes, received 8 bytes, in ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-q"], "--progress cannot be used with -q"),
        (["--exec", "cat"], "--progress cannot be used with --exec or --shell"),
    ],
)
def test_where_it_has_no_place(options: list[str], words: str) -> None:
    with Program("tcp-client", "--progress", *options, HERE, "9") as program:
        assert program.status() == 2
        program.said(words)


def test_it_has_no_place_beside_the_line_editor(tmp_path: Path) -> None:
    with Screen(tmp_path, "tcp-server", "--progress", "-p", "0") as screen:
        assert screen.status() == 2
        screen.shows("--progress cannot be used with line editing")


def test_in_the_background_nothing_is_drawn(tmp_path: Path, file: Path) -> None:
    with listener() as (server, port):
        client = f"{SOCKKIT} tcp-client --progress {HERE} {port} < {file}"
        with Screen(tmp_path, command=(need("bash"), "--norc", "--noprofile", "-i")) as screen:
            screen.type(f"PS1='$ '; {client} &\r")
            sock, _ = server.accept()
            with sock:
                sock.recv(1000)
                threading.Event().wait(0.5)  # looks pass
                screen.type("echo here''1\r")
                screen.until(lambda lines: "here1" in lines)
                assert "%" not in screen.text
                screen.type("fg\r")
                screen.until(lambda lines: bool(BAR.fullmatch(lines[-1])))
                screen.type("\x03")
                screen.shows("sockkit: interrupted")
            screen.type("exit\r")
            screen.status()
