"""Programs behind a port and on a connection: --exec and --shell, alone and with other tools.

Each rule is tested with the socket itself, and with pipes, which an option asks for.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.kit import fill
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
    children,
    connect,
    conversation,
    errors,
    eventually,
    everyone,
    gone,
    need,
    noise,
    read_all,
    read_exactly,
    reset,
    rests,
    run,
    runs,
)

SOCKET: list[str] = []
PIPES = ["--idle-timeout", "60"]
each_way = pytest.mark.parametrize("way", [SOCKET, PIPES], ids=["socket", "pipes"])

SIZE = 3_000_000
STUBBORN = "trap '' TERM; echo $$; sleep 60"


def ends(number: int) -> None:
    eventually(lambda: not runs(number))


def line(sock: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        data = sock.recv(1)
        assert data, got
        got += data
    return got[:-1]


def number(sock: socket.socket) -> int:
    return int(line(sock))


@contextlib.contextmanager
def serving(*options: str, **more: Any) -> Iterator[tuple[Program, int]]:
    with Program(SERVER, "-p", "0", "-v", *options, **more) as program:
        yield program, program.port


# What a program gets, and what it says.


@each_way
@everyone
def test_a_program_has_the_connection(kind: str, way: list[str]) -> None:
    data = noise(SIZE)
    with conversation(kind, "-v", "--exec", "cat", *way) as (program, sock):
        for place in range(0, SIZE, 300_000):
            sock.sendall(data[place : place + 300_000])
            assert (
                read_exactly(sock, len(data[place : place + 300_000]))
                == data[place : place + 300_000]
            )
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
        program.said(f"on {'pipes' if way else 'the socket itself'}")
        program.said("cat exited with 0")
        if kind == SERVER:
            program.said("closed")
        else:
            gone(program, 0)
        assert errors(program) == []


@each_way
def test_words_are_split_as_by_a_shell_and_no_shell_runs(way: list[str]) -> None:
    with conversation(SERVER, "-v", "--exec", "printf '%s|' 'a  b' $HOME \"*\" ; c", *way) as (
        _,
        sock,
    ):
        assert read_all(sock) == b"a  b|$HOME|*|;|c|"


@each_way
def test_a_shell_runs_the_other(way: list[str]) -> None:
    with conversation(SERVER, "-v", "--shell", 'x="a  b"; echo "$x" | tr a-z A-Z', *way) as (
        _,
        sock,
    ):
        assert read_all(sock) == b"A  B\n"


@each_way
@both
def test_the_end_of_the_peer_is_the_end_of_its_input_and_no_more(kind: str, way: list[str]) -> None:
    shell = "cat > /dev/null; sleep 0.3; echo an answer that comes late"
    with conversation(kind, "--shell", shell, *way) as (program, sock):
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"an answer that comes late\n"
        gone(program, 0)


@each_way
@both
def test_its_last_words_arrive_although_the_peer_still_sends(kind: str, way: list[str]) -> None:
    with conversation(kind, "--shell", "head -c 1 > /dev/null; echo last", *way) as (program, sock):
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(noise(100_000))
        sock.settimeout(WAIT)
        assert read_all(sock) == b"last\n"
        gone(program, 0)


@each_way
@both
def test_all_that_it_wrote_arrives_at_a_slow_peer(kind: str, way: list[str]) -> None:
    with conversation(kind, "--shell", f"head -c {SIZE} /dev/zero", *way) as (program, sock):
        size = 0
        while data := sock.recv(500_000):
            size += len(data)
            time.sleep(0.02)
        assert size == SIZE
        gone(program, 0)


@each_way
def test_standard_error_is_ours_and_standard_input_and_output_are_not_used(
    way: list[str],
) -> None:
    with Program(
        *ONCE.split(), "-p", "0", "--shell", "echo told >&2; cat", *way, stdin=subprocess.PIPE
    ) as program:
        program.type(b"never read\n")
        with connect(program.port) as sock:
            sock.sendall(b"x")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"x"
        program.said("told")
        assert program.output() == b""
        gone(program, 0)


@everyone
def test_cat_never_sees_a_socket_that_is_not_ready(kind: str) -> None:
    """EAGAIN would end it: the socket must block, and still does when others have it, too."""
    with conversation(kind, "--exec", "cat") as (program, sock):
        for _ in range(3):
            sock.sendall(b"x")
            assert read_exactly(sock, 1) == b"x"
            rests(program)
        sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):  # cat has to wait until the peer reads
            while True:
                sock.sendall(noise(1_000_000))
        sock.settimeout(WAIT)
        sock.shutdown(socket.SHUT_WR)
        assert len(read_all(sock)) > 1_000_000
        assert "unavailable" not in program.stderr


@each_way
def test_it_is_told_who_the_peer_is_and_no_password(way: list[str]) -> None:
    env = {"SOCKKIT_PASSWORD": "a", "SOCKKIT_PROXY_PASSWORD": "b", "SOCKKIT_REMOTE_PORT": "outer"}
    command = ["--shell", "env | grep ^SOCKKIT_ | sort", *way]
    with Program(SERVER, "-p", "0", *command, env=env) as program, connect(program.port) as sock:
        assert read_all(sock).decode().split() == [
            f"SOCKKIT_LOCAL_HOST={HERE}",
            f"SOCKKIT_LOCAL_PORT={program.port}",
            "SOCKKIT_PROTO=tcp",
            f"SOCKKIT_REMOTE_HOST={HERE}",
            f"SOCKKIT_REMOTE_PORT={sock.getsockname()[1]}",
        ]


@each_way
def test_it_has_no_descriptor_of_ours_or_of_our_parent(way: list[str], tmp_path: Path) -> None:
    with open(tmp_path / "parents", "wb") as parents:
        os.set_inheritable(parents.fileno(), True)
        code = "import os; print(*sorted(map(int, os.listdir('/proc/self/fd')))[:4])"
        command = [SERVER, "-p", "0", "--shell", f'exec {sys.executable} -c "{code}"', *way]
        with (
            Program(*command, pass_fds=[parents.fileno()]) as program,
            connect(program.port) as first,
            connect(program.port) as second,
        ):
            # The fourth is the directory that is listed.
            assert line(first) == line(second) == b"0 1 2 3"


@each_way
def test_the_signals_of_our_parent_do_not_matter(way: list[str]) -> None:
    """It ignores SIGCHLD and SIGPIPE, and blocks SIGTERM."""

    def disturb() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGCHLD})

    shell = "grep -E '^Sig(Blk|Ign)' /proc/self/status; exit 3"
    with Program(*ONCE.split(), "-p", "0", "--shell", shell, *way, preexec_fn=disturb) as program:
        with connect(program.port) as sock:
            masks = read_all(sock).decode().split()[1::2]
        named = (1 << 31) - 1  # beyond are signals that a library of our parent's may ignore
        assert [int(mask, 16) & named for mask in masks] == [0, 0]
        gone(program, 3)


# Its exit status.


@each_way
@both
@pytest.mark.parametrize(
    ("shell", "status", "told"),
    [
        ("exit 0", 0, []),
        ("exit 3", 3, []),
        ("kill -9 $$", 137, ["killed by SIGKILL"]),
        ("kill -2 $$", 130, ["killed by SIGINT"]),
    ],
)
def test_its_status_becomes_ours(
    shell: str, status: int, told: list[str], kind: str, way: list[str]
) -> None:
    with conversation(kind, "--shell", f"echo x; {shell}", *way) as (program, sock):
        assert read_all(sock) == b"x\n"
        gone(program, status, *told)
        assert program.process.returncode == status  # it has not died of a signal itself


@both
def test_its_status_does_not_hide_that_something_was_lost(kind: str) -> None:
    shell = "printf '\\303\\244'; exit 3"  # not a character of GB2312
    with conversation(kind, "-E", "gb2312", "--shell", shell) as (program, sock):
        assert read_all(sock) == b""
        gone(program, 65, "gb2312")


@each_way
def test_a_server_of_many_shows_it_with_v_and_a_crash_always(way: list[str]) -> None:
    command = ["--shell", 'read how; eval "$how"', *way]
    with serving(*command) as (program, port):
        for how, told in [
            (b"exit 3\n", "[1] 127.0.0.1"),
            (b"kill -9 $$\n", "was killed by SIGKILL"),
        ]:
            with connect(port) as sock:
                sock.sendall(how)
                assert read_all(sock) == b""
            program.said(told)
        program.said("/bin/sh exited with 3")
        (crash,) = errors(program)
        assert crash.endswith(" /bin/sh was killed by SIGKILL")


@each_way
@pytest.mark.parametrize("option", ["--exec", "--shell"])
def test_what_vanishes_later_is_told_for_each_kind_once(
    option: str, way: list[str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\necho here\n")
    own.chmod(0o755)
    if option == "--shell":
        with serving(option, str(own), *way) as (program, port):
            own.unlink()
            with connect(port) as sock:
                assert read_all(sock) == b""
            program.said("exited with 127")
        return
    with Program(SERVER, "-p", "0", option, str(own), *way) as program:
        with connect(program.port) as sock:
            assert read_all(sock) == b"here\n"
        own.unlink()
        for _ in range(200):
            with connect(program.port) as sock:
                assert read_all(sock) == b""
        program.said(f"could not start {own}: no such file or directory")
        program.process.terminate()
        assert program.status() == 143
        assert len(program.stderr.splitlines()) < 20


# Its end.


@each_way
@everyone
def test_a_reset_ends_it_and_its_children(kind: str, way: list[str]) -> None:
    shell = "sleep 60 & echo $!; echo $$; wait"
    with conversation(kind, "--shell", shell, *way) as (program, sock):
        child, leader = number(sock), number(sock)
        reset(sock)
        ends(child)
        ends(leader)
        if kind == SERVER:
            eventually(lambda: not children(program))
        else:
            gone(program, 56, "reset")


@pytest.mark.parametrize("way", [SOCKET, PIPES, ["-E", "gbk"]], ids=["socket", "pipes", "copied"])
def test_a_reset_is_noticed_although_nobody_reads(way: list[str]) -> None:
    with serving("--shell", "echo $$; exec sleep 60", *way) as (program, port):
        with connect(port) as sock:
            leader = number(sock)
            fill(sock.fileno())
            reset(sock)
        ends(leader)
        eventually(lambda: not children(program))


READS_TO_THE_END = """
import os, signal, sys
if sys.argv[1] == "stays":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"ready\\n")
try:
    while os.read(0, 100_000):
        pass
    told = "whole"
