"""One direction alone, what goes to a file as well, and when standard output ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.json_lines import decode
from sockkit.core.records import Message
from tests.refusal import refusal
from tests.support import (
    CLIENT,
    HERE,
    ONCE,
    SERVER,
    WAIT,
    Program,
    Terminal,
    both,
    connect,
    conversation,
    datagrams,
    eventually,
    everyone,
    gone,
    noise,
    read_all,
    read_exactly,
    refuses_datagrams,
    run,
)

PIPE = subprocess.PIPE
PATIENT = ("--linger", "1m")  # of a silent stdin, however busy the machine is


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def pipe_with(data: bytes) -> Iterator[int]:
    """The reading end of a pipe that holds `data`, and has ended."""
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    try:
        yield out
    finally:
        os.close(out)


# --recv-only.


@everyone
def test_who_only_receives_leaves_stdin_to_the_next_program(kind: str) -> None:
    with pipe_with(b"for the next") as stdin:
        with conversation(kind, "--recv-only", stdin=stdin) as (program, sock):
            sock.sendall(b"for us")
            half_close(sock)
            assert read_all(sock) == b""
            if kind == SERVER:
                program.process.terminate()
            assert program.output() == b"for us"
            assert program.status() == (143 if kind == SERVER else 0)
        assert os.read(stdin, 100) == b"for the next"


@both
def test_who_only_receives_ends_its_side_after_the_peer(kind: str) -> None:
    with conversation(kind, "--recv-only") as (program, sock):
        sock.setblocking(False)
        sock.send(b"a")
        assert program.process.stdout
        assert program.process.stdout.read(1) == b"a"
        with pytest.raises(BlockingIOError):  # /dev/null on stdin is no end
            sock.recv(1)
        sock.settimeout(WAIT)
        half_close(sock)
        assert read_all(sock) == b""
        gone(program, 0)


def test_a_terminal_is_not_read_either() -> None:
    with (
        Terminal() as terminal,
        conversation(CLIENT, "--recv-only", stdin=terminal.child, stdout=terminal.child) as (
            program,
            sock,
        ),
    ):
        terminal.type(b"for the shell\n")
        sock.sendall(b"for us\n")
        terminal.shows(b"for us")
        half_close(sock)
        assert read_all(sock) == b""
        gone(program, 0)
        assert os.read(terminal.child, 100) == b"for the shell\n"


def test_nobody_is_asked_for_an_address() -> None:
    with Terminal() as terminal:
        streams = {"stdin": terminal.child, "stdout": terminal.child}
        with Program("tcp-client", "--recv-only", **streams) as program:
            gone(program, 2, "HOST PORT")


def test_a_reply_is_no_end_of_our_side() -> None:
    with conversation(ONCE, "--recv-only", "--reply", "yes") as (program, sock):
        sock.sendall(b"?")
        assert read_exactly(sock, 3) == b"yes"
        sock.sendall(b"!")
        assert program.process.stdout
        assert program.process.stdout.read(2) == b"?!"
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(WAIT)
        half_close(sock)
        assert read_all(sock) == b""
        gone(program, 0)


# --send-only.


@both
def test_who_only_sends_does_not_wait_for_the_peers_end(kind: str) -> None:
    data = noise(3_000_000)
    with conversation(kind, "--send-only", stdin=PIPE) as (program, sock):
        sock.sendall(b"nobody wants this")

        def feed() -> None:
            program.type(data)
            program.end_input()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        assert read_all(sock) == data
        feeder.join(WAIT)
        assert program.output() == b""
        gone(program, 0)


@both
def test_a_view_shows_what_has_arrived_although_it_is_dropped(kind: str) -> None:
    """Also what arrives after stdin has ended, but before all is acknowledged."""
    data = noise(40_000)
    options = ["--send-only", "--json", "--frame", "fixed:64"]
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        program.process.send_signal(signal.SIGSTOP)
        program.end_input()
        sock.sendall(data)
        eventually(lambda: not waiting(sock))
        program.process.send_signal(signal.SIGCONT)
        records = [decode(line) for line in program.output().splitlines()]
        found = [record for record in records if isinstance(record, Message)]
        assert b"".join(message.data for message in found) == data
        assert {message.direction for message in found} == {"received"}
        gone(program, 0)


def waiting(sock: socket.socket) -> int:
    """Bytes that the other side's system has not acknowledged, tcp(7), SIOCOUTQ."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


