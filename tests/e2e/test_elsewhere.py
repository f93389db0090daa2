"""On a system without Linux's own calls: what can be copied is copied, and the rest says so.

The calls are hidden in the program, so that it is a Linux without them and no other system.
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import (
    HERE,
    WAIT,
    Program,
    Terminal,
    connect,
    errors,
    gone,
    patched,
    read_all,
    run,
)

# Hides them before anything of sockkit is imported.
HIDE = """
import os, select, signal, socket, sys
for name in ("fcntl", "termios", "tty", "pty", "resource"):
    sys.modules[name] = None
for place, names in (
    (os, "pipe2 splice sendfile pidfd_open"),
    (select, "epoll"),
    (socket, "SO_REUSEPORT MSG_ERRQUEUE"),
    (signal, "pidfd_send_signal"),
):
    for name in names.split():
        if hasattr(place, name):
            delattr(place, name)
def hide(event, arguments):
    if event in ("open", "os.listdir") and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])
sys.addaudithook(hide)
"""
WITHOUT = patched(HIDE)
IMPORT_ALL = """
import pkgutil, importlib, sockkit
names = [module.name for module in pkgutil.walk_packages(sockkit.__path__, "sockkit.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""
DATA = random.Random(8).randbytes(3_000_001)  # more than any buffer on the way


def test_every_module_can_be_imported() -> None:
    command = [sys.executable, "-P", "-c", HIDE + IMPORT_ALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 90


@pytest.fixture
def server() -> Iterator[Program]:
    """A tcp-server of one that is given DATA backwards."""
    pipe = subprocess.PIPE
    once = ("tcp-server", "--once", "-v", "-p", "0")
    with Program(*once, command=WITHOUT, stdin=pipe, stdout=pipe) as program:

        def feed() -> None:
            program.type(DATA[::-1])
            program.end_input()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        yield program
        feeder.join(WAIT)


def received(server: Program, client: Callable[[], None]) -> bytes:
    """What the server has put out once the client has run beside it, which must be all right."""
    thread = threading.Thread(target=client)
    thread.start()
    out = server.output()
    thread.join(WAIT)
    assert server.status() == 0, server.stderr
    assert "by copy" in server.said("sent 3,000,001 bytes")
    return out


def test_bytes_get_through_pipes_both_ways(server: Program) -> None:
    done: list[tuple[int, bytes, str]] = []
    talk = ("tcp-client", "-v", HERE, str(server.port))
    out = received(server, lambda: done.append(run(*talk, data=DATA, command=WITHOUT)))
    status, back, stderr = done[0]
    assert (status, back == DATA[::-1], out == DATA) == (0, True, True), stderr
    assert re.search("sent 3,000,001 bytes by copy", stderr)


def test_bytes_get_from_a_file_and_to_one(server: Program, tmp_path: Path) -> None:
    given, taken = tmp_path / "given", tmp_path / "taken"
    given.write_bytes(DATA)
    talk = ("tcp-client", "-v", HERE, str(server.port))
    with (
        given.open("rb") as source,
        taken.open("wb") as target,
        Program(*talk, command=WITHOUT, stdin=source, stdout=target) as client,
    ):
        assert received(server, lambda: gone(client, 0)) == DATA
        assert "by copy" in client.said("sent 3,000,001 bytes")
    assert taken.read_bytes() == DATA[::-1]


def test_a_server_of_many_serves_them_and_dies_of_its_signal() -> None:
    with (
        Program("tcp-server", "-p", "0", command=WITHOUT, stdin=subprocess.PIPE) as server,
        connect(server.port) as one,
        connect(server.port) as other,
    ):
        one.sendall(b"one\n")
        other.sendall(b"two\n")
        assert server.process.stdout
        assert {server.process.stdout.readline() for _ in range(2)} == {b"one\n", b"two\n"}
        server.type(b"to all\n")
        assert [sock.recv(7, socket.MSG_WAITALL) for sock in (one, other)] == [b"to all\n"] * 2
        server.process.terminate()
        assert server.status() == 143
        assert read_all(one) == read_all(other) == b""


def test_datagrams_go_to_a_server_and_its_answers_come_back() -> None:
    with Program("udp-server", "-p", "0", "--reply", "well", command=WITHOUT) as server:
        status, out, stderr = run(
            *("udp-client", HERE, str(server.port), "--lines", "--expect", "1"),
            data=b"how are you\n",
            command=WITHOUT,
        )
        assert (status, out) == (0, b"well\n"), stderr
        server.process.terminate()
        assert server.output() == b"how are you"


def test_echo_answers_on_tcp_and_udp() -> None:
    with Program("echo", "-p", "0", command=WITHOUT) as server:
        status, out, stderr = run("tcp-client", HERE, str(server.port), data=DATA)
        assert (status, out == DATA) == (0, True), stderr
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.sendto(b"hello", (HERE, server.port))
            assert sock.recv(100) == b"hello"


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["echo", "-p", "0", "--workers", "2"], 2, "SO_REUSEPORT"),
        (["tcp-server", "-p", "0", "--reuse-port"], 2, "SO_REUSEPORT"),
        (["tcp-client", HERE, "{nobody}"], 7, "connection refused"),
    ],
)
def test_what_does_not_go_says_so_in_a_line(arguments: list[str], status: int, word: str) -> None:
    with socket.socket() as nobody:
        nobody.bind((HERE, 0))
        port = str(nobody.getsockname()[1])
        arguments = [port if word == "{nobody}" else word for word in arguments]
        with Program(*arguments, command=WITHOUT) as program:
            gone(program, status, word)


@pytest.mark.parametrize(
    ("hide", "editor"), [(HIDE, False), ("import os; del os.pipe2, os.splice, os.sendfile", True)]
)
def test_a_terminal_has_a_line_editor_where_there_is_termios(
    hide: str, editor: bool, tmp_path: Path
) -> None:
    with Terminal() as terminal, socket.create_server((HERE, 0)) as listener:
        talk = ("tcp-client", HERE, str(listener.getsockname()[1]))
        end, home = terminal.child, {"XDG_STATE_HOME": str(tmp_path)}
        with Program(*talk, command=patched(hide), stdin=end, stdout=end, env=home) as program:
            sock, _ = listener.accept()
            with sock:
                if editor:
                    terminal.shows(b"\x1b[?2004h")  # bracketed paste, which only an editor asks for
                terminal.type(b"typed\r")
                assert sock.recv(6, socket.MSG_WAITALL) == b"typed\n"
                sock.sendall(b"shown\n")
                terminal.shows(b"shown")
            assert program.status() == 0
            assert errors(program) == []


def test_a_reader_that_leaves_ends_it_with_141() -> None:
    with socket.create_server((HERE, 0)) as listener:
        out, into = os.pipe()
        port = str(listener.getsockname()[1])
        with Program("tcp-client", HERE, port, command=WITHOUT, stdout=into) as program:
            os.close(into)
            sock, _ = listener.accept()
            with sock:
                os.close(out)
                sock.sendall(b"for nobody")
                gone(program, 141)
