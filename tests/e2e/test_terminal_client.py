"""A client on a whole terminal: the line being typed, what arrives above it, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import termios
import threading
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import screen as screens
from tests.screen import BACKSPACE, ENTER, LEFT, PASTE, UP, Person, Screen, client
from tests.support import (
    END,
    HERE,
    SOCKKIT,
    WAIT,
    peer,
    read_all,
    read_exactly,
    reset,
    rests,
    run,
)

somebody = screens.somebody
HINT = "looks like GBK: try -E gbk"


def heard(sock: socket.socket, text: str, encoding: str = "utf-8") -> None:
    """The peer gets exactly `text` next."""
    data = text.encode(encoding)
    assert read_exactly(sock, len(data)) == data


# The line.


def test_editing(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.prompts(">")
        screen.type(f"a你c{LEFT}{LEFT}b")
        screen.prompts("> ab你c")
        screen.type(f"\x05{BACKSPACE}{BACKSPACE}好")  # the end; a wide character goes whole
        screen.prompts("> ab好")
        screen.until(lambda _: screen.cursor == 6)
        screen.type("\x010\x05 one two")
        screen.prompts("> 0ab好 one two")
        screen.type(f"\x17{ENTER}")
        heard(sock, "0ab好 one \n", encoding)
        screen.prompts(">")
        assert "> 0ab好 one" in screen.lines()  # what was sent stays
        sock.sendall("再见\n".encode(encoding))
        screen.shows("再见")
        assert HINT not in screen.text


def test_history_is_kept_between_runs(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.prompts(">")
        screen.type(f"first{ENTER}第二{ENTER}")
        heard(sock, "first\n第二\n", encoding)
    kept = tmp_path / "sockkit" / "tcp-client-history"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) & 0o077 == 0
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.prompts(">")
        screen.type(UP)
        screen.prompts("> 第二")
        screen.type(UP)
        screen.prompts("> first")
        screen.type(f" again{ENTER}")
        heard(sock, "first again\n")


@pytest.mark.parametrize("obstacle", ["file", "folder", "link"])
def test_a_history_that_cannot_be_kept(tmp_path: Path, obstacle: str) -> None:
    state = tmp_path / "state"
    if obstacle == "file":
        state.touch()
    elif obstacle == "folder":
        (state / "sockkit" / "tcp-client-history").mkdir(parents=True)
    else:
        state.symlink_to(tmp_path / "nowhere" / "at" / "all")
    with client(state) as (screen, sock):
        screen.prompts(">")
        screen.type(f"one{ENTER}")
        heard(sock, "one\n")
        screen.until(lambda lines: lines[-2:] == ["> one", ">"])
        screen.type(UP)  # of this run it is remembered
        screen.prompts("> one")
        assert [line for line in screen.lines() if line.startswith("sockkit")] == []
        assert len(screen.lines()) == 4, screen.text


def test_several_pasted_lines(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.prompts(">")
        screen.type(PASTE.format("one\r你好\rthree"))
        screen.shows("three")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)  # to paste is not yet to send
        sock.settimeout(WAIT)
        screen.type(ENTER)
        heard(sock, "one\n你好\nthree\n", encoding)
        screen.until(lambda lines: lines[-4:] == ["> one", "> 你好", "> three", ">"])


def test_pasted_whole_lines_and_a_pasted_tab(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type(PASTE.format("one\ntwo\n") + ENTER)
        heard(sock, "one\ntwo\n")
        screen.type(f"three{ENTER}")
        heard(sock, "three\n")  # no empty line after them
        screen.prompts(">")
        screen.type(PASTE.format("one\ttwo"))
        screen.until(lambda lines: lines[-1].split() == [">", "one", "two"])
        screen.type(ENTER)
        heard(sock, "one\ttwo\n")
        screen.until(lambda lines: lines[-2].split() == [">", "one", "two"] and lines[-1] == ">")


def test_a_line_longer_than_the_screen_is_wide(tmp_path: Path) -> None:
    line = "".join(f"<{number:03}>" for number in range(40))
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type(line)
        screen.shows("<039>")
        sock.sendall(b"arrived\n")
        screen.until(
            lambda lines: lines[2:] == ["arrived", f"> {line}"[:80], line[78:158], line[158:]]
        )
        screen.resize(30, 120)
        screen.until(lambda lines: lines[-2:] == [f"> {line}"[:120], line[118:]])
        screen.type(ENTER)
        heard(sock, f"{line}\n")


def test_an_empty_line_and_one_with_spaces(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type(f"{ENTER}  /list @1 {ENTER}/quit{ENTER}")  # a client has no commands
        heard(sock, "\n  /list @1 \n/quit\n")


# What arrives.


def test_what_arrives_is_above_what_is_typed(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.prompts(">")
        screen.type("half 你")
        screen.prompts("> half 你")
        sock.sendall("here 我\nand\n".encode(encoding))
        screen.until(lambda lines: lines[2:] == ["here 我", "and", "> half 你"])
        screen.type(f" a line{ENTER}")
        heard(sock, "half 你 a line\n", encoding)
        screen.until(lambda lines: lines[2:] == ["here 我", "and", "> half 你 a line", ">"])


def test_an_unfinished_line_is_shown_and_goes_on(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type("mine")
        screen.prompts("> mine")
        sock.sendall(b"login: ")
        screen.until(lambda lines: lines[2:] == ["login:", "> mine"])
        sock.sendall(b"who?\n")
        screen.until(lambda lines: lines[2:] == ["login: who?", "> mine"])
        sock.sendall(b"password: ")
        screen.until(lambda lines: lines[2:] == ["login: who?", "password:", "> mine"])
        screen.type(ENTER)
        heard(sock, "mine\n")
        screen.until(lambda lines: lines[2:] == ["login: who?", "password:", "> mine", ">"])
        sock.sendall(b"end")
        sock.shutdown(socket.SHUT_WR)
        assert screen.status() == 0
        screen.until(lambda lines: lines[5] == "end" and "> end" not in lines)


def test_a_flood(tmp_path: Path) -> None:
    typing_in_a_flood(tmp_path, 2_000_000, pause=0.02)


def typing_in_a_flood(tmp_path: Path, size: int, pause: float = 0) -> float:
    """What is typed is seen while a flood of `size` bytes or more goes on, which ends only then.

    It is slower by a `pause` after each 72,000 bytes. Gives the most seconds that a key waited for.
    """
    typed = threading.Event()
    count = 0

    def flood(sock: socket.socket) -> None:
        nonlocal count
        while count * 72 < size or (not typed.is_set() and count * 72 < 400_000_000):
            lines = range(count, count + 1000)
            sock.sendall(b"".join(b"flood %08d %s\n" % (n, b"." * 56) for n in lines))
            count += 1000
            time.sleep(pause)
        sock.sendall(b"the end\n")

    line = "typed 你"
    with client(tmp_path, bulk=rb"flood \d{8} \.{56}") as (screen, sock):
        screen.prompts(">")
        flooding = threading.Thread(target=flood, args=[sock], daemon=True)
        flooding.start()
        screen.shows("flood ")
        longest = 0.0
        for place in range(len(line)):
            began = time.monotonic()
            screen.type(line[place])
            screen.prompts(f"> {line[: place + 1]}".rstrip())
            longest = max(longest, time.monotonic() - began)
        typed.set()
        screen.type(ENTER)
        heard(sock, f"{line}\n")
        screen.shows("the end")
        flooding.join(WAIT)
        numbers = list(map(int, re.findall(rb"flood (\d{8}) \.{56}", screen.seen)))
        # What was sent may stand within a line that had not arrived whole.
        assert len(set(range(count)) - set(numbers)) <= 1
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == count - 1
        assert screen.seen.index(f"> {line}".encode()) < screen.seen.index(b"the end")
    return longest


# How it ends. That the terminal is as before, Screen sees to.


@pytest.mark.parametrize(
    ("end", "status"),
    [("ctrl-c", 130), ("ctrl-d", 0), ("term", 143), ("int", 130), ("close", 0), ("reset", 56)],
)
def test_ends(tmp_path: Path, end: str, status: int) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type(f"x{ENTER}")
        heard(sock, "x\n")
        screen.prompts(">")
        if end == "ctrl-c":
            screen.type("half")
            screen.prompts("> half")
            screen.type("\x03")  # clears the line
            screen.prompts(">")
            screen.type("\x03")
        elif end == "ctrl-d":
            screen.type("\x04")  # and the peer does not close
            assert read_all(sock) == b""
        elif end in ("term", "int"):
            screen.process.send_signal(signal.SIGTERM if end == "term" else signal.SIGINT)
        elif end == "close":
            screen.type("half")
            screen.prompts("> half")
            sock.close()
        else:
            reset(sock)
        assert screen.status() == status
        shown = {
            "ctrl-c": "sockkit: interrupted", "term": "sockkit: terminated",
            "int": "sockkit: interrupted", "reset": "reset by peer",
        }  # fmt: skip
        if end in shown:
            screen.shows(shown[end])
        assert screen.lines()[2] == "> x"


@pytest.mark.parametrize("options", [[], ["--no-edit"]], ids=["edited", "plain"])
def test_an_error_has_a_line_of_its_own(tmp_path: Path, options: list[str]) -> None:
    with client(tmp_path, *options) as (screen, sock):
        sock.sendall(b"login: ")
        screen.shows("login:")
        reset(sock)
        assert screen.status() == 56
        assert screen.shows("sockkit: ").startswith("sockkit: ")


def test_a_terminal_that_takes_nothing_can_be_left(tmp_path: Path) -> None:
    """As over a network that has stalled: a signal ends it, and any number does no worse."""
    person, child = os.openpty()
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(WAIT)
        process = subprocess.Popen(
            [SOCKKIT, "tcp-client", HERE, str(listener.getsockname()[1])],
            stdin=child, stdout=child, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm-256color"},
        )  # fmt: skip
        try:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    sock.sendall(b"not read\n" * 3_000_000)
                before = termios.tcgetattr(child)
                for _ in range(2000):
                    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGWINCH):
                        process.send_signal(number)
                assert -process.wait(END) in (signal.SIGTERM, signal.SIGINT)
                assert process.stderr
                assert process.stderr.read() == b""
                assert termios.tcgetattr(child) != before  # it was raw
                process.stderr.close()
        finally:
            process.kill()
            process.wait(WAIT)
            os.close(person)
            os.close(child)


def test_refused(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind((HERE, 0))
        with Screen(tmp_path, "tcp-client", HERE, str(held.getsockname()[1])) as screen:
            assert screen.status() == 7
            screen.until(
                lambda lines: "connection refused: start the server first" in "".join(lines)
            )


def test_control_d_waits_for_an_answer(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type(f"question{ENTER}\x04")
        assert read_all(sock) == b"question\n"
        sock.sendall(b"answer\n")
        sock.close()
        assert screen.status() == 0
        screen.shows("answer")


def test_idle_is_idle(tmp_path: Path) -> None:
    idle(tmp_path, rests)


def idle(tmp_path: Path, rest: Callable[[Any], None]) -> None:
    """Lines begun on both sides, and nothing that happens; `rest` looks."""
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type("half")
        screen.prompts("> half")
        sock.sendall(b"an unfinished line")
        screen.shows("unfinished")
        rest(screen)


def test_suspended_and_continued(tmp_path: Path) -> None:
    """A shell's job: Ctrl-Z stops it, and the line is there again when it goes on."""
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        screen.type("half")
        screen.prompts("> half")
        os.kill(screen.process.pid, signal.SIGSTOP)
        sock.sendall(b"meanwhile\n")
        os.kill(screen.process.pid, signal.SIGCONT)
        # Where the terminal's cursor is after a stop nobody knows: a line may begin beside it.
        screen.until(lambda lines: "meanwhile" in lines[2] and lines[3:] == ["> half"])
        screen.type(ENTER)
        heard(sock, "half\n")