@both
def test_what_is_not_acknowledged_is_an_error(kind: str) -> None:
    with conversation(kind, "--send-only", stdin=PIPE) as (program, sock):
        program.type(noise(60_000))
        read_exactly(sock, 1000)
        program.end_input()
        sock.close()  # with bytes that nobody reads: a reset
        # All may be acknowledged before the reset, and a receive may meet it first.
        assert program.status() in (0, 55, 56)
        assert program.output() == b""


def test_what_arrives_does_not_hold_the_peer_back() -> None:
    size = 20_000_000
    with conversation(CLIENT, "--send-only", stdin=PIPE) as (program, sock):
        sock.sendall(bytes(size))
        program.type(b"done")
        program.end_input()
        assert read_all(sock) == b"done"
        assert program.output() == b""
        gone(program, 0)


def test_a_server_of_many_drops_what_clients_send_and_goes_on() -> None:
    with Program("tcp-server", "-p", "0", "--send-only", stdin=PIPE) as program:
        with connect(program.port) as one, connect(program.port) as two:
            one.sendall(b"nobody wants this\n")
            program.type(b"to all\n")
            assert read_exactly(one, 7) == b"to all\n"
            half_close(two)
            program.end_input()
        with connect(program.port) as late:
            half_close(late)
            assert read_all(late) == b""
        program.process.terminate()
        assert program.output() == b""


@pytest.mark.parametrize("kind", ["tcp-client", "tcp-server -p 0", "udp-client", "udp-server -p 0"])
def test_what_contradicts_itself_is_refused_before_anybody_is_asked(kind: str) -> None:
    command, *rest = kind.split()
    where = [] if rest else [HERE, "9"]
    for more in (["--recv-only", "--send-only"], ["--send-only", "-o", "/dev/null"]):
        status, out, stderr = refusal(command, *rest, *where, *more)
        assert (status, out) == (2, b"")
        assert "cannot be used with" in stderr
        assert stderr.count("\n") == 1


# Datagrams.


def test_a_client_of_datagrams_that_only_receives_has_an_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((HERE, 0))
        peer.settimeout(WAIT)
        port = str(peer.getsockname()[1])
        status, _, stderr = run("udp-client", "--recv-only", "--source", HERE, HERE, port)
        assert status == 2
        assert "--source with a port" in stderr
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((HERE, 0))
            ours = free.getsockname()[1]
        words = ["--recv-only", "--source", f"{HERE}:{ours}", "--expect", "2", "-v"]
        with Program("udp-client", *words, HERE, port, stdin=PIPE) as program:
            program.said("sending to")
            for _ in range(2):
                peer.sendto(b"news\n", (HERE, ours))
            assert program.output() == b"news\nnews\n"
            gone(program, 0)


def test_a_client_of_datagrams_that_only_sends_waits_for_no_answer() -> None:
    with Program("echo", "--udp", "-p", "0") as echo:
        words = ["--send-only", "--lines", HERE, str(echo.port)]
        assert run("udp-client", *words, data=b"a\nb\n", wait=WAIT) == (0, b"", "")
    with refuses_datagrams() as port:
        status, _, stderr = run("udp-client", "--send-only", HERE, str(port), data=b"a")
    assert status == 7, stderr


def test_a_server_of_datagrams_reads_or_shows_nothing() -> None:
    with pipe_with(b"for the next\n") as stdin:
        with (
            Program("udp-server", "-p", "0", "--recv-only", "--lines", stdin=stdin) as program,
            datagrams(program.port) as sock,
        ):
            sock.send(b"for us")
            assert program.process.stdout
            assert program.process.stdout.read(7) == b"for us\n"
        assert os.read(stdin, 100) == b"for the next\n"
    words = ["-p", "0", "--send-only", "--lines"]
    with (
        Program("udp-server", *words, stdin=PIPE) as program,
        datagrams(program.port) as sock,
    ):
        sock.send(b"nobody wants this")
        program.type(b"for you\n")
        assert sock.recv(100) == b"for you"
        program.process.terminate()
        assert program.output() == b""


# -o.


