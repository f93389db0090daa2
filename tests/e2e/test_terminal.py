"""On a plain terminal, without line editing: nothing a peer sends drives it, typing works, and
it is left as it was. What is edited is in test_terminal_client.py and test_terminal_server.py.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import unicodedata
from collections.abc import Iterator

import pytest

from tests.support import (
    END,
    HERE,
    ONCE,
    SERVER,
    SOCKKIT,
    Program,
    Terminal,
    both,
    connect,
    conversation,
    everyone,
    gone,
    peer,
    read_all,
    read_exactly,
    reset,
)

PIPE = subprocess.PIPE
PLAIN = {"NO_COLOR": "1"}

HOSTILE = {
    "OSC 0": b"\x1b]0;title\x07",
    "OSC 52": b"\x1b]52;c;ZXZpbA==\x1b\\",
    "CSI 2J": b"\x1b[2J\x1b[H",
    "C1 raw": b"\x9b2J\x9d0;x\x9c",
    "C1 as UTF-8": "\x9b2J\x9d0;x\x9c\x85".encode(),
    "BS": b"good\b\b\b\bevil",
    "DEL": b"a\x7f",
    "NUL": b"a\0b",
    "CR": b"true\rlies",
    "VT, FF": b"a\x0b\x0cb",
    "U+202E": "a\u202eb\u2066c".encode(),
    "U+2028": "a\u2028b\u2029c".encode(),
    "no text": b"\xff\xc0\x9b\xed\xa0\x80\xf0\x9f\x91",
}
HARMFUL = {"Cc", "Zl", "Zp"}
BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as made:
        yield made


def harmless(screen: bytes) -> None:
    """What a terminal was given is text and line ends, nothing it obeys or reorders."""
    text = screen.decode("utf-8").replace("\r\n", "").replace("\t", "")
    for character in text:
        assert unicodedata.category(character) not in HARMFUL, ascii(text)
        assert unicodedata.bidirectional(character) not in BIDIRECTIONAL, ascii(text)


@everyone
@pytest.mark.parametrize("options", [[], ["-E", "utf-8"], ["-E", "latin-1"]], ids=" ".join)
def test_what_a_peer_sends_is_shown_escaped(
    kind: str, options: list[str], terminal: Terminal
) -> None:
    """Each of it is, tests/core/test_printable.py; here, that it is done for each command."""
    with conversation(
        kind, *options, stdin=PIPE, stdout=terminal.child, env=PLAIN
    ) as (_, sock):  # fmt: skip
        for name, data in HOSTILE.items():
            for piece in (data[:1], data[1:], f" {name} seen\n".encode()):  # cut in two, too
                sock.sendall(piece)
            terminal.shows(f" {name} seen\r\n".encode())
        harmless(terminal.seen)
        lines = terminal.seen.split(b"\r\n")[:-1]
        assert len(lines) == len(HOSTILE)
        assert all(b"\\x" in line or b"\\u" in line or "latin-1" in options for line in lines)


@everyone
def test_text_is_shown_as_it_is(kind: str, terminal: Terminal) -> None:
    text = "你好👋é e\u0301 日本語 Привет\tعربي"
    with conversation(kind, stdin=PIPE, stdout=terminal.child) as (_, sock):
        for byte in f"{text}\r\nnext\n".encode():
            sock.sendall(bytes([byte]))
        terminal.shows(f"{text}\r\n".encode())  # CRLF is a line's end, not an escape
        terminal.shows(b"next\r\n")
        assert b"\\" not in terminal.seen


@everyone
def test_a_pipe_gets_the_bytes(kind: str, terminal: Terminal) -> None:
    data = b"\n".join([*HOSTILE.values(), b""])
    with conversation(kind, stdin=terminal.child) as (program, sock):
        sock.sendall(data)
        assert program.process.stdout
        assert program.process.stdout.read(len(data)) == data


def test_names_in_errors_are_escaped(terminal: Terminal) -> None:
    no_host, unknown = "\x1b]0;x\x07\x9b2J.invalid", "a\u202eb.invalid"
    command = ("sh", "-c", 'exec "$0" "$@" 2>&1', SOCKKIT)
    clients = ([no_host, "80"], [unknown, "80"], [HERE, no_host])
    for arguments in (*(["tcp-client", *words] for words in clients), [no_host]):
        with Program(*arguments, command=command, stdout=terminal.child, env=PLAIN) as program:
            assert program.status() in (2, 6)
    terminal.shows(b"\n")
    harmless(terminal.seen)


@pytest.mark.parametrize("kind", [ONCE, SERVER])
def test_a_hostile_unix_client_name(kind: str, terminal: Terminal) -> None:
    command = ("sh", "-c", 'exec "$0" "$@" 2>&1', SOCKKIT)
    address = f"unix:@sockkit-test-{os.getpid()}"
    with Program(
        *kind.split(), "--bind", address, "-v", "--label", "--no-edit",
        command=command, stdin=terminal.child, stdout=terminal.child, env=PLAIN,
    ):  # fmt: skip
        terminal.shows(b"listening")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"\0\x1b]0;evil-{os.getpid()}\x07\n* forged")
            sock.connect(f"\0{address.removeprefix('unix:@')}")
            sock.sendall(b"hello\n")
            terminal.shows(b"hello\r\n")
        harmless(terminal.seen)
        assert b"\n* forged" not in terminal.seen


@everyone
def test_typing_a_line_sends_it(kind: str, terminal: Terminal) -> None:
    with conversation(kind, "--no-edit", "-v", stdin=terminal.child, stdout=terminal.child) as (
        program,
        sock,
    ):
        program.said("connected")
        terminal.type("你好\n".encode())
        assert read_exactly(sock, 7) == "你好\n".encode()
        sock.sendall(b"answer\n")
        terminal.shows(b"answer\r\n")
        terminal.type(b"more\n")
        assert read_exactly(sock, 5) == b"more\n"


@both
def test_control_d_half_closes(kind: str, terminal: Terminal) -> None:
    with conversation(kind, "--no-edit", stdin=terminal.child, stdout=terminal.child) as (
        program,
        sock,
    ):
        terminal.type(b"last\n\x04")
        assert read_all(sock) == b"last\n"
        sock.sendall(b"answer\n")
        terminal.shows(b"answer\r\n")
        sock.close()
        gone(program, 0)


@both
@pytest.mark.parametrize("said", [b"", b"bye\n"], ids=["silent", "speaking"])
def test_the_peers_end_ends_it_at_once(kind: str, said: bytes, terminal: Terminal) -> None:
    with conversation(kind, "--no-edit", stdin=terminal.child, stdout=terminal.child) as (
        program,
        sock,
    ):
        sock.sendall(said)
        sock.shutdown(socket.SHUT_WR)
        gone(program, 0)
        terminal.shows(said.replace(b"\n", b"\r\n"))


def test_only_stdin_need_be_a_terminal(terminal: Terminal) -> None:
    with (
        peer(lambda sock: sock.sendall(b"\x1b[2Jraw")) as port,
        Program("tcp-client", HERE, str(port), stdin=terminal.child) as program,
    ):
        assert program.output() == b"\x1b[2Jraw"
        gone(program, 0)


@everyone
def test_control_c(kind: str, terminal: Terminal) -> None:
    control_c(kind, terminal, END)


def control_c(kind: str, terminal: Terminal, wait: float) -> None:
    """The key ends it within `wait`."""
    with conversation(
        kind, "--no-edit",
        "-v", stdin=terminal.child, stdout=terminal.child,
        start_new_session=True, preexec_fn=terminal.control,
    ) as (program, sock):  # fmt: skip
        program.said("connected")
        terminal.type(b"x\n")
        assert read_exactly(sock, 2) == b"x\n"
        terminal.type(b"\x03")
        assert program.status(wait) == 130


@both
@pytest.mark.parametrize("end", ["reset", "idle", "term", "hang-up"])
def test_other_ends(kind: str, end: str, terminal: Terminal) -> None:
    """The fixture compares the terminal's flags after each."""
    options = ["-i", "1"] if end == "idle" else []
    with conversation(
        kind, "--no-edit", *options, stdin=terminal.child, stdout=terminal.child
    ) as (program, sock):  # fmt: skip
        terminal.type(b"x\n")
        assert read_exactly(sock, 2) == b"x\n"
        if end == "reset":
            reset(sock)
        elif end != "idle":
            number = signal.SIGTERM if end == "term" else signal.SIGHUP
            os.kill(program.process.pid, number)
        statuses = {"reset": 56, "idle": 28, "term": 143, "hang-up": 129}
        assert program.status(END) == statuses[end]


@both
def test_a_terminal_that_is_closed(kind: str) -> None:
    person, child = os.openpty()
    try:
        with conversation(kind, stdin=child) as (program, sock):
            os.write(person, b"x\n")
            assert read_exactly(sock, 2) == b"x\n"
            os.close(person)
            person = -1
            assert read_all(sock) == b""  # the end of input
            sock.close()
            gone(program, 0)
    finally:
        os.close(child)
        if person >= 0:
            os.close(person)


def test_a_server_on_a_terminal_labels(terminal: Terminal) -> None:
    with (
        Program(
            "tcp-server",
            "-p",
            "0",
            "--no-edit",
            stdin=terminal.child,
            stdout=terminal.child,
            env=PLAIN,
        ) as program,
        connect(program.port) as sock,
    ):
        sock.sendall(b"one\ntwo")  # a line without its end is shown soon
        port = sock.getsockname()[1]
        terminal.shows(f"[1 {HERE}:{port}] one\r\n[1 {HERE}:{port}] two".encode())
        sock.sendall(b" three\n")
        terminal.shows(b"three\r\n")
        terminal.type(b"\x04")
        assert read_all(sock) == b""
        gone(program, 0)
