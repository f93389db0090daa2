"""The operator of a server on a whole terminal: who is there, what is typed, to whom it goes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import screen as screens
from tests.screen import BACKSPACE, ENTER, PASTE, UP, Person, Screen
from tests.support import (
    END,
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    connect,
    eventually,
    read_all,
    read_exactly,
    reset,
    rests,
)

somebody = screens.somebody
HINT = "looks like GBK: try -E gbk"
KINDS = [["tcp-server"], ["tcp-server", "--once"]]
kinds = pytest.mark.parametrize("kind", KINDS, ids=["many", "once"])


@contextlib.contextmanager
def server(state: Path, *options: str, count: int = 0, **more: Any) -> Iterator[
    tuple[Screen, list[socket.socket]]
]:  # fmt: skip
    """A server with a prompt, and `count` clients in the order of their numbers."""
    with (
        Screen(state, "tcp-server", "-p", "0", *options, **more) as screen,
        contextlib.ExitStack() as stack,
    ):
        clients = []
        for number in range(1, count + 1):
            clients.append(stack.enter_context(connect(screen.port)))
            screen.shows(f"* [{number}] {address(clients[-1])} connected")
        screen.prompts(">")
        yield screen, clients


def address(sock: socket.socket) -> str:
    return f"{HERE}:{sock.getsockname()[1]}"


def heard(sock: socket.socket, text: str, encoding: str = "utf-8") -> None:
    """The client gets exactly `text` next."""
    data = text.encode(encoding)
    assert read_exactly(sock, len(data)) == data


def order(screen: Screen, line: str, answer: str) -> None:
    """Type `line`; `answer` follows it, in a line of its own or at its beginning."""
    screen.type(f"{line}{ENTER}")

    def answered(lines: list[str]) -> bool:
        typed = [place for place, shown in enumerate(lines) if shown.endswith(f"> {line}")]
        return bool(typed) and any(shown.startswith(answer) for shown in lines[typed[-1] + 1 :])

    screen.until(answered)


def test_who_is_there_and_who_speaks(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with server(tmp_path, env=env, encoding=encoding, count=2) as (screen, (one, two)):
        wrapped = screen.text.replace("\n", "")
        assert "(this machine only; --bind 0.0.0.0 for others)" in wrapped
        screen.type("half 你")
        screen.prompts("> half 你")
        two.sendall("hello\n你好\n".encode(encoding))
        screen.until(
            lambda lines: (
                lines[-3:] == [f"[2 {address(two)}] hello", f"[2 {address(two)}] 你好", "> half 你"]
            )
        )
        screen.type(f" a line{ENTER}")
        for sock in (one, two):
            heard(sock, "half 你 a line\n", encoding)
        port = two.getsockname()[1]
        two.close()
        sent, received = (len(t.encode(encoding)) for t in ("half 你 a line\n", "hello\n你好\n"))
        screen.shows(
            f"* [2] {HERE}:{port} closed (sent {sent} bytes, received {received} bytes, in "
        )
        assert HINT not in screen.text


def test_numbers_are_never_used_again(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, clients):
        clients[1].close()
        screen.until(
            lambda lines: any("* [2]" in line and "closed (sent " in line for line in lines)
        )
        with connect(screen.port) as third:
            address_of_third = address(third)
            screen.shows(f"* [3] {address_of_third} connected")
            third.sendall(b"me\n")
            screen.shows(f"[3 {address(third)}] me")
            reset(third)
            screen.until(lambda lines: "reset by peer" in "".join(lines))
            assert screen.shows("sockkit: ").startswith(f"sockkit: [3] {address_of_third} ")
        order(screen, "/to 2", "* no peer 2")
        order(screen, "/to 3", "* no peer 3")


def test_orders(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, (one, two)):
        one.sendall(b"12345")
        screen.shows("12345")
        screen.type(f"/list{ENTER}")
        screen.shows(f"* [1] {address(one)} sent 0 bytes, received 5 bytes")
        screen.shows(f"* [2] {address(two)} sent 0 bytes, received 0 bytes")
        screen.type(f"/to 2{ENTER}")
        screen.prompts("[2]>")
        screen.type(f"for two{ENTER}")
        heard(two, "for two\n")
        screen.type(f"@1 for one{ENTER}")
        heard(one, "for one\n")
        screen.prompts("[2]>")  # this once
        screen.type(f"/hex 48 65 0a{ENTER}")
        heard(two, "He\n")
        screen.type(f"/all{ENTER}")
        screen.prompts(">")
        screen.type(f"//to all{ENTER}/hex 41 0x42 \\x43{ENTER}{ENTER}")
        for sock in (one, two):
            heard(sock, "/to all\nABC\n")
        screen.type(f"/kick 2{ENTER}")
        assert read_all(two) == b""
        screen.until(
            lambda lines: any("* [2]" in line and "closed (sent " in line for line in lines)
        )
        screen.type(f"left{ENTER}")
        heard(one, "left\n")
        for command in ("/list", "/to", "/all", "@N", "/kick", "/hex", "/help", "/quit"):
            assert f"* {command}" not in screen.text
        screen.type(f"/help{ENTER}")
        for command in ("/list", "/to", "/all", "@N", "/kick", "/hex", "/help", "/quit"):
            screen.shows(f"* {command} ")
        screen.type(f"/quit{ENTER}")
        assert read_all(one) == b""
        assert screen.status() == 0


def test_what_begins_as_a_word_to_one_is_not_said_to_all(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, (one, two)):
        for typed in ("@2", "@2hi", "@22"):
            screen.type(typed + ENTER)
            screen.shows(f"> {typed}")
            screen.shows("usage: @N TEXT")
        screen.type(f"@2 hi{ENTER}@alex hello{ENTER}")
        heard(two, "hi\n@alex hello\n")
        heard(one, "@alex hello\n")


def test_orders_that_cannot_be_done(tmp_path: Path) -> None:
    with server(tmp_path) as (screen, _):
        order(screen, "anybody?", "* nobody is connected")
        order(screen, "/list", "* nobody is connected")
        order(screen, "/nope", "* unknown command /nope")
        order(screen, "/to", "* usage: /to N")
        order(screen, "/list 2", "* usage: /list")
        order(screen, "/kick 7", "* no peer 7")
        order(screen, "@7 hi", "* no peer 7")
        with connect(screen.port) as sock:
            screen.shows("connected")
            order(screen, "/hex 4x", "* column 2: 'x' is not a hexadecimal digit")
            order(screen, "/hex 486", "* column ")
            screen.type(f"none of it was sent{ENTER}")
            heard(sock, "none of it was sent\n")


def test_whom_it_was_for_has_left(tmp_path: Path) -> None:
    """What was meant for one goes to nobody else."""
    with server(tmp_path, count=2) as (screen, (one, two)):
        screen.type(f"/to 2{ENTER}")
        screen.prompts("[2]>")
        two.close()
        screen.until(
            lambda lines: any("* [2]" in line and "closed (sent " in line for line in lines)
        )
        order(screen, "secret", "* no peer 2")
        screen.type(f"/all{ENTER}")
        screen.prompts(">")
        screen.type(f"public{ENTER}")
        heard(one, "public\n")


def test_completion(tmp_path: Path) -> None:
    with server(tmp_path, count=1) as (screen, (one,)):
        screen.type("/ki\t")
        screen.prompts("> /kick")
        screen.type("\x15/to \t")
        screen.prompts("> /to 1")
        screen.type(ENTER)
        screen.prompts("[1]>")
        screen.type("@\t")
        screen.prompts("[1]> @1")
        screen.type(f"{BACKSPACE * 4}/tmp\t is text\t{ENTER}")
        screen.shows("unknown command /tmp")
        screen.type(f"//\t{ENTER}")
        heard(one, "/\n")


def test_several_words_to_choose_from(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, clients):
        screen.type("/to \t\t")
        screen.until(lambda lines: sum(address(sock) in line for sock in clients
                                       for line in lines[3:]) >= 2)  # fmt: skip
        clients[0].sendall(b"meanwhile\n")
        screen.shows("meanwhile")
        screen.type("\x03\x03")  # the first clears the line
        assert screen.status() == 130


def test_pasted_commands_have_the_prompt_they_were_typed_at(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, (one, two)):
        screen.type(PASTE.format("all\n/to 2\ntwo\n/all\nboth\n/to 1\none\n") + ENTER)
        heard(one, "all\nboth\none\n")
        heard(two, "all\ntwo\nboth\n")
        screen.prompts("[1]>")
        typed = "> all|> /to 2|[2]> two|[2]> /all|> both|> /to 1|[1]> one|[1]>"
        assert screen.lines()[-8:] == typed.split("|")


@pytest.mark.parametrize("options", [[], ["--no-edit"]], ids=["edited", "plain"])
def test_what_a_client_said_last_is_above_its_end(tmp_path: Path, options: list[str]) -> None:
    with (
        Screen(tmp_path, "tcp-server", "-p", "0", *options) as screen,
        connect(screen.port) as sock,
    ):
        sock.sendall(b"good bye")
        sock.close()
        screen.shows(" closed (")
        lines = [line for line in screen.lines() if "good bye" in line or "closed" in line]
        assert lines[0].endswith("] good bye"), screen.text
        assert "closed (sent " in lines[1]


def test_history(tmp_path: Path) -> None:
    for number in range(2):
        with server(tmp_path) as (screen, _):
            if number:
                screen.type(UP)
                screen.prompts("> /list")
            else:
                order(screen, "/list", "* nobody is connected")
    assert (tmp_path / "sockkit" / "tcp-server-history").exists()
    assert not (tmp_path / "sockkit" / "tcp-client-history").exists()


@pytest.mark.parametrize(
    ("kind", "end", "status"),
    [
        (KINDS[0], "ctrl-c", 130),
        (KINDS[0], "ctrl-d", 0),
        (KINDS[0], "term", 143),
        (KINDS[1], "ctrl-d", 0),
        (KINDS[1], "int", 130),
    ],
)
def test_ends(tmp_path: Path, kind: list[str], end: str, status: int) -> None:
    with (
        Screen(tmp_path, *kind, "-p", "0") as screen,
        connect(screen.port) as sock,
    ):
        screen.shows("connected")
        screen.type(f"x{ENTER}")
        heard(sock, "x\n")
        if end in ("term", "int"):
            screen.process.send_signal(signal.SIGTERM if end == "term" else signal.SIGINT)
        else:
            screen.type("\x03" if end == "ctrl-c" else "\x04")
        assert read_all(sock) == b""
        assert screen.status() == status


@kinds
@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
def test_it_can_be_left_before_anybody_comes(tmp_path: Path, kind: list[str], key: str) -> None:
    with Screen(tmp_path, *kind, "-p", "0") as screen:
        screen.shows("listening")
        screen.prompts(">")
        screen.type(key)
        if key == "\x04" and "--once" in kind:  # the client may come yet
            with connect(screen.port) as sock:
                assert read_all(sock) == b""
        assert screen.status() == (130 if key == "\x03" else 0)


def test_a_terminal_that_takes_nothing_can_be_left(tmp_path: Path) -> None:
    """As over a network that has stalled, with clients whose leaving is to be told."""
    person, child = os.openpty()
    port_file = tmp_path / "port"
    process = subprocess.Popen(
        [SOCKKIT, "tcp-server", "-p", "0", "--port-file", str(port_file)],
        stdin=child, stdout=child, stderr=child, start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm-256color"},
    )  # fmt: skip
    try:
        eventually(port_file.exists)
        with contextlib.ExitStack() as stack:
            port = int(port_file.read_text())
            clients = [stack.enter_context(connect(port)) for _ in range(5)]
            clients[0].settimeout(0.5)
            with pytest.raises(TimeoutError):
                clients[0].sendall(b"not read\n" * 3_000_000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(END) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait(WAIT)
        os.close(person)
        os.close(child)


def test_in_the_background_it_serves_and_reads_nothing(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with Screen(tmp_path, command=("bash", "--norc", "--noprofile", "-i")) as shell:
        shell.type(f"PS1='$ '; {SOCKKIT} tcp-server -p 0 --port-file {port_file} &\r")
        eventually(port_file.exists)
        with connect(int(port_file.read_text())) as client:
            client.sendall(b"hello\n")
            shell.shows("] hello")
            shell.type("echo typed\r")
            shell.until(lambda lines: "typed" in lines)
            shell.type("kill %1; wait %1; echo ended with $?\r")
            shell.shows("ended with 143")
            assert read_all(client) == b""
        shell.type("exit\r")
        shell.status()


def test_what_was_typed_before_the_end_arrives(tmp_path: Path) -> None:
    text = "".join(f"line {number}{ENTER}" for number in range(50))
    with server(tmp_path, count=2) as (screen, clients):
        screen.type(f"{text}/quit{ENTER}")
        for sock in clients:
            assert read_all(sock) == text.replace(ENTER, "\n").encode()
        assert screen.status() == 0


def test_a_client_that_takes_nothing_does_not_hold_the_operator(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, (one, two)):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        screen.type(f"/to 1{ENTER}")
        screen.prompts("[1]>")
        screen.type(f"/hex {'41' * 500}{ENTER}")
        order(screen, "/list", f"* [2] {address(two)}")
        screen.type(f"@2 still here{ENTER}")
        heard(two, "still here\n")


def test_idle_is_idle(tmp_path: Path) -> None:
    idle(tmp_path, rests)


def idle(tmp_path: Path, rest: Callable[[Any], None]) -> None:
    """Lines begun on both sides, and nothing that happens; `rest` looks."""
    with server(tmp_path, count=2) as (screen, (one, _)):
        one.sendall(b"an unfinished line")
        screen.shows("unfinished")
        screen.type("half")
        screen.prompts("> half")
        rest(screen)


def test_two_that_speak_do_not_mix(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, (one, two)):
        screen.type("mine")
        screen.prompts("> mine")
        one.sendall(b"first ha")
        screen.until(lambda lines: lines[-2:] == [f"[1 {address(one)}] first ha", "> mine"])
        two.sendall(b"whole\n")
        screen.until(lambda lines: lines[-2:] == [f"[2 {address(two)}] whole", "> mine"])
        one.sendall(b"lf\n")
        screen.until(lambda lines: lines[-2:] == [f"[1 {address(one)}] lf", "> mine"])
        assert f"[1 {address(one)}] first ha" in screen.lines()


def test_no_client_forges_a_line(tmp_path: Path) -> None:
    with server(tmp_path, count=1) as (screen, (one,)):
        one.sendall(
            "true\r* [9] forged\u2028* [9] forged\x1b[1A\x1b[2K\x85* [9]\n\n* [9]\n".encode()
        )
        screen.shows(f"[1 {address(one)}] * [9]")
        assert [line for line in screen.lines() if line.startswith("* [9]")] == []
        assert screen.lines()[2] == f"* [1] {address(one)} connected"


def test_a_hostile_unix_client_name(tmp_path: Path) -> None:
    place = f"unix:@sockkit-screen-{os.getpid()}"
    with (
        Screen(tmp_path, "tcp-server", "--bind", place) as screen,
        socket.socket(socket.AF_UNIX) as sock,
    ):
        screen.shows("listening on ")
        sock.settimeout(WAIT)
        sock.bind(f"\0\x1b[2J{os.getpid()}\n* forged")
        sock.connect(f"\0{place.removeprefix('unix:@')}")
        sock.sendall(b"hello\n")
        line = screen.shows("] hello")
        assert "\\x1b[2J" in line
        assert line.startswith("[1 ")
        order(screen, "/list", "* [1] ")
        screen.type("/to \t")
        screen.prompts("> /to 1")
        assert "\n* forged" not in screen.text
        assert "listening" in screen.lines()[0]


def test_one_hint_for_all(tmp_path: Path) -> None:
    with server(tmp_path, count=2) as (screen, clients):
        for sock in clients * 2:
            sock.sendall("你好，世界\n".encode("gbk"))
            sock.sendall(b"then\n")
        screen.until(lambda lines: "\n".join(lines).count("] then") == 4)
        assert screen.counts(HINT) == 1


def test_gbk_on_the_wire(tmp_path: Path, somebody: Person) -> None:
    encoding, env = somebody
    with server(tmp_path, "-E", "gbk", env=env, encoding=encoding, count=1) as (screen, (one,)):
        one.sendall("你好，世界\n".encode("gbk"))
        screen.shows("] 你好，世界")
        screen.type(f"谢谢{ENTER}@1 再见{ENTER}")
        heard(one, "谢谢\n再见\n", "gbk")
        assert HINT not in screen.text


@pytest.mark.parametrize("typed", ["hi 👋", "@1 hi 👋"])
def test_a_line_that_cannot_be_encoded(typed: str, tmp_path: Path) -> None:
    """It is refused, and the next is sent: 65 at the end, as in a client."""
    with server(tmp_path, "-E", "gbk", count=1) as (screen, (sock,)):
        screen.type(f"{typed}{ENTER}")
        screen.until(lambda lines: "is not in gbk" in "".join(lines))
        screen.type(f"好{ENTER}")
        heard(sock, "好\n", "gbk")
        screen.type(f"/quit{ENTER}")
        assert screen.status() == 65
        screen.shows("part of the input could not be encoded")


def test_what_arrives_cannot_be_decoded(tmp_path: Path) -> None:
    options = ["-E", "gbk", "--errors", "strict"]
    with server(tmp_path, *options, count=1) as (screen, (sock,)):
        sock.sendall(b"ok\n\xff\xff\n")
        screen.shows("is not gbk")
        screen.type(f"/quit{ENTER}")
        assert screen.status() == 65
        screen.shows("what 1 of the clients sent could not be decoded")


def test_no_edit(tmp_path: Path) -> None:
    with (
        Screen(tmp_path, "tcp-server", "-p", "0", "--no-edit") as screen,
        connect(screen.port) as one,
        connect(screen.port) as two,
    ):
        screen.shows("[2]")
        screen.type(f"/to 1x{BACKSPACE}{ENTER}for one{ENTER}/all{ENTER}for all{ENTER}/list{ENTER}")
        assert sorted([one.recv(8), two.recv(8)]) == [b"for all\n", b"for one\n"]
        screen.shows("* [1] ")
        screen.shows("received 0 bytes")
        assert b"\x1b[?2004h" not in screen.seen
        screen.type("\x04")
        assert screen.status() == 0


# Colours.


def test_peers_have_colours(tmp_path: Path) -> None:
    with server(tmp_path, "--color", "1=magenta", count=2) as (screen, clients):
        for number, sock in enumerate(clients, 1):
            sock.sendall(b"text\n")
            screen.shows(f"[{number} {address(sock)}] text")
        label = f"[1 {address(clients[0])}]"
        assert screen.color(label) == "magenta"
        assert screen.color(f"[1] {address(clients[0])}") == "magenta"
        other = screen.color(f"[2 {address(clients[1])}]")
        assert other == screen.color(f"[2] {address(clients[1])}")
        assert other not in ("magenta", "default")
        assert screen.color(" text") == "default"
        assert screen.color("connected") == "default"


def test_no_color(tmp_path: Path) -> None:
    more = {"env": {"NO_COLOR": "1"}}
    with server(tmp_path, "--color", "1=magenta", count=1, **more) as (screen, (one,)):
        one.sendall(b"text\n")
        label = f"[1 {address(one)}]"
        screen.shows(f"{label} text")
        assert screen.color(label) == "default"
        assert screen.color("[1] ") == "default"


@pytest.mark.parametrize(
    ("env", "options", "code"),
    [
        ({}, [], b""),
        ({"FORCE_COLOR": "1"}, [], b"\x1b[32m"),
        ({"FORCE_COLOR": "1"}, ["--color", "1=cyan"], b"\x1b[36m"),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], b""),
    ],
)
def test_colour_in_a_pipe(env: dict[str, str], options: list[str], code: bytes) -> None:
    with (
        Program("tcp-server", "-p", "0", "--label", *options, env=env) as program,
        connect(program.port) as sock,
    ):
        sock.sendall(b"text\n")
        assert program.process.stdout
        label = f"[1 {address(sock)}]".encode()
        shown = code + label + b"\x1b[39m" if code else label
        assert program.process.stdout.readline() == shown + b" text\n"