@pytest.mark.parametrize("kind", [CLIENT, ONCE, SERVER])
def test_what_arrives_goes_to_the_file_as_well(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(5_000_000))
    words = ["你好\n".encode("gbk"), "再见\n".encode("gbk")]
    with conversation(kind, "-o", str(path), "-E", "gbk", stdin=PIPE) as (program, sock):
        eventually(lambda: path.stat().st_size == 0)  # once there is a connection
        sock.sendall(words[0])
        assert program.process.stdout
        assert program.process.stdout.readline().decode() == "你好\n"
        program.type("什么\n".encode())
        assert read_exactly(sock, 5) == "什么\n".encode("gbk")
        program.end_input()
        sock.sendall(words[1])
        half_close(sock)
        assert read_all(sock) == b""
        if kind == SERVER:
            program.process.terminate()
        assert program.output().decode() == "再见\n"
        program.status()
    assert path.read_bytes() == b"".join(words)


def test_a_client_that_cannot_connect_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"of the last run")
    with socket.socket() as nobody:
        nobody.bind((HERE, 0))
        port = str(nobody.getsockname()[1])
        assert run("tcp-client", "-o", str(path), HERE, port)[0] == 7
    assert path.read_bytes() == b"of the last run"


def test_much_goes_to_both_unchanged(tmp_path: Path) -> None:
    path, data = tmp_path / "file", noise(20_000_000)
    with conversation(CLIENT, "-o", str(path)) as (program, sock):
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.close()), daemon=True)
        sender.start()
        assert program.output() == data
        sender.join(WAIT)
        gone(program, 0)
    assert path.read_bytes() == data


def test_datagrams_go_to_the_file_as_well(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with Program("echo", "--udp", "-p", "0") as echo:
        words = ["--lines", "--expect", "2", "-o", str(path), HERE, str(echo.port)]
        assert run("udp-client", *words, data=b"a\nb\n")[:2] == (0, b"a\nb\n")
    assert path.read_bytes() == b"ab"


def test_a_file_that_is_full_ends_it_and_is_named() -> None:
    with conversation(CLIENT, "-o", "/dev/full") as (program, sock):
        sock.sendall(b"x")
        gone(program, 23, "could not write /dev/full: no space left on device")


def test_a_file_that_cannot_be_made_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
        path = tmp_path / "missing" / "file"
        status, _, stderr = run("tcp-client", "-o", str(path), HERE, port)
        told = f"sockkit: could not write {path}: no such file or directory"
        assert (status, stderr) == (23, f"{told}: create its folder first\n")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_file_that_is_sent_is_not_emptied(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"precious")
    arguments = ["tcp-client", "-o", str(path), HERE, "9"]
    with path.open("rb") as stdin, Program(*arguments, stdin=stdin) as program:
        gone(program, 2, f"--output: {path} is also stdin, and would be emptied: use another file")
    assert path.read_bytes() == b"precious"


def test_the_file_of_stdout_is_not_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"precious")
    for name in (str(path), "/dev/stdout"):
        arguments = ["tcp-client", "-x", "-o", name, HERE, "9"]
        with path.open("ab") as stdout, Program(*arguments, stdout=stdout) as program:
            gone(program, 2, f"--output: {name} is also stdout: use another file")
    assert path.read_bytes() == b"precious"


def test_a_fifo_that_is_read_slowly_holds_the_peer_back_and_gets_all(tmp_path: Path) -> None:
    path, data = tmp_path / "fifo", noise(3_000_000)
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with conversation(CLIENT, "-o", str(path), stdout=subprocess.DEVNULL) as (program, sock):
            sock.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < len(data):
                    sent += sock.send(data[sent:])
            os.set_blocking(reader, True)
            sock.settimeout(WAIT)

            def rest() -> None:
                sock.sendall(data[sent:])
                sock.close()

            sender = threading.Thread(target=rest, daemon=True)
            sender.start()
            got = b""
            while chunk := os.read(reader, 65536):
                got += chunk
            assert got == data
            sender.join(WAIT)
            gone(program, 0)
    finally:
        os.close(reader)


# When standard output ends.


@both
@pytest.mark.parametrize("text", [[], ["-E", "latin-1"]], ids=["kernel", "text"])
def test_the_reader_of_stdout_goes_on_when_the_peer_has_ended(kind: str, text: list[str]) -> None:
    with conversation(kind, *text, *PATIENT, stdin=PIPE) as (program, sock):
        sock.sendall(b"b\na\n")
        half_close(sock)
        assert program.output() == b"b\na\n"  # to its end
        program.type(b"later")
        assert read_exactly(sock, 5) == b"later"
        assert program.process.poll() is None
        program.end_input()
        assert read_all(sock) == b""
        gone(program, 0)


