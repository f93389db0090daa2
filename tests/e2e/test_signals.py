"""Signals that end a program: it cleans up, and dies of the first, whenever they come."""

from __future__ import annotations

import fcntl
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.screen import Screen
from tests.support import (
    END,
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    need,
    patched,
    read_exactly,
)

STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
WORDS = ("hung up", "interrupted", "quit", "terminated")


def serving(folder: Path) -> tuple[str, ...]:
    """Arguments of a server that has something to clean up; `left` looks for it."""
    return ("tcp-server", "--bind", f"unix:{folder}/socket", "--port-file", f"{folder}/port")


def left(folder: Path) -> list[str]:
    return [name for name in ("socket", "port") if (folder / name).exists()]


def test_an_alarm_of_somebody_elses_is_no_fault() -> None:
    with Program("tcp-server", "-p", "0") as program:
        program.said("listening")
        program.process.send_signal(signal.SIGALRM)
        assert program.process.wait(END) == -signal.SIGALRM


@pytest.mark.parametrize(("number", "words"), list(zip(STOPS, WORDS, strict=True)))
def test_it_cleans_up_and_dies_of_it(number: int, words: str, tmp_path: Path) -> None:
    def allow_cores() -> None:
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))

    with Program(*serving(tmp_path), cwd=tmp_path, preexec_fn=allow_cores) as program:
        program.said("listening")
        program.process.send_signal(number)
        assert program.process.wait(END) == -number
        assert program.status() == 128 + number  # what a shell calls it
        assert errors(program) == [f"sockkit: {words}"]
    assert list(tmp_path.iterdir()) == []  # no core either


def test_quiet_says_nothing_of_an_ordinary_end(tmp_path: Path) -> None:
    echo = ("echo", "-p", "0", "--workers", "2", "--port-file", str(tmp_path / "port"))
    for command in (serving(tmp_path), echo):
        with Program(*command, "-q", start_new_session=True) as program:
            eventually((tmp_path / "port").exists)
            os.killpg(program.process.pid, signal.SIGTERM)
            assert program.process.wait(END) == -signal.SIGTERM
            program.status()
            assert program.stderr == ""


def test_what_is_ignored_at_the_start_stays_so(tmp_path: Path) -> None:
    command = ("sh", "-c", "trap '' HUP INT; " + 'exec "$0" "$@"', SOCKKIT)
    with Program("echo", "-p", "0", command=command) as program:
        with connect(program.port) as sock:
            for number in (signal.SIGHUP, signal.SIGINT):
                program.process.send_signal(number)
                sock.sendall(b"there?")
                assert read_exactly(sock, 6) == b"there?"
        program.process.send_signal(signal.SIGQUIT)
        assert program.process.wait(END) == -signal.SIGQUIT


def test_process_1_of_a_container(tmp_path: Path) -> None:
    """The kernel lets no signal of its own kill it."""
    apart = (need("unshare"), "--pid", "--fork", "--kill-child")
    if subprocess.run([*apart, "true"], capture_output=True, timeout=WAIT).returncode:
        pytest.skip("no namespace for processes may be made here")
    command = (*apart, SOCKKIT)
    with Program(*serving(tmp_path), command=command) as program:
        program.said("listening")
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGTERM)
        assert program.process.wait(END) == 128 + signal.SIGTERM
    assert left(tmp_path) == []


kinds = pytest.mark.parametrize("kind", ["plain", "workers", "edited"])


@kinds
def test_several_at_once_at_any_moment(kind: str, tmp_path: Path) -> None:
    several_at_once(kind, tmp_path, 4, END)