def test_no_edit(tmp_path: Path) -> None:
    with client(tmp_path, "--no-edit") as (screen, sock):
        screen.type(f"teh{BACKSPACE}{BACKSPACE}he\x1b[D{ENTER}")  # an arrow is text here
        heard(sock, "the\x1b[D\n")
        screen.shows("the^[[D")  # the terminal's own echo
        assert ">" not in screen.text
        assert b"\x1b[?2004h" not in screen.seen
        sock.sendall(b"answer \x1b[2J\n")
        screen.shows("answer \\x1b[2J")
        screen.type("\x04")
        assert read_all(sock) == b""
        assert screen.status() == 0
    assert not (tmp_path / "sockkit").exists()


def test_a_terminal_that_cannot_be_drawn_on(tmp_path: Path) -> None:
    with client(tmp_path, edited=False, env={"TERM": "dumb"}) as (screen, sock):
        screen.type(f"plain{ENTER}")
        heard(sock, "plain\n")
        screen.shows("plain")
        assert b"\x1b" not in screen.seen


def test_standard_error_elsewhere(tmp_path: Path) -> None:
    """What is said goes to standard error, also where that is not the terminal."""
    command = ("sh", "-c", f'exec "$0" "$@" 2> {tmp_path}/talk', SOCKKIT)
    with peer(lambda sock: sock.sendall(b"data\n")) as port:
        with Screen(tmp_path, "tcp-client", "-v", HERE, str(port), command=command) as screen:
            assert screen.status() == 0
            screen.shows("data")
        assert "connected to" in (tmp_path / "talk").read_text()
        assert "connected to" not in screen.text


