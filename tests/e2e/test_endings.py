"""A session's end, exactly: every row of the table, for tcp-client and tcp-server --once."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support import (
    CLIENT,
    END,
    ONCE,
    SERVER,
    SOCKKIT,
    WAIT,
    Program,
    both,
    connect,
    conversation,
    errors,
    eventually,
    gone,
    patched,
    read_all,
    read_exactly,
    reset,
    sleeps,
)

PIPE = subprocess.PIPE
DATA = bytes(range(256)) * 4096  # 1 MiB
ENDED = "peer closed ("


@contextlib.contextmanager
def source(kind: str, path: Path) -> Iterator[IO[bytes]]:
    """What is in `path`, as the standard input of `kind`."""
    if kind == "pipe":
        with subprocess.Popen(["cat", path], stdout=PIPE) as cat:
            assert cat.stdout
            yield cat.stdout
    else:
        with open(path, "rb") as file:
            yield file


@both
@pytest.mark.parametrize(
    ("given_by", "size"), [("pipe", len(DATA)), ("file", len(DATA)), ("file", 0)]
)
def test_input_ends_and_the_answer_comes(
    kind: str, given_by: str, size: int, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(DATA[:size])
    with (
        source(given_by, tmp_path / "in") as stdin,
        conversation(kind, stdin=stdin) as (program, sock),
    ):
        assert read_all(sock) == DATA[:size]  # half-close: this ends, the connection does not
        sock.sendall(b"answer")
        sock.close()
        assert program.output() == b"answer"
        gone(program, 0)


@both
@pytest.mark.parametrize("linger", ["0", "300ms"])
def test_linger_ends_the_peers_silence(kind: str, linger: str) -> None:
    with conversation(kind, "--linger", linger) as (program, sock):
        assert read_all(sock) == b""
        gone(program, 0)


@both
def test_sending_goes_on_when_the_peer_has_ended(kind: str) -> None:
    with conversation(kind, "-v", stdin=PIPE) as (program, sock):
        sock.sendall(b"first")
        sock.shutdown(1)
        program.said(ENDED)
        program.type(b"second")
        assert read_exactly(sock, 6) == b"second"
        program.type(b"third")
        program.end_input()
        assert read_all(sock) == b"third"
        assert program.output() == b"first"
        gone(program, 0)


SOON = "import sockkit.core.ending as ending; ending.PEER_ENDED_LINGER = 0.3"


@pytest.mark.parametrize(
    ("kind", "options", "command"),
    [(CLIENT, ["--linger", "300ms"], (SOCKKIT,)), (ONCE, [], patched(SOON))],
)
def test_a_silent_input_ends_when_the_peer_has(
    kind: str, options: list[str], command: tuple[str, ...]
) -> None:
    with conversation(kind, *options, stdin=PIPE, command=command) as (program, sock):
        sock.sendall(b"bye")
        sock.shutdown(1)
        gone(program, 0)
        notices = [
            line
            for line in program.stderr.splitlines()
            if "peer closed and stdin is silent" in line
        ]
        assert len(notices) == 1
        assert program.output() == b"bye"


@both
@pytest.mark.parametrize("until", ["peer", "either"])
def test_until_the_peer_ends(kind: str, until: str) -> None:
    with conversation(kind, "--until", until, stdin=PIPE) as (program, sock):
        program.type(b"kept")
        assert read_exactly(sock, 4) == b"kept"
        sock.sendall(b"bye")
        sock.shutdown(1)
        gone(program, 0)
        assert program.output() == b"bye"


@both
@pytest.mark.parametrize("until", ["stdin", "either"])
def test_until_stdin_ends(kind: str, until: str) -> None:
    with conversation(kind, "--until", until, stdin=PIPE) as (program, sock):
        sock.sendall(b"kept")
        assert program.process.stdout
        assert program.process.stdout.read(4) == b"kept"
        program.type(DATA[:4096])
        program.end_input()
        gone(program, 0)
        assert read_all(sock) == DATA[:4096]


@both
def test_input_that_is_not_given_is_told(kind: str) -> None:
    with (
        open("/dev/zero", "rb") as zero,
        conversation(kind, "-C", "--until", "peer", stdin=zero) as (program, sock),
    ):
        eventually(lambda: sleeps(program))
        sock.shutdown(1)
        gone(program, 55, "did not reach the peer")


@both
def test_a_peer_that_leaves_amid_our_input(kind: str) -> None:
    with open("/dev/zero", "rb") as zero, conversation(kind, stdin=zero) as (program, sock):
        read_exactly(sock, 1)
        sock.close()  # with bytes unread: the kernel resets
        assert program.status(END) in (55, 56)
        (line,) = errors(program)
        assert "sent " in line


@both
def test_a_reset_tells_how_far_it_got(kind: str) -> None:
    with conversation(kind, stdin=PIPE) as (program, sock):
        program.type(b"abc")
        assert read_exactly(sock, 3) == b"abc"
        sock.sendall(b"hello")
        assert program.process.stdout
        assert program.process.stdout.read(5) == b"hello"
        reset(sock)
        assert program.status(END) in (55, 56)
        (line,) = errors(program)
        assert "sent 3 bytes" in line
        assert "received 5 bytes" in line


@both
@pytest.mark.parametrize("data", [b"", b"x" * 300_000], ids=["idle", "receiving"])
def test_stdout_gone_is_quiet(kind: str, data: bytes) -> None:
    with conversation(kind, stdin=PIPE) as (program, sock):
        assert program.process.stdout
        sock.sendall(b"first")
        assert program.process.stdout.read(5) == b"first"
        program.process.stdout.close()
        program.process.stdout = None
        if data:
            try:
                sock.sendall(data)
            except OSError:
                pass  # it has left already
        gone(program, 141)


FULL = pytest.mark.parametrize(
    ("options", "output"),
    [([], "/dev/full"), (["-x"], "/dev/full"), (["-o/dev/full"], "/dev/null")],
)


@both
@FULL
def test_a_full_disk(kind: str, options: list[str], output: str) -> None:
    with (
        open(output, "wb") as full,
        conversation(kind, *options, stdin=PIPE, stdout=full) as (program, sock),
    ):
        sock.sendall(b"data")
        gone(program, 23, "no space left on device", "received 4 bytes")
        with pytest.raises(ConnectionResetError):  # its end would say that it has the data
            sock.recv(1)


@FULL
def test_a_server_of_many_with_a_full_disk(options: list[str], output: str) -> None:
    with (
        open(output, "wb") as full,
        Program(SERVER, "-p", "0", *options, stdout=full) as program,
        connect(program.port) as other,
        connect(program.port) as sock,
    ):
        sock.sendall(b"data")
        gone(program, 23, "no space left on device")
        for each in (sock, other):
            with pytest.raises(ConnectionResetError):
                each.recv(1)


@both
def test_a_file_that_may_not_grow(kind: str, tmp_path: Path) -> None:
    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    with (
        open(tmp_path / "out", "wb") as out,
        conversation(kind, stdin=PIPE, stdout=out, preexec_fn=bounded) as (program, sock),
    ):
        sock.sendall(b"x" * 8_000)
        gone(program, 23, "file too large", "received 8,000 bytes", "3,904 of them not written")
    assert (tmp_path / "out").stat().st_size == 4096


@both
def test_idle_timeout(kind: str) -> None:
    with conversation(kind, "--idle-timeout", "1", stdin=PIPE) as (program, sock):
        program.type(b".")
        assert read_exactly(sock, 1) == b"."
        gone(program, 28, "for 1 s", "sent 1 byte")


@pytest.mark.parametrize(
    ("kind", "number", "status"), [(CLIENT, signal.SIGINT, 130), (ONCE, signal.SIGTERM, 143)]
)
def test_signals(kind: str, number: int, status: int) -> None:
    with conversation(kind, stdin=PIPE) as (program, sock):
        program.type(b"abc")
        assert read_exactly(sock, 3) == b"abc"
        os.kill(program.process.pid, number)
        assert program.status(END) == status
        sock.settimeout(WAIT)
        assert read_all(sock) == b""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_before_a_client_comes(number: int, status: int, tmp_path: Path) -> None:
    ready = tmp_path / "port"
    with Program("tcp-server", "--once", "-p", "0", "--port-file", str(ready)) as program:
        assert program.port == int(ready.read_text())
        os.kill(program.process.pid, number)
        assert program.status(END) == status
    assert not ready.exists()


@both
def test_the_master_of_a_pseudo_terminal_is_an_output(kind: str) -> None:
    """To open it again would make a terminal that nobody has."""
    master, slave = os.openpty()
    tty.setraw(slave)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, slave)
        stack.callback(os.close, master)
        with conversation(kind, stdout=master) as (program, sock):
            sock.sendall(b"hello, master")
            sock.shutdown(socket.SHUT_WR)
            gone(program, 0)
        assert os.read(slave, 100) == b"hello, master"


@both
def test_a_master_that_nobody_reads_stops_nothing(kind: str) -> None:
    master, slave = os.openpty()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, slave)
        stack.callback(os.close, master)
        with conversation(kind, stdin=subprocess.PIPE, stdout=master) as (program, sock):
            sock.sendall(bytes(300_000))
            program.type(b"still here")
            assert read_exactly(sock, 10) == b"still here"
            program.process.send_signal(signal.SIGTERM)
            assert program.status(END) in (143, -15)


@both
def test_an_input_that_is_open_for_writing_only_is_our_fault(kind: str) -> None:
    """Not the peer's; and opened again for reading it would take what its reader waits for."""
    out, into = os.pipe()
    with open(out, "rb") as reader, open(into, "wb") as stdin:
        with conversation(kind, stdin=stdin) as (program, _):
            gone(program, 1, "stdin is not open for reading")
        stdin.write(b"all of it")
        stdin.close()
        assert reader.read() == b"all of it"


def test_an_output_that_is_open_for_reading_only_is_our_fault() -> None:
    with open(os.devnull) as stdout, conversation(CLIENT, stdout=stdout) as (program, sock):
        sock.sendall(b"lost")
        gone(program, 23, "stdout is not open for writing")


def test_a_server_serves_where_its_input_is_what_nohup_gives() -> None:
    with (
        open(os.devnull, "wb") as stdin,
        conversation(SERVER, "--reply", "yes", stdin=stdin) as (program, sock),
    ):
        sock.sendall(b"there?")
        assert read_exactly(sock, 3) == b"yes"
        program.process.terminate()