except ConnectionResetError:
    told = "cut"
open("told", "w").write(told)
"""


@each_way
def test_a_cut_input_is_never_taken_for_a_whole_one(way: list[str], tmp_path: Path) -> None:
    """The socket tells a program of the reset. A pipe cannot, so the program ends before it."""
    words = [sys.executable, "-c", READS_TO_THE_END, "ends" if way else "stays"]
    with serving("--exec", shlex.join(words), *way, cwd=tmp_path) as (program, port):
        for _ in range(5):
            with connect(port) as sock:
                assert line(sock) == b"ready"
                sock.sendall(b"x" * 1000)
                reset(sock)
            eventually(lambda: not children(program))
            told = tmp_path / "told"
            assert told.exists() != bool(way)
            assert way or told.read_text() == "cut"


@each_way
def test_one_that_ignores_sigterm_is_killed(way: list[str]) -> None:
    with serving("--shell", STUBBORN, *way) as (program, port):
        with connect(port) as sock:
            leader = number(sock)
            began = time.monotonic()
            reset(sock)
        ends(leader)
        assert time.monotonic() - began > 1.5
        program.said("was killed by SIGKILL")
        eventually(lambda: not children(program))


@each_way
def test_what_it_leaves_in_the_background_ends_with_it(way: list[str]) -> None:
    """Though it has the connection open as well."""
    with serving("--shell", "sleep 60 & echo $!", *way) as (program, port):
        with connect(port) as sock:
            child = number(sock)
            assert read_all(sock) == b""
        ends(child)
        program.said("closed")


@each_way
def test_what_has_left_its_group_holds_nothing_up(way: list[str]) -> None:
    with (
        serving("--shell", "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.5", *way) as (
            program,
            port,
        ),
        connect(port) as sock,
    ):
        away = number(sock)
        try:
            assert read_all(sock) == b""
            program.said("closed")
            assert runs(away)
        finally:
            os.kill(away, signal.SIGKILL)


def test_the_end_of_both_directions_ends_it() -> None:
    """It gets some time to exit by itself."""
    with serving("--shell", "echo $$; exec >&-; cat; sleep 60", *PIPES) as (program, port):
        with connect(port) as sock:
            leader = number(sock)
            assert read_all(sock) == b""
            assert runs(leader)
            sock.shutdown(socket.SHUT_WR)
            ends(leader)
        program.said("was killed by SIGTERM")


def test_one_that_closes_its_input_still_sends_and_a_reset_is_noticed() -> None:
    with serving("--shell", "exec <&-; echo $$; sleep 60", *PIPES) as (_, port):
        with connect(port) as sock:
            leader = number(sock)
            sock.sendall(noise(SIZE))  # nobody reads it, and it is dropped
            assert runs(leader)
            reset(sock)
        ends(leader)


def stops(kind: str, way: list[str], signal_: signal.Signals, within: float = WAIT) -> None:
    """A signal ends us, and a program that ignores SIGTERM."""
    with conversation(kind, "--shell", STUBBORN, *way) as (program, sock):
        leader = number(sock)
        began = time.monotonic()
        program.process.send_signal(signal_)
        assert program.status() == 128 + signal_
        assert time.monotonic() - began < within
        ends(leader)


@each_way
@everyone
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_us_and_it(signal_: signal.Signals, kind: str, way: list[str]) -> None:
    stops(kind, way, signal_)


def test_ctrl_c_at_a_terminal_reaches_it_by_us_alone() -> None:
    """It has a session of its own: no terminal stops it, and none signals it."""
    shell = "trap 'echo caught >&2' INT; echo ready >&2; cat"
    with (
        Terminal() as terminal,
        Program(
            *ONCE.split(), "-p", "0", "--shell", shell,
            stdin=terminal.child, stdout=terminal.child,
            start_new_session=True, preexec_fn=terminal.control,
        ) as program,
        connect(program.port) as sock,
    ):  # fmt: skip
        program.said("ready")
        sock.sendall(b"x")
        assert read_exactly(sock, 1) == b"x"
        terminal.type(b"\x03")
        assert program.status() == 130
        assert "caught" not in program.stderr


def test_an_interactive_shell_is_not_stopped_by_the_terminal() -> None:
    with (
        Terminal() as terminal,
        Program(
            SERVER, "-p", "0", "--exec", f"{need('bash')} --norc -i",
            stdin=terminal.child, stdout=terminal.child,
            start_new_session=True, preexec_fn=terminal.control,
        ) as program,
        connect(program.port) as sock,
    ):  # fmt: skip
        sock.sendall(b"echo $((6 * 7)); exit\n")
        assert b"42\n" in read_all(sock)


@each_way
def test_many_that_reset_leave_nothing(way: list[str]) -> None:
    command = ["--max-connections", "1000", "--exec", "cat", *way]
    with serving(*command) as (program, port):
        with connect(port) as sock:
            sock.sendall(b"x")
            assert read_exactly(sock, 1) == b"x"
        program.said("exited with 0")
        rests(program)
        before = program.descriptors()
        for _ in range(4):
            socks = [connect(port) for _ in range(50)]
            for place, sock in enumerate(socks):
                if place % 3:
                    sock.sendall(b"x")
                if place % 2:
                    assert read_exactly(sock, 1) if place % 3 else True
                reset(sock)
        with connect(port) as sock:
            sock.sendall(b"x")
            assert read_exactly(sock, 1) == b"x"
        eventually(lambda: not children(program))
        eventually(lambda: program.descriptors() == before)
        rests(program)


# A server of programs.


@each_way
def test_no_more_than_so_many_run(way: list[str]) -> None:
    with serving("--max-connections", "2", "--exec", "cat", *way) as (program, port):
        with connect(port) as first, connect(port) as second:
            for sock in (first, second):
                sock.sendall(b"x")
                assert read_exactly(sock, 1) == b"x"
            with connect(port) as third:
                assert read_all(third) == b""
            program.said("full: --max-connections 2")
            assert len(children(program)) == 2
            first.shutdown(socket.SHUT_WR)
            assert read_all(first) == b""
        eventually(lambda: len(re.findall("(?<!peer )closed", program.stderr)) >= 2)
        with connect(port) as sock:
            sock.sendall(b"x")
            assert read_exactly(sock, 1) == b"x"


def test_what_a_program_has_left_counts_until_it_is_killed() -> None:
    left = """sh -c "trap '' TERM; echo \\$\\$; exec sleep 60" &"""
    with serving("--max-connections", "1", "--shell", f"{left} cat") as (program, port):
        with connect(port) as sock:
            child = number(sock)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
        program.said("exited with 0")
        with connect(port) as sock:
            assert read_all(sock) == b""
        assert runs(child)
        program.said("full: --max-connections 1")
        ends(child)
        eventually(lambda: is_served(port))
        program.process.terminate()
        assert program.status() == 143


def is_served(port: int) -> bool:
    with connect(port) as sock, contextlib.suppress(ConnectionResetError):
        return bool(sock.recv(1))
    return False


def test_a_hundred_run_unless_it_is_said_otherwise() -> None:
    with serving("--exec", "cat") as (program, port), contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(port))
        with connect(port) as sock:
            assert read_all(sock) == b""
        program.said("full: --max-connections 100")


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        ([], False),
        (["--bind", "0.0.0.0"], True),
        (["--bind", "0.0.0.0", "--deny", "10.0.0.1"], True),
        (["--bind", "0.0.0.0", "--allow", "127.0.0.1"], False),
        (["--bind", "::"], True),
        (["--bind", "::1"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_public_port_is_warned_of_once(options: list[str], warns: bool) -> None:
    with Program(SERVER, "-p", "0", *options, "--exec", "cat") as program:
        assert program.port
        program.process.terminate()
        program.status()
        assert program.stderr.count("anyone who can reach this port") == warns


def test_who_is_refused_starts_nothing() -> None:
    with serving("--deny", HERE, "--exec", "cat") as (program, port):
        with connect(port) as sock:
            assert read_all(sock) == b""
        program.said("refused")
        assert "runs as" not in program.stderr


# With other options.


@everyone
def test_a_program_speaks_the_users_encoding(kind: str) -> None:
    shell = 'read a; [ "$a" = 你好 ] && printf 谢谢'
    with conversation(kind, "-E", "gbk", "--shell", shell) as (_, sock):
        sock.sendall("你好\n".encode("gbk"))
        assert read_all(sock).decode("gbk") == "谢谢"


def test_a_greeting_comes_before_the_program() -> None:
    with conversation(SERVER, "-v", "--greet", "welcome\n", "-C", "--exec", "echo hello") as (
        _,
        sock,
    ):
        assert read_all(sock) == b"welcome\r\nhello\r\n"


def test_an_idle_connection_ends_with_its_program() -> None:
    with Program(SERVER, "-p", "0", "-i", "0.3", "--exec", "cat") as program:
        with connect(program.port) as sock:
            assert read_all(sock) == b""
        program.said("nothing was sent or received for 0.3 s")
        eventually(lambda: not children(program))


def test_a_silent_program_is_waited_for_unless_there_is_a_linger() -> None:
    command = ["--shell", "cat; sleep 60", "--linger", "0.3"]
    with conversation(ONCE, *command) as (program, sock):
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
        gone(program, 143)
        assert "/bin/sh is silent" in program.stderr


def test_tls_ends_here_and_not_in_the_program() -> None:
    command = ["--tls", "--shell", "cat; env | grep SOCKKIT_TLS_SUBJECT"]
    with Program(SERVER, "-p", "0", *command) as program:
        port, words = program.port, program.said("connect with").split()
        fingerprint = words[words.index("--tls-fingerprint") + 1]
        status, out, told = run(
            CLIENT, "--tls", "--tls-fingerprint", fingerprint, "--half-close", "now",
            HERE, str(port), data=b"secret\n",
        )  # fmt: skip
        assert (status, out) == (0, b"secret\nSOCKKIT_TLS_SUBJECT=\n"), told


def test_the_subject_of_a_clients_certificate_is_told(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca")
    authority.issue_cert(HERE).private_key_and_cert_chain_pem.write_to_path(tmp_path / "server")
    issued = authority.issue_cert("me@here.example", common_name="a friend")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client")
    ca, own = str(tmp_path / "ca"), str(tmp_path / "client")
    command = ["--tls", "--tls-cert", str(tmp_path / "server"), "--tls-client-ca", ca]
    shell = ["--bind", "0.0.0.0", "--shell", "echo $SOCKKIT_TLS_SUBJECT"]
    with Program(SERVER, "-p", "0", *command, *shell) as program:
        options = ["--tls-ca", ca, "--tls-cert", own]
        status, out, told = run(CLIENT, "--tls", *options, HERE, str(program.port))
        assert status == 0, told
        assert b"commonName=a friend" in out
        assert "anyone" not in program.stderr


@each_way
def test_unix_sockets_have_programs(way: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a through b"
    command = ["--shell", "cat; env | grep ^SOCKKIT_ | sort", *way]
    with Program(SERVER, "--bind", f"unix:{path}", *command) as program:
        program.said("listening on ")
        told = [f"SOCKKIT_LOCAL_HOST={path}", "SOCKKIT_PROTO=tcp", "SOCKKIT_REMOTE_HOST="]
        for _ in range(2):
            status, out, _ = run(CLIENT, f"unix:{path}", data=b"x\n")
            assert (status, out.decode().splitlines()) == (0, ["x", *told])


def test_what_a_unix_peer_sent_before_it_closed_is_read(tmp_path: Path) -> None:
    """Such a socket is hung up at once."""
    path, got = tmp_path / "socket", tmp_path / "got"
    shell = f"sleep 0.3; cat > {got}; mv {got} {got}.whole"
    with Program(SERVER, "--bind", f"unix:{path}", "--shell", shell) as program:
        program.said("listening on ")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(noise(50_000))
        eventually(Path(f"{got}.whole").exists)
        assert Path(f"{got}.whole").read_bytes() == noise(50_000)
        rests(program)


def test_the_reset_of_a_unix_peer_ends_the_program(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Program(SERVER, "--bind", f"unix:{path}", "--shell", "echo $$; sleep 60") as program:
        program.said("listening on ")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            eventually(lambda: bool(sock.recv(2, socket.MSG_PEEK)))
            leader = children(program)[0]
        ends(leader)


# Usage.


@pytest.mark.parametrize(
    "command", [[SERVER, "-p", "0"], [CLIENT, HERE, "1"]], ids=[SERVER, CLIENT]
)
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--exec", ""], "names no program"),
        (["--shell", " "], "names no program"),
        (["--exec", "'a"], "no closing quotation"),
        (["--exec", "no-such-program x"], "could not find or run the program 'no-such-program'"),
        (["--exec", "/etc/passwd"], "could not find or run the program '/etc/passwd'"),
        (["--exec", "cat", "--shell", "cat"], "cannot be used with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_is_told_before_anything_is_opened(
    options: list[str], word: str, command: list[str]
) -> None:
    status, out, told = refusal(*command, *options)
    assert (status, out) == (2, b"")
    assert told.count("\n") == 1
    assert word in told


@pytest.mark.parametrize("option", [["--reply", "x"], ["--label"], ["--slow-timeout", "1"]])
def test_what_makes_no_sense_with_a_program(option: list[str]) -> None:
    status, _, told = refusal(SERVER, "-p", "0", "--exec", "cat", *option)
    assert status == 2
    assert f"{option[0]} cannot be used with --exec or --shell" in told


# With the tools that people know.

THEIR_CLIENTS = {
    "nc": "nc -N 127.0.0.1 {}",
    "ncat": "ncat 127.0.0.1 {}",
    "socat": "socat -t 5 - TCP:127.0.0.1:{}",
}


@each_way
@pytest.mark.parametrize("tool", THEIR_CLIENTS)
def test_their_clients_have_our_programs(tool: str, way: list[str]) -> None:
    need(tool)
    with serving("--shell", "tr a-z A-Z", *way) as (_, port):
        done = subprocess.run(
            THEIR_CLIENTS[tool].format(port).split(),
            input=b"hello\n", capture_output=True, timeout=WAIT, check=True,
        )  # fmt: skip
        assert done.stdout == b"HELLO\n"


THEIR_SERVERS = {
    "ncat": "ncat -v -l 127.0.0.1 {} -e {}",
    "socat": "socat -d -d TCP-LISTEN:{},bind=127.0.0.1 EXEC:{}",
}


@contextlib.contextmanager
def their_server(tool: str, program: str) -> Iterator[str]:
    """The port of theirs, once they listen. Free a moment before, as they can choose none."""
    need(tool)
    with socket.create_server((HERE, 0)) as probe:
        port = str(probe.getsockname()[1])
    with Program(command=THEIR_SERVERS[tool].format(port, program).split()) as server:
        server.said("istening on")
        yield port


@pytest.mark.parametrize("tool", THEIR_SERVERS)
def test_our_client_has_their_programs(tool: str) -> None:
    with their_server(tool, need("cat")) as port:
        # ncat drops what its program says after the end of what we send.
        options = ["--half-close", "auto"]
        status, out, told = run(CLIENT, HERE, port, *options, data=b"hello\n")
        assert (status, out) == (0, b"hello\n"), told


@each_way
@pytest.mark.parametrize("tool", THEIR_SERVERS)
def test_our_programs_talk_with_theirs(tool: str, way: list[str]) -> None:
    shell = 'echo hello; read answer; [ "$answer" = hello ] && exit 4'
    with their_server(tool, need("cat")) as port:
        status, _, told = run(CLIENT, HERE, port, "--shell", shell, *way)
        assert status == 4, told
