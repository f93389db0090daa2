"""Ctrl-] on a whole terminal: one command, typed beside the line, in every command with a line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import screen as screens
from tests.screen import ENTER, PASTE, UP, Person, Screen, client
from tests.support import (
    END,
    HERE,
    WAIT,
    connect,
    datagrams,
    noise,
    read_all,
    read_exactly,
)

somebody = screens.somebody
KEY, ESCAPE, CTRL_C, CTRL_D, TAB = "\x1d", "\x1b", "\x03", "\x04", "\t"
PROMPT = "sockkit>"
LARGE = 20_000_000  # bytes: more than the buffers of a connection on this machine hold


def order(screen: Screen, command: str, answer: str) -> None:
    """Type a command, which is answered with `answer`."""
    screen.type(f"{KEY}{command}{ENTER}")
    said(screen, f"{PROMPT} {command}")
    said(screen, f"* {answer}")


def said(screen: Screen, text: str) -> None:
    """Wait until `text` is on the screen, in one line or several."""
    screen.until(lambda lines: text.replace(" ", "") in "".join(lines).replace(" ", ""))


@contextlib.contextmanager
def server(state: Path, *arguments: str) -> Iterator[Screen]:
    with Screen(state, *arguments) as screen:
        screen.shows("* Ctrl-] for commands")
        screen.prompts(">")
        yield screen


# The prompt.


def test_bytes_are_sent_between_lines(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        screen.type(f"one{ENTER}半行")
        screen.prompts("> 半行")
        screen.type(KEY)
        screen.prompts(PROMPT)
        screen.type(f"hex 01 03{ENTER}")
        screen.prompts("> 半行")
        screen.type(f" 二{ENTER}")
        data = b"one\n\1\3" + "半行 二\n".encode(encoding)
        assert read_exactly(sock, len(data)) == data
        screen.until(lambda lines: lines[-4:] == ["> one", f"{PROMPT} hex 01 03", "> 半行 二", ">"])
        order(screen, "hex 1 x", "column 3: ")
        screen.type(f"{UP}")
        screen.prompts("> 半行 二")  # commands are not among the lines
        screen.type(f"{CTRL_C}{KEY}")
        screen.prompts(PROMPT)
        screen.type(UP)
        screen.prompts(f"{PROMPT} hex 1 x")


def test_bytes_are_not_converted(tmp_path: Path) -> None:
    with client(tmp_path, "-C", "-E", "gbk") as (screen, sock):
        screen.type(f"你{ENTER}{KEY}hex e4bda0 0a{ENTER}你{ENTER}")
        line = "你\r\n".encode("gbk")
        data = line + b"\xe4\xbd\xa0\n" + line
        assert read_exactly(sock, len(data)) == data


def test_the_prompt_is_left(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        for leave in (CTRL_C, CTRL_D, ESCAPE, ENTER):
            screen.prompts(">")
            screen.type("half")
            screen.prompts("> half")
            screen.type(KEY)
            screen.prompts(PROMPT)
            if leave in (CTRL_C, ESCAPE):
                screen.type("li")
                screen.prompts(f"{PROMPT} li")
            screen.type(leave)
            screen.prompts("> half")
            screen.type(f" a line{ENTER}")
            assert read_exactly(sock, 12) == b"half a line\n"


def test_in_a_paste_the_key_is_text(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        for inside in ("line", "command"):
            screen.prompts(">")
            if inside == "command":
                screen.type(KEY)
                screen.prompts(PROMPT)
            screen.type(PASTE.format(f"a{KEY}quit\r"))
            screen.until(lambda lines: any("a^]quit" in line for line in lines[-2:]))
            screen.type(ENTER)
            if inside == "line":
                assert read_exactly(sock, 7) == b"a\x1dquit\n"
            else:
                screen.shows("* unknown command a\\x1dquit")
            screen.prompts(">")
            screen.type(f"on{ENTER}")
            assert read_exactly(sock, 3) == b"on\n"


def test_lines_that_look_like_commands_are_sent_by_a_client(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        screen.type(f"hex 41{ENTER}/hex 41{ENTER}quit{ENTER}")
        assert read_exactly(sock, 20) == b"hex 41\n/hex 41\nquit\n"


def test_a_tab_completes_commands_and_paths(tmp_path: Path) -> None:
    (tmp_path / "目录").mkdir()
    (tmp_path / "目录" / "数据 1.bin").write_bytes(b"\0\1\2")
    with client(tmp_path) as (screen, sock):
        screen.type(f"{KEY}s{TAB}")
        screen.prompts(f"{PROMPT} send-file")
        screen.type(f" {tmp_path}/目{TAB}")
        screen.shows("目录/")
        screen.type(f"数{TAB}")
        screen.shows("数据 1.bin")
        screen.type(ENTER)
        assert read_exactly(sock, 3) == b"\0\1\2"
        said(screen, "* 3 bytes of")


def test_help_lists_what_there_is(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, sock):
        order(screen, "help", "hex ")
        for command in ("send-file PATH", "list", "help", "quit"):
            screen.shows(f"* {command} ")
        sock.sendall(b"12345")
        screen.shows("12345")
        host, port = sock.getsockname()
        order(screen, "list", f"{host}:{port} sent 0 bytes, received 5 bytes")
        order(screen, "/list", "unknown command /list: help lists the commands")


def test_the_hint_is_for_a_person_at_the_editor(tmp_path: Path) -> None:
    for options in (["-q"], ["--no-edit"]):
        with socket.create_server((HERE, 0)) as listener:
            listener.settimeout(WAIT)
            address = (HERE, str(listener.getsockname()[1]))
            with Screen(tmp_path, "tcp-client", *options, *address) as screen:
                sock, _ = listener.accept()
                with sock:
                    sock.sendall(b"hello\n")
                    screen.shows("hello")
                    assert b"Ctrl-]" not in screen.seen


# What is shown.


def test_what_is_shown_is_chosen_while_it_runs(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with client(tmp_path, env=env, encoding=encoding) as (screen, sock):
        sock.sendall("文本\n".encode(encoding))
        screen.shows("文本")
        screen.type(f"{KEY}view h{TAB}")
        screen.prompts(f"{PROMPT} view hex")
        screen.type(ENTER)
        order(screen, "one", "unknown command one")  # the view is chosen by now
        sock.sendall(b"\1\3AB")
        screen.shows("01 03 41 42")
        screen.type(f"{KEY}hex ff00{ENTER}")
        screen.shows("ff 00")
        order(screen, "view", "usage: view hex|text")
        screen.type(f"{KEY}timestamps on{ENTER}")
        order(screen, "two", "unknown command two")
        sock.sendall(b"CD")
        screen.until(lambda lines: any(re.search(r"\d\d:\d\d:\d\d\.\d{6}", line) for line in lines))
        screen.type(f"{KEY}view text{ENTER}")
        order(screen, "three", "unknown command three")
        sock.sendall("再见\n".encode(encoding))
        screen.shows("再见")


@pytest.mark.parametrize("kind", ["tcp-client", "tcp-server", "udp-server"])
def test_bytes_that_are_no_text_earn_one_hint(kind: str, tmp_path: Path) -> None:
    hint = "* some of this is not text: Ctrl-] view hex shows the bytes"
    with contextlib.ExitStack() as stack:
        if kind == "tcp-client":
            screen, sock = stack.enter_context(client(tmp_path))
        else:
            screen = stack.enter_context(server(tmp_path, kind, "-p", "0"))
            sock = stack.enter_context(
                (connect if kind == "tcp-server" else datagrams)(screen.port)
            )
        sock.sendall(b"text\n")
        screen.shows("text")
        assert hint not in screen.text
        sock.sendall(b"\1\2\n")
        screen.shows(hint)
        sock.sendall(b"\0\1\2\n")
        screen.shows(r"\x00\x01\x02")
        assert screen.counts(hint) == 1


# How it ends.


@pytest.mark.parametrize("kind", ["tcp-client", "tcp-server", "udp-server", "chat"])
def test_quit_ends_as_ctrl_d_does(kind: str, tmp_path: Path) -> None:
    if kind == "tcp-client":
        with client(tmp_path) as (screen, sock):
            screen.type(f"last{ENTER}half{KEY}quit{ENTER}")
            assert read_all(sock) == b"last\n"
            assert screen.status() == 0
    else:
        words = ["chat", "serve"] if kind == "chat" else [kind]
        with server(tmp_path, *words, "-p", "0") as screen:
            screen.type(f"{KEY}quit{ENTER}")
            assert screen.status() == 0


@pytest.mark.parametrize("typed", ["half", f"half{KEY}", f"half{KEY}li"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_whatever_is_typed(
    typed: str, number: signal.Signals, tmp_path: Path
) -> None:
    with client(tmp_path) as (screen, _):
        screen.type(typed)
        screen.prompts(f"{PROMPT} {typed[5:]}".rstrip() if KEY in typed else "> half")
        screen.process.send_signal(number)
        assert screen.status(END) == 128 + number


def test_ctrl_c_clears_first_and_ends_then(tmp_path: Path) -> None:
    with client(tmp_path) as (screen, _):
        screen.type(f"half{KEY}li")
        screen.prompts(f"{PROMPT} li")
        screen.type(CTRL_C)
        screen.prompts("> half")
        screen.type(CTRL_C)
        screen.prompts(">")
        screen.type(CTRL_C)
        assert screen.status(END) == 130


# A file.


def test_a_file_goes_between_the_lines_in_order(tmp_path: Path) -> None:
    data = noise(LARGE)
    path = tmp_path / "large"
    path.write_bytes(data)
    with client(tmp_path) as (screen, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        before = resident(screen)
        screen.type(f"before{ENTER}{KEY}send-file {path}{ENTER}after{ENTER}{KEY}hex ff{ENTER}")
        screen.shows("> after")
        order(screen, "help", "hex ")  # what waits for nobody is answered meanwhile
        sock.sendall(b"shown meanwhile\n")
        screen.shows("shown meanwhile")
        assert read_exactly(sock, 7) == b"before\n"
        assert read_exactly(sock, LARGE) == data
        assert resident(screen) - before < 4_000_000
        assert read_exactly(sock, 7) == b"after\n\xff"
        said(screen, f"* {LARGE:,} bytes of {path} sent")


def resident(screen: Screen) -> int:
    """Bytes of the program's memory."""
    with open(f"/proc/{screen.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_file_that_did_not_arrive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(LARGE))
    with client(tmp_path) as (screen, sock):
        screen.type(f"{KEY}send-file {path}{ENTER}")
        read_exactly(sock, 100_000)
        sock.shutdown(socket.SHUT_WR)
        assert screen.status() == 55
        said(screen, f" of {LARGE:,} bytes of {path} sent")
        said(screen, "of the input did not reach the peer")


def test_what_cannot_be_sent_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with client(tmp_path) as (screen, sock):
        for name, answer in (
            ("none", f"{tmp_path}/none: no such file"),
            ("", f"{tmp_path}/ is a directory"),
            ("fifo", f"{tmp_path}/fifo is not a regular file"),
        ):
            screen.type(f"{KEY}send-file {tmp_path}/{name}{ENTER}")
            said(screen, answer)
            screen.type(f"on{ENTER}")
            assert read_exactly(sock, 3) == b"on\n"


def test_a_server_sends_a_file_to_whom_text_goes_to(tmp_path: Path) -> None:
    data = noise(LARGE // 4)
    path = tmp_path / "large"
    path.write_bytes(data)
    with (
        server(tmp_path, "tcp-server", "-p", "0") as screen,
        connect(screen.port) as one,
        connect(screen.port) as two,
    ):
        screen.shows("* [2]")
        screen.type(f"{KEY}send-file {path}{ENTER}both{ENTER}{KEY}to 2{ENTER}")
        with ThreadPoolExecutor() as pool:  # neither is far ahead of the other
            size = len(data) + 5
            for got in pool.map(lambda sock: read_exactly(sock, size), (one, two)):
                assert got == data + b"both\n"
        screen.prompts("[2]>")
        screen.type(f"{KEY}send-file {path}{ENTER}two{ENTER}{KEY}hex 0102{ENTER}")
        assert read_exactly(two, len(data) + 6) == data + b"two\n\1\2"
        order(screen, "kick 2", "[2]")
        assert read_all(two) == b""
        screen.type(f"{KEY}all{ENTER}")
        screen.prompts(">")
        screen.type(f"one{ENTER}")
        assert read_exactly(one, 4) == b"one\n"


def test_a_server_whose_clients_have_left_takes_lines_again(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(LARGE))
    with server(tmp_path, "tcp-server", "-p", "0") as screen:
        with connect(screen.port) as one:
            screen.shows("* [1]")
            screen.type(f"{KEY}send-file {path}{ENTER}")
            read_exactly(one, 100_000)
        said(screen, f" of {LARGE:,} bytes of {path} sent")
        with connect(screen.port) as two:
            screen.shows("* [2]")
            screen.type(f"two{ENTER}")
            assert read_exactly(two, 4) == b"two\n"


def test_over_udp_a_file_is_cut_into_datagrams(tmp_path: Path) -> None:
    data = noise(10_000)
    path = tmp_path / "f"
    path.write_bytes(data)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.settimeout(WAIT)
        address = (HERE, str(sock.getsockname()[1]))
        options = ("--buffer-size", "1400")
        with Screen(tmp_path, "udp-client", *options, *address) as screen:
            screen.shows("* Ctrl-] for commands")
            typed = f"one{ENTER}{KEY}send-file {path}{ENTER}two{ENTER}{KEY}hex 00ff{ENTER}"
            screen.type(typed)
            got = [sock.recv(65536) for _ in range(1 + 8 + 2)]
            assert (got[0], got[-2], got[-1]) == (b"one", b"two", b"\0\xff")
            assert b"".join(got[1:-2]) == data
            assert {len(part) for part in got[1:-3]} == {1400}
            port = sock.getsockname()[1]
            order(screen, "list", f"{HERE}:{port} sent 11 datagrams, received 0")
            said(screen, f"10,000 bytes of {path} sent")


def test_a_udp_server_sends_to_whom_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"from a file")
    with (
        server(tmp_path, "udp-server", "-p", "0") as screen,
        datagrams(screen.port) as sock,
    ):
        order(screen, f"send-file {path}", "no peer has sent anything yet")
        sock.send(b"hello")
        screen.shows("hello")
        screen.type(f"{KEY}send-file {path}{ENTER}{KEY}hex 01{ENTER}two{ENTER}")
        assert [sock.recv(100) for _ in range(3)] == [b"from a file", b"\1", b"two"]
        order(screen, "list", "[1] ")


# Rooms.


@pytest.mark.parametrize("udp", [[], ["--udp"]], ids=["tcp", "udp"])
def test_in_a_chat_room(udp: list[str], tmp_path: Path) -> None:
    with server(tmp_path / "a", "chat", "serve", "-p", "0", *udp) as room:
        address = (HERE, str(room.port))
        with Screen(tmp_path / "b", "chat", "join", *udp, "--name", "alex", *address) as screen:
            screen.shows("* Ctrl-] for commands")
            screen.type(f"半{KEY}")
            screen.prompts(PROMPT)
            screen.type(ENTER)
            screen.type(f"句{ENTER}")
            room.shows("半句")
            order(room, "list", f"{'' if udp else '[1] '}{HERE}:")
            order(room, "send-file /etc/hosts", "unknown command send-file")
            order(screen, "list", f"{HERE}:{room.port} ")
            order(screen, "send-file /etc/hosts", "unknown command send-file")
            order(room, "kick alex", "alex ")


def test_in_a_room_bytes_are_said_as_a_line_is(tmp_path: Path) -> None:
    with server(tmp_path / "a", "chat", "serve", "-p", "0") as room:
        address = (HERE, str(room.port))
        with Screen(tmp_path / "b", "chat", "join", "--name", "alex", *address) as screen:
            screen.shows("* Ctrl-] for commands")
            screen.type(f"{KEY}hex e4bda0 0a{ENTER}")
            room.shows("[alex] 你")