def several_at_once(kind: str, tmp_path: Path, turns: int, wait: float) -> None:
    """The program is gone within `wait` each time, of one of them, and has cleaned up."""
    chance = random.Random(f"{kind}1")
    for turn in range(turns):
        folder = tmp_path / str(turn)
        folder.mkdir()
        arguments = serving(folder)
        if kind == "workers":
            arguments = ("echo", "-p", "0", "--workers", "2", *arguments[3:])
        program = Screen(folder, *arguments) if kind == "edited" else Program(*arguments)
        with program:
            eventually((folder / "port").exists)
            numbers = [chance.choice(STOPS) for _ in range(3)]
            for number in numbers:
                program.process.send_signal(number)
            assert -program.process.wait(wait) in numbers
        assert left(folder) == []


@pytest.mark.parametrize("options", [[], ["--no-edit"]], ids=["edited", "plain"])
def test_a_terminal_that_goes(tmp_path: Path, options: list[str]) -> None:
    """As when its window is closed: the kernel sends SIGHUP, and the terminal is no more."""
    person, child = os.openpty()
    process = subprocess.Popen(
        [SOCKKIT, *serving(tmp_path), *options], stdin=child, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(child)
    try:
        eventually((tmp_path / "port").exists)
        os.close(person)
        assert process.wait(END) == -signal.SIGHUP
    finally:
        process.kill()
        process.wait(WAIT)
    assert left(tmp_path) == []


INTERRUPT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from sockkit.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["sockkit.cli.main", "click", "sockkit.cli.start", "prompt_toolkit"]
)
def test_control_c_while_it_starts(module: str, tmp_path: Path) -> None:
    code = INTERRUPT.replace("MODULE", repr(module))
    with Screen(
        tmp_path, "tcp-server", "-p", "0", command=(sys.executable, "-P", "-c", code)
    ) as it:
        assert it.process.wait(END) == -signal.SIGINT
        assert "Error" not in it.text


def full_pipe() -> tuple[int, int]:
    """The reading end, and the writing end, which has no room."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.parametrize("kind", [["chat", "serve"], ["echo", "-v", "--workers", "2"]])
def test_a_standard_error_that_nobody_reads(kind: list[str], tmp_path: Path) -> None:
    reader, writer = full_pipe()
    port_file = tmp_path / "port"
    with os.fdopen(reader, "rb") as stderr:
        process = subprocess.Popen(
            [SOCKKIT, *kind, "-p", "0", "--port-file", str(port_file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer,
        )  # fmt: skip
        os.close(writer)
        try:
            eventually(port_file.exists)
            for _ in range(20):  # each of them is told of
                with connect(int(port_file.read_text())) as sock:
                    sock.sendall(b"hello\n")
                    assert sock.recv(1)
            process.terminate()
            assert process.wait(END) == -signal.SIGTERM
        finally:
            process.kill()
            process.wait(WAIT)
        assert stderr.read().strip() == b""


def test_lines_that_nobody_took_are_counted(tmp_path: Path) -> None:
    reader, writer = full_pipe()
    port_file = tmp_path / "port"
    with os.fdopen(reader, "rb") as stderr:
        process = subprocess.Popen(
            [
                *patched("from sockkit.cli import status_lines as s; s.MAX_WAITING_BYTES = 2048"),
                *["tcp-server", "-p", "0", "-vv", "--greet", "x", "--port-file", str(port_file)],
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer,
        )  # fmt: skip
        os.close(writer)
        try:
            eventually(port_file.exists)
            port = int(port_file.read_text())
            for _ in range(100):
                with socket.create_connection((HERE, port), WAIT) as sock:
                    assert sock.recv(1) == b"x"  # it has come, and lines were said of it
            process.terminate()
            lines = [line for line in stderr.read().decode().splitlines() if line]
            assert process.wait(END) == -signal.SIGTERM
        finally:
            process.kill()
            process.wait(WAIT)
    counts = [line for line in lines if " lines not shown: stderr was not read" in line]
    assert 1 <= len(counts) <= 10, lines  # a short line may fit where a longer one did not
    assert lines[0].startswith("* ")
    assert lines[-1] == "sockkit: terminated"