def test_a_reader_that_leaves_after_that_changes_nothing() -> None:
    with conversation(CLIENT, *PATIENT, stdin=PIPE) as (program, sock):
        sock.sendall(b"all")
        half_close(sock)
        assert program.output() == b"all"
        assert program.process.stdout
        program.process.stdout.close()
        program.type(b"later")
        assert read_exactly(sock, 5) == b"later"
        program.end_input()
        gone(program, 0)


def test_who_shares_stdout_keeps_it() -> None:
    out, into = os.pipe()
    with conversation(CLIENT, stdin=PIPE, stdout=into) as (program, sock):
        half_close(sock)
        program.end_input()
        gone(program, 0)
    os.write(into, b"still open")
    os.close(into)
    assert os.read(out, 100) == b"still open"
    os.close(out)


def test_a_view_that_shows_what_is_sent_keeps_stdout() -> None:
    with conversation(CLIENT, "--json", *PATIENT, stdin=PIPE) as (program, sock):
        sock.sendall(b"first")
        half_close(sock)
        program.type(b"later")
        assert read_exactly(sock, 5) == b"later"
        program.end_input()
        assert b"later" in program.output()
        gone(program, 0)


# How long a server waits, and how long anybody.


EACH_SERVER = [
    "tcp-server",
    "tcp-server --once",
    "tcp-server --exec cat",
    "udp-server",
    "udp-server --exec cat",
    "echo",
    "echo --udp",
    "chat serve",
    "chat serve --udp",
]


@pytest.mark.parametrize("kind", EACH_SERVER)
def test_a_server_to_which_nobody_comes_gives_up(kind: str) -> None:
    with Program(*kind.split(), "-p", "0", "-w", "100ms", stdin=PIPE) as program:
        came = "no datagram came to" if "udp" in kind else "no client connected to"
        gone(program, 28, f"{came} 127.0.0.1:", "within 0.1 s", "--connect-timeout")


def test_who_is_denied_or_does_no_handshake_has_not_come() -> None:
    for more in (["--deny", HERE], ["--tls"]):
        with Program("tcp-server", "-p", "0", "-w", "1", *more) as program, connect(program.port):
            gone(program, 28, "no client connected")


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_one_client_by_either_is_enough_for_a_responder(udp: bool) -> None:
    with Program("echo", "-p", "0", "-w", "1") as program:
        with (datagrams if udp else connect)(program.port) as sock:
            sock.sendall(b"ping")
            assert sock.recv(4) == b"ping"
        with pytest.raises(subprocess.TimeoutExpired):
            program.status(1.5)


@pytest.mark.parametrize("kind", ["udp-server", "udp-server --exec cat", "echo --udp"])
def test_a_silence_of_everybody_ends_a_server_of_datagrams(kind: str) -> None:
    words = ["-p", "0", "-i", "300ms"]
    with Program(*kind.split(), *words, stdin=PIPE) as program, datagrams(program.port) as sock:
        sock.send(b"ping")
        gone(program, 28, "nothing was sent or received for 0.3 s")


@pytest.mark.parametrize("kind", ["tcp-server", "tcp-server --exec cat", "echo", "chat serve"])
def test_a_silence_ends_a_connection_and_not_its_server(kind: str) -> None:
    with Program(*kind.split(), "-p", "0", "-i", "300ms", stdin=PIPE) as program:
        for _ in range(2):
            with connect(program.port) as sock:
                read_all(sock)
        assert program.process.poll() is None


@pytest.mark.parametrize("udp", [[], ["--udp"]], ids=["tcp", "udp"])
def test_a_member_that_hears_nothing_gives_up(udp: list[str]) -> None:
    with Program("chat", "serve", "-p", "0", *udp, stdin=PIPE) as room:
        words = ["--name", "a", "-i", "300ms", *udp, HERE, str(room.port)]
        with Program("chat", "join", *words, stdin=PIPE) as member:
            gone(member, 28, "nothing was sent or received for 0.3 s")


def test_what_workers_cannot_do_is_refused() -> None:
    for more in (["-w", "1"], ["--udp", "-i", "1"]):
        status, _, stderr = run("echo", "-p", "0", "--workers", "2", *more)
        assert status == 2
        assert "--workers cannot be used with --" in stderr