# Text of others.

UNTRUSTED = {
    "CSI": (b"a\x1b[2Jb", r"a\x1b[2Jb"),
    "OSC": (b"\x1b]0;title\x07.", r"\x1b]0;title\x07."),
    "C1": ("a\x9b2Jb\x85".encode(), r"a\x9b2Jb\x85"),
    "raw C1": (b"a\x9b2Jb", r"a\x9b2Jb"),
    "DEL, BS": (b"a\x7fb\b\bc", r"a\x7fb\x08\x08c"),
    "bidi": ("a\u202eb\u2066c".encode(), r"a\u202eb\u2066c"),
    "lines": ("a\u2028b\u2029c".encode(), r"a\u2028b\u2029c"),
    "CR": (b"true\rlies", r"true\x0dlies"),
}


def shows_but_for_a_hint(expected: list[str], lines: list[str]) -> bool:
    """Some of it is no text, which is said once."""
    return [line for line in lines if not line.startswith("* some of this")] == expected


def test_what_would_drive_a_terminal_is_escaped(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        screen.type("half")
        screen.prompts("> half")
        expected = screen.lines()[:2]
        for data, shown in UNTRUSTED.values():
            sock.sendall(data + b"\r\n")
            for place in range(len(data)):
                sock.sendall(data[place : place + 1])
            sock.sendall(b"\r\n")
            expected += [shown, shown]
            screen.until(partial(shows_but_for_a_hint, [*expected, "> half"]))
        screen.type(ENTER)
        heard(sock, "half\n")


def test_letters_of_all_scripts_are_shown(tmp_path: Path) -> None:
    text = "你好 👋 e\u0301 日本語 Привет\t한"
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        for byte in f"{text}\r\n".encode():
            sock.sendall(bytes([byte]))
        shown = unicodedata.normalize("NFC", text).split("\t")  # as pyte draws them
        screen.until(lambda lines: lines[2].startswith(shown[0]) and lines[2].endswith(shown[1]))
        assert "\\" not in screen.text


@pytest.mark.parametrize(
    "arguments", [["unix:/nowhere/\x1b[2J\x9b\u202e"], ["\x1b[2J\u202e.invalid", "80"]]
)
def test_hostile_arguments(tmp_path: Path, arguments: list[str]) -> None:
    with Screen(tmp_path, "tcp-client", *arguments) as screen:
        assert screen.status() in (2, 6, 7)
        line = screen.shows("sockkit: ")
        assert "\\x1b[2J" in line
        assert "\\u202e" in screen.text.replace("\n", "")


def test_in_a_pipe_bytes_are_bytes(tmp_path: Path) -> None:
    data = b"".join(raw for raw, _ in UNTRUSTED.values()) + bytes(range(256))
    command = ("sh", "-c", f'exec "$0" "$@" > {tmp_path}/out', SOCKKIT)
    with (
        peer(lambda sock: sock.sendall(data)) as port,
        Screen(tmp_path, "tcp-client", HERE, str(port), command=command) as screen,
    ):
        assert screen.status() == 0
        assert (tmp_path / "out").read_bytes() == data


# Questions.


def test_it_asks_for_host_and_port(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(WAIT)
        with Screen(tmp_path, "tcp-client") as screen:
            screen.shows("Host [127.0.0.1]:")
            screen.type(ENTER)
            screen.shows("Port:")
            for wrong in ("65536", "-1", "0", "nonsense-service"):
                asked = screen.counts("Port:")
                screen.type(f"{wrong}{ENTER}")
                screen.until(lambda lines, n=asked: "\n".join(lines).count("Port:") > n)  # type: ignore[misc]
                assert f"sockkit: '{wrong}' is not a port" in screen.text
            screen.type(f"{listener.getsockname()[1]}{ENTER}")
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(WAIT)
                screen.prompts(">")
                screen.type(f"hello{ENTER}")
                heard(sock, "hello\n")


def test_it_asks_for_the_port_alone(tmp_path: Path) -> None:
    with Screen(tmp_path, "tcp-client", HERE) as screen:
        screen.prompts("Port:")
        assert "Host" not in screen.text
        screen.type("\x03")
        assert screen.status() == 130


def test_control_d_at_a_question(tmp_path: Path) -> None:
    with Screen(tmp_path, "tcp-client") as screen:
        screen.shows("Host")
        screen.type("\x04")
        assert screen.status() == 2
        screen.shows("no address was given")


def test_control_c_at_a_question(tmp_path: Path) -> None:
    with Screen(tmp_path, "tcp-client") as screen:
        screen.shows("Host")
        screen.type("\x03")
        assert screen.status() == 130


def test_without_a_terminal_nothing_is_asked() -> None:
    status, out, stderr = run("tcp-client")
    assert (status, out) == (2, b"")
    assert stderr.count("\n") == 1


# Hints.


def test_gbk_is_hinted_at_once(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.prompts(">")
        for text in ("你好，世界\n", "谢谢你\n", "再见\n"):
            sock.sendall(text.encode("gbk"))
            screen.shows(text.strip().encode("gbk").decode("utf-8", "backslashreplace"))
        screen.shows(HINT)
        assert screen.counts(HINT) == 1


def test_gbk_as_such_is_not_hinted_at(tmp_path: Path) -> None:
    with client(tmp_path, "-E", "gbk") as (screen, sock):
        screen.prompts(">")
        sock.sendall("你好，世界\n谢谢你\n".encode("gbk"))
        screen.shows("谢谢你")
        screen.type(f"再见{ENTER}")
        heard(sock, "再见\n", "gbk")
        assert HINT not in screen.text


@pytest.mark.parametrize("options", [[], ["--no-edit"]], ids=["edited", "plain"])
def test_a_line_that_cannot_be_encoded_is_left_out(tmp_path: Path, options: list[str]) -> None:
    with client(tmp_path, "-E", "gbk", *options) as (screen, sock):
        screen.type(f"你好{ENTER}")
        heard(sock, "你好\n", "gbk")
        screen.type(f"ab👋{ENTER}")
        screen.shows("this line was not sent: '👋' (U+1F44B) at line 2, character 3")
        screen.type(f"再👋见{ENTER}")
        screen.shows("at line 3, character 2")
        screen.type(f"再见{ENTER}\x04")
        heard(sock, "再见\n", "gbk")
        assert read_all(sock) == b""
        sock.close()
        assert screen.status() == 65
        screen.shows("part of what was typed was not sent")


@pytest.mark.parametrize("said", [b"", b"bye\n"], ids=["silent", "speaking"])
def test_a_peer_that_closes_at_once(tmp_path: Path, said: bytes) -> None:
    with (
        peer(lambda sock: sock.sendall(said)) as port,
        Screen(tmp_path, "tcp-client", HERE, str(port)) as screen,
    ):
        assert screen.status() == 0
        screen.shows("bye" if said else "closed without an answer")
        assert ("closed without an answer" in screen.text) == (not said)


def test_a_port_that_does_not_understand_what_is_typed(tmp_path: Path) -> None:
    def refuse(sock: socket.socket) -> None:
        assert sock.recv(100)

    with (
        peer(refuse) as port,
        Screen(tmp_path, "tcp-client", HERE, str(port)) as screen,
    ):
        screen.shows("connected to")
        screen.type(f"hello{ENTER}")
        assert screen.status() == 0
        screen.shows("closed without an answer: does it expect TLS")


def test_a_port_in_use_names_its_owner() -> None:
    with socket.create_server((HERE, 0)) as held:
        status, _, stderr = run("tcp-server", "-p", str(held.getsockname()[1]))
    assert status == 45
    assert f"in use by {Path('/proc/self/comm').read_text().strip()} " in stderr
    assert f"(process {os.getpid()})" in stderr


# Colours.


def test_no_color(tmp_path: Path) -> None:
    for env, count in (({}, 1), ({"NO_COLOR": "1"}, 0)):
        with Screen(tmp_path, "tcp-client", "256.0.0.1.invalid", "1", env=env) as screen:
            assert screen.status() == 6
            screen.shows("sockkit: ")
            assert (b"\x1b[31msockkit:" in screen.seen) == bool(count)


def test_colour_in_a_pipe_is_forced() -> None:
    for env, count in (
        ({}, 0),
        ({"FORCE_COLOR": "1"}, 1),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, 0),
    ):
        with subprocess.Popen(
            [SOCKKIT, "tcp-client", "a b.invalid", "1"], stderr=subprocess.PIPE,
            env={**os.environ, **env},
        ) as process:  # fmt: skip
            _, stderr = process.communicate(timeout=WAIT)
            assert stderr.count(b"\x1b[31m") == count
