"""Programs as the targets of a relay: --exec and --shell in place of HOST PORT."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_programs import ends, line, number
from tests.refusal import refusal
from tests.support import (
    CLIENT,
    HERE,
    WAIT,
    Program,
    Terminal,
    connect,
    errors,
    eventually,
    gone,
    need,
    noise,
    read_all,
    read_exactly,
    reset,
    run,
    runs,
)

RELAY = "relay"
SIZE = 3_000_000


@contextlib.contextmanager
def relaying(*options: str, **more: Any) -> Iterator[tuple[Program, int]]:
    with Program(RELAY, "-p", "0", "-v", *options, **more) as program:
        yield program, program.port


def test_each_client_has_a_program_of_its_own() -> None:
    shell = 'echo "$SOCKKIT_PROTO $SOCKKIT_REMOTE_PORT"; cat'
    with relaying("--shell", shell) as (program, port):
        data = noise(SIZE)
        for _ in range(2):
            with connect(port) as sock:
                assert line(sock) == f"tcp {sock.getsockname()[1]}".encode()
                assert through(sock, data) == data
        program.said("] 127.0.0.1:")
        program.said("started as process")
        program.said("/bin/sh exited with 0")
        assert errors(program) == []


def through(sock: socket.socket, data: bytes) -> bytes:
    """What comes back of `data`, which is sent meanwhile, to the end."""
    got = bytearray()
    rest = memoryview(data)
    sock.setblocking(False)
    while True:
        with contextlib.suppress(BlockingIOError):
            if rest:
                rest = rest[sock.send(rest) :]
                if not rest:
                    sock.shutdown(socket.SHUT_WR)
        try:
            piece = sock.recv(1 << 16)
        except BlockingIOError:
            continue
        if not piece:
            return bytes(got)
        got += piece


def test_its_exit_closes_a_client_that_has_not_ended() -> None:
    with relaying("--shell", "echo last; exit 3") as (program, port), connect(port) as sock:
        assert read_all(sock) == b"last\n"
        program.said("exited with 3")
        program.said("closed (sent 0 bytes, received 5 bytes")


def test_it_closes_although_the_client_still_sends() -> None:
    with relaying("--shell", "head -c 1 > /dev/null; echo last") as (program, port):
        with connect(port) as sock:
            sock.sendall(noise(100_000))
            assert read_all(sock) == b"last\n"
        program.said("closed")


def test_what_has_left_its_group_holds_nothing_up() -> None:
    shell = "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.5"
    with relaying("--shell", shell) as (program, port), connect(port) as sock:
        away = number(sock)
        try:
            assert read_all(sock) == b""
            program.said("closed")
            assert runs(away)
        finally:
            os.kill(away, signal.SIGKILL)


def test_a_reset_ends_its_whole_group() -> None:
    shell = "sleep 60 & echo $!; echo $$; wait"
    with relaying("--shell", shell) as (program, port):
        with connect(port) as sock:
            child, leader = number(sock), number(sock)
            reset(sock)
        ends(child)
        ends(leader)
        program.said("receiving failed: connection reset by peer")


def test_one_that_closes_its_input_still_sends_and_a_reset_is_noticed() -> None:
    with relaying("--shell", "exec <&-; echo $$; sleep 6; echo more; sleep 60") as (_, port):
        with connect(port) as sock:
            leader = number(sock)
            sock.sendall(noise(SIZE))  # nobody reads it, and it is dropped
            assert line(sock) == b"more"  # past the time for a side that is reset
            assert runs(leader)
            reset(sock)
        ends(leader)


def test_the_end_of_the_client_is_only_the_end_of_its_input() -> None:
    shell = "cat > /dev/null; sleep 0.3; echo an answer that comes late"
    with relaying("--shell", shell) as (_, port), connect(port) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"an answer that comes late\n"


def test_the_end_of_its_output_is_told_and_the_end_of_both_ends_it() -> None:
    with relaying("--shell", "echo $$; exec >&-; cat; sleep 60") as (program, port):
        with connect(port) as sock:
            leader = number(sock)
            assert read_all(sock) == b""
            assert runs(leader)
            sock.shutdown(socket.SHUT_WR)
            ends(leader)
        program.said("was killed by SIGTERM")


def test_a_silence_ends_it() -> None:
    with relaying("--shell", "echo $$; cat; echo whole >&2", "--idle-timeout", "1") as (
        program,
        port,
    ):
        with connect(port) as sock:
            leader = number(sock)
            assert read_all(sock) == b""
        ends(leader)
        program.said("nothing was sent or received")
        assert "whole" not in program.stderr


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_us_and_it(signal_: signal.Signals) -> None:
    with (
        relaying("--shell", "trap '' TERM; echo $$; sleep 60") as (program, port),
        connect(port) as sock,
    ):
        leader = number(sock)
        program.process.send_signal(signal_)
        assert program.status() == 128 + signal_
        ends(leader)


# Options.


def test_once_ends_with_its_status() -> None:
    with relaying("--once", "--shell", "cat; exit 4") as (program, port):
        with connect(port) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"hello"
        gone(program, 4)


def test_once_and_a_reset_is_an_error() -> None:
    with relaying("--once", "--exec", "cat") as (program, port):
        with connect(port) as sock:
            sock.sendall(b"x")
            sock.recv(1)
            reset(sock)
        assert program.status() == 56
        assert "connection reset by peer" in errors(program)[-1]


def test_the_most_programs_are_bounded() -> None:
    with (
        relaying("--max-connections", "1", "--shell", "echo $$; cat") as (program, port),
        connect(port) as first,
    ):
        number(first)
        with connect(port) as second:
            assert read_all(second) == b""
        program.said("full: --max-connections 1")


def test_a_client_waits_for_the_group_that_one_before_left() -> None:
    """Stubborn programs of clients that come and go would pile up otherwise."""
    shell = "exec 2> /dev/null; trap '' TERM; echo $$; exec sleep 60"
    with relaying("--max-connections", "1", "--shell", shell) as (program, port):
        with connect(port) as sock:
            first = number(sock)
            reset(sock)
        program.said("connection reset by peer")
        with connect(port) as sock:
            second = number(sock)
            assert not runs(first)
            assert runs(second)
            program.process.terminate()
            assert program.status() == 128 + signal.SIGTERM


def test_a_converted_and_recorded_one_is_shown_and_replayed(tmp_path: Path) -> None:
    recording, packets = tmp_path / "it.jsonl", tmp_path / "it.pcapng"
    with relaying("--record", str(recording), "-E", "gbk", "--once", "--exec", "cat") as (
        program,
        port,
    ):
        with connect(port) as sock:
            local = f"{HERE}:{sock.getsockname()[1]}"
            sock.sendall("你好\n".encode())
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == "你好\n".encode()
        gone(program, 0)
    records = [json.loads(text) for text in recording.read_text().splitlines()]
    (opened,) = [record for record in records if record["event"] == "opened"]
    told = [opened[name] for name in ("transport", "local", "remote", "dialled")]
    assert told == ["program", local, "cat", True]
    messages = [record for record in records if record["event"] == "message"]
    assert [(each["direction"], each["text"], each["encoding"]) for each in messages] == [
        ("sent", "你好\n", "gbk"),
        ("received", "你好\n", "gbk"),
    ]
    status, out, told_ = run("show", str(recording))
    assert (status, local.encode() in out, "你好".encode() in out) == (0, True, True), told_
    status, _, told_ = run("show", "--pcap", str(packets), str(recording))
    assert status == 0, told_
    assert packets.stat().st_size
    with Program("tcp-server", "-p", "0", "--exec", "cat") as server:
        status, _, told_ = run("replay", str(recording), HERE, str(server.port))
        assert status == 0, told_


def test_tls_towards_the_client() -> None:
    with relaying("--tls", "--shell", "echo $SOCKKIT_PROTO; cat") as (_, port):
        options = ["--tls", "--tls-insecure", HERE, str(port)]
        status, out, told = run(CLIENT, *options, data=b"hello\n")
        assert (status, out) == (0, b"tcp\nhello\n"), told


def test_a_unix_socket(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/it"
    with Program(RELAY, "--bind", path, "--exec", "cat") as program:
        program.said("listening")
        status, out, told = run(CLIENT, path, data=b"hello\n")
        assert (status, out) == (0, b"hello\n"), told


REFUSED = [
    ((HERE, "80"), "HOST PORT"),
    (("--proxy", "socks5h://127.0.0.1:9"), "--proxy"),
    (("--source", HERE), "--source"),
    (("--to-tls",), "--to-tls"),
]


@pytest.mark.parametrize(("options", "name"), REFUSED)
def test_what_has_no_meaning_for_a_program_is_refused(options: tuple[str, ...], name: str) -> None:
    status, out, told = refusal(RELAY, "-p", "0", "--exec", "cat", *options)
    assert (status, out) == (2, b"")
    assert told == f"sockkit: {name} cannot be used with --exec or --shell: remove it\n"


def test_a_program_that_is_missing_is_an_error_before_listening() -> None:
    status, _, told = refusal(RELAY, "-p", "0", "--exec", "no-such-program")
    assert status == 2
    assert told.startswith("sockkit: could not find or run the program 'no-such-program'")


def test_a_public_bind_is_warned_of() -> None:
    with Program(RELAY, "--bind", "0.0.0.0", "-p", "0", "--exec", "cat") as program:
        program.said("anyone who can reach this port can run the program: restrict it with --allow")


def test_one_that_cannot_start_closes_its_client_and_is_told_once(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("no program\n")
    own.chmod(0o755)
    with relaying("--exec", str(own)) as (program, port):
        for _ in range(3):
            with connect(port) as sock:
                assert read_all(sock) == b""
        program.said("could not start")
        assert program.process.poll() is None


# With others.


def test_an_interactive_shell_at_a_terminal() -> None:
    need("bash")
    with (
        relaying("--exec", "bash --norc --noprofile -i") as (program, port),
        Terminal() as terminal,
        Program(
            CLIENT, "--no-edit", HERE, str(port), stdin=terminal.child, stdout=terminal.child
        ) as client,
    ):
        program.said("started as process")
        terminal.type(b"echo $((40 + 2))\n")
        terminal.shows(b"\n42\r\n")
        terminal.type(b"exit\n")
        assert client.status() == 0


def test_netcat_has_a_program() -> None:
    nc = need("nc")
    with relaying("--exec", "tr a-z A-Z") as (program, port):
        command = [nc, "-N", HERE, str(port)]
        done = subprocess.run(command, input=b"hello\n", capture_output=True, timeout=WAIT)
        assert (done.returncode, done.stdout) == (0, b"HELLO\n")
        program.said("tr exited with 0")


def test_no_descriptor_is_left() -> None:
    with relaying("--exec", "cat") as (program, port):
        with connect(port) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
        program.said("closed")
        before = program.descriptors()
        for _ in range(5):
            with connect(port) as sock:
                sock.sendall(b"x")
                sock.recv(1)
                reset(sock)
        eventually(lambda: program.descriptors() <= before)


def test_a_program_whose_output_has_stalled_has_not_failed() -> None:
    stalled = ("--stall-at", "5", "--faults", "received", "--shell", "read x; printf 0123456789")
    program = Program("relay", "--once", "-p", "0", *stalled)
    with program, connect(program.port) as sock:
        sock.sendall(b"x\n")  # a reset before connect has returned would be its error
        assert read_exactly(sock, 5) == b"01234"
        assert program.status(2 * WAIT) == 0
