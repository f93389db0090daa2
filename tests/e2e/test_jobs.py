"""As a job of a shell: `&`, `fg`, Ctrl-Z and `bg`, in a real shell with job control."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screen import ENTER, Screen
from tests.support import HERE, SOCKKIT, WAIT, connect, eventually, need, read_exactly

edits = pytest.mark.parametrize("options", ["", "--no-edit"], ids=["edited", "plain"])


@contextlib.contextmanager
def shell(folder: Path) -> Iterator[Screen]:
    """A shell in the foreground of its terminal, which it leaves at the end."""
    with Screen(folder, command=(need("bash"), "--norc", "--noprofile", "-i")) as screen:
        screen.type(f"PS1='$ '{ENTER}")
        screen.prompts("$")
        yield screen
        screen.type(f"exit{ENTER}")
        screen.status()


def answers(screen: Screen, number: int) -> None:
    """The shell takes what is typed: nobody else reads the terminal."""
    screen.type(f"echo here''{number}{ENTER}")
    screen.until(lambda lines: f"here{number}" in lines)


def foreground(screen: Screen, options: str, typed: str = "") -> None:
    """The job has the terminal, and shows what was `typed` before, if it edits."""
    screen.type(f"fg{ENTER}")
    eventually(lambda: screen.job() != screen.process.pid)  # the shell's settings are gone, too
    if not options:
        screen.prompts(f"> {typed}")


def stopped(screen: Screen) -> None:
    screen.type("\x1a")
    screen.shows("Stopped")
    screen.prompts("$")


def ends(screen: Screen) -> None:
    screen.type("\x03")
    screen.shows("sockkit: interrupted")
    screen.type(f"echo status $?{ENTER}")
    screen.shows("status 130")


@edits
@pytest.mark.parametrize("tostop", ["", "stty tostop; "], ids=["", "tostop"])
def test_a_server(tmp_path: Path, options: str, tostop: str) -> None:
    port_file = tmp_path / "port"
    with shell(tmp_path) as screen:
        screen.type(f"{tostop}{SOCKKIT} tcp-server -p 0 --port-file {port_file} {options} &{ENTER}")
        eventually(port_file.exists)
        with connect(int(port_file.read_text())) as sock:
            sock.sendall(b"hello\n")
            screen.shows("] hello")
            answers(screen, 1)
            foreground(screen, options)
            screen.type(f"to you{ENTER}")
            assert read_exactly(sock, 7) == b"to you\n"
            if not options:
                screen.type("half")
                screen.prompts("> half")
            stopped(screen)
            sock.sendall(b"stopped\n")
            screen.type(f"bg{ENTER}")
            screen.shows("] stopped")
            sock.sendall(b"served\n")
            screen.shows("] served")
            answers(screen, 2)
            foreground(screen, options, "half")
            screen.type(f" again{ENTER}")
            said = b"half again\n" if not options else b" again\n"
            assert read_exactly(sock, len(said)) == said
            ends(screen)
        if tostop:
            screen.type(f"stty -tostop{ENTER}")


@edits
@pytest.mark.parametrize("kind", ["tcp-client", "chat join --name alex"])
def test_a_client(tmp_path: Path, options: str, kind: str) -> None:
    with socket.create_server((HERE, 0)) as listener, shell(tmp_path) as screen:
        listener.settimeout(WAIT)
        port = listener.getsockname()[1]
        screen.type(f"{SOCKKIT} {kind} {options} {HERE} {port}{ENTER}")
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as lines:
            sock.settimeout(WAIT)
            sock.sendall(b"* you are alex; hi\nfirst\n")
            screen.shows("first")
            stopped(screen)
            screen.type(f"bg{ENTER}")
            sock.sendall(b"second\n")
            screen.shows("second")
            answers(screen, 1)
            foreground(screen, options)
            screen.type(f"an answer{ENTER}")
            assert b"an answer\n" in iter(lines.readline, b"")
            ends(screen)


def test_one_that_is_killed_in_the_background_leaves_the_terminal_alone(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with shell(tmp_path) as screen:
        screen.type(f"{SOCKKIT} tcp-server -p 0 --port-file {port_file}{ENTER}")
        screen.prompts(">")
        stopped(screen)
        screen.type(f"bg{ENTER}")
        answers(screen, 1)
        screen.type(f"kill -HUP %1; wait %1; echo status $?{ENTER}")
        screen.shows("status 129")
        answers(screen, 2)
    assert not port_file.exists()
