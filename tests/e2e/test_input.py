"""What is sent, written in hexadecimal or with escapes: by a pipe, at a terminal, in an option."""

from __future__ import annotations

import random
import socket
import subprocess
from pathlib import Path

import pytest

from tests.refusal import refusal
from tests.screen import ENTER, Screen, client
from tests.support import (
    HERE,
    Program,
    Terminal,
    connect,
    conversation,
    datagrams,
    peer,
    read_all,
    read_exactly,
    run,
)

HEX, ESCAPES = "--hex-input", "--escape-input"
BOTH = pytest.mark.parametrize("kind", ["tcp-client", "tcp-server --once"])


def written(data: bytes) -> bytes:
    """`data` in hexadecimal, in all notations by turns."""
    dice, lines = random.Random(7), []
    for begin in range(0, len(data), 16):
        part = data[begin : begin + 16]
        ways = [
            part.hex(),
            part.hex(" "),
            part.hex(",").upper(),
            " ".join(f"0x{it:x}" for it in part),
        ]
        ways += [", ".join(f"0x{it:02x}" for it in part), "".join(rf"\x{it:02x}" for it in part)]
        lines.append(dice.choice(ways))
    return "\n".join(lines).encode()


@BOTH
@pytest.mark.parametrize(
    ("options", "data", "sent"),
    [
        ((HEX,), b"48 65 6c\n0x6c,6f\r\n\\x0a 1 2", b"Hello\n\1\2"),
        ((HEX, "-E", "gbk"), b"c4 e3", b"\xc4\xe3"),
        ((ESCAPES,), b"a\\r\\n\\0\\x41\\u4f60\n", "a\r\n\0A你\n".encode()),
        ((ESCAPES, "-E", "gbk", "-C"), b"\\u4f60\\x41\\n\n", b"\xc4\xe3A\n\r\n"),
    ],
)
def test_what_is_piped(kind: str, options: tuple[str, ...], data: bytes, sent: bytes) -> None:
    with conversation(kind, *options, stdin=subprocess.PIPE) as (program, sock):
        for byte in data:  # each by itself, as the notation may be cut anywhere
            program.type(bytes([byte]))
        program.end_input()
        assert read_all(sock) == sent
        sock.close()
        assert program.status() == 0


@BOTH
def test_a_fault_is_told_after_what_comes_before_it_is_sent(kind: str) -> None:
    for option, data, sent, told in (
        (HEX, b"48 65\n6c 6g 6f\n", b"Hel", "line 2, column 5 of stdin: 'g' is not"),
        (HEX, b"48 656", b"He", "line 1, column 6 of stdin: the digit '6' is left over"),
        (ESCAPES, b"a\nb\\q", b"a\nb", "line 2, column 2 of stdin: \\q is not an escape"),
    ):
        with conversation(kind, option, stdin=subprocess.PIPE) as (program, sock):
            program.type(data)
            program.end_input()
            assert read_all(sock) == sent
            sock.close()
            assert program.status() == 65
            assert told in program.stderr


def test_a_word_without_end_streams(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(16_000_000)
    (tmp_path / "text").write_text(data.hex())
    with (
        open(tmp_path / "text", "rb") as file,
        conversation("tcp-client", HEX, stdin=file) as (program, sock),
    ):
        got = bytearray()
        while len(got) < 15_000_000:
            got += sock.recv(1 << 20)
        assert program.peak() < 60 * 1024 * 1024  # the word alone has 32 MB
        got += read_all(sock)
        sock.close()
        assert program.status() == 0
    assert got == data


def test_all_notations_in_one_file() -> None:
    data = random.Random(5).randbytes(500_000)
    got: list[bytes] = []
    with peer(lambda sock: got.append(read_all(sock))) as port:
        assert run("tcp-client", HEX, HERE, str(port), data=written(data))[0] == 0
    assert got == [data]


@pytest.mark.parametrize(("option", "text"), [(HEX, "48690a"), (ESCAPES, r"Hi\n")])
def test_greeting_and_reply(option: str, text: str) -> None:
    for once in ([], ["--once"]):
        with Program(
            "tcp-server", "-p", "0", *once, option, "--greet", text, "--reply", text
        ) as server:
            with connect(server.port) as sock:
                assert read_exactly(sock, 3) == b"Hi\n"
                sock.sendall(b"x")
                assert read_exactly(sock, 3) == b"Hi\n"
            if once:
                assert server.status() == 0


def test_a_greeting_and_the_input_are_two() -> None:
    """The last digit of the one and the first of the other make no byte."""
    options = ("--greet", "1", HEX)
    with conversation("tcp-server --once", *options, stdin=subprocess.PIPE) as (program, sock):
        program.type(b"2 z\n")
        assert read_exactly(sock, 2) == b"\1\2"
        program.said("line 1, column 3 of stdin: 'z'")


def test_many_clients_get_it() -> None:
    options = (ESCAPES, "-E", "gbk")
    with conversation("tcp-server", *options, stdin=subprocess.PIPE) as (program, one):
        program.type(b"\\u4f60\\x4")
        assert read_exactly(one, 2) == b"\xc4\xe3"
        with connect(program.port) as two:
            two.sendall(b"here\n")
            assert program.process.stdout
            assert program.process.stdout.readline() == b"here\n"  # it is a client by now
            program.type(b"1\\n")
            assert read_exactly(one, 2) == read_exactly(two, 2) == b"A\n"
            program.type(b"\\q\n")
            program.said("line 1, column 13 of stdin: \\q is not an escape")
    with conversation("tcp-server", HEX, "-E", "gbk", stdin=subprocess.PIPE) as (program, one):
        program.type(b"c4 e3 0")
        assert read_exactly(one, 2) == b"\xc4\xe3"
        program.type(b"a\n")
        assert read_exactly(one, 1) == b"\n"


@pytest.mark.parametrize(
    "command",
    [
        ["tcp-server", "-p", "0", "--greet", "4 6g"],
        ["tcp-server", "-p", "0", "--once", "--reply", "4 6g"],
        ["udp-server", "-p", "0", "--reply", "4 6g"],
        ["echo", "-p", "0", "--greet", "4 6g"],
        ["echo", "-p", "0", "--reply", "4 6g=1"],
        ["tcp-server", "-p", "0", "--exec", "cat", "--greet", "4 6g"],
    ],
)
def test_a_wrong_option_is_told_before_anything_is_bound(command: list[str]) -> None:
    status, out, said = refusal(*command, HEX)
    assert (status, out) == (2, b"")
    assert said.count("\n") == 1
    assert command[-2] in said
    assert "column 4: 'g'" in said or "column 4 of --" in said
    assert "listening" not in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["tcp-client", HEX, ESCAPES, HERE, "9"], "--hex-input cannot be used with --escape-input"),
        (["tcp-client", HEX, "-C", HERE, "9"], "--crlf"),
        (["udp-client", HEX, "--name", "a", HERE, "9"], "--name"),
        (["udp-client", HEX, "--send-encoding", "gbk", HERE, "9"], "--send-encoding"),
        (["tcp-client", ESCAPES, "--exec", "cat", HERE, "9"], "--escape-input"),
        (["tcp-server", HEX, "--exec", "cat", "-p", "0"], "--hex-input"),
        (["udp-server", HEX, "--exec", "cat", "-p", "0"], "--hex-input"),
        (["echo", ESCAPES, "-p", "0"], "need --greet"),
    ],
)
def test_what_has_no_meaning_is_a_usage_error(arguments: list[str], word: str) -> None:
    status, _, said = refusal(*arguments)
    assert (status, said.count("\n")) == (2, 1)
    assert word in said


def test_a_program_is_greeted_by_bytes_and_writes_what_it_means() -> None:
    with conversation("tcp-server", HEX, "--greet", "0x48 69", "--exec", "echo 41") as (_, sock):
        assert read_all(sock) == b"Hi41\n"


@pytest.mark.parametrize(
    ("options", "data", "sent"),
    [
        ([HEX], b"01 03\n\n0x04,5\r\n", [b"\1\3", b"", b"\4\5"]),
        ([ESCAPES], b"a\\n\n\\x00\\u4f60\n", [b"a\n", "\0你".encode()]),
        ([ESCAPES, "--name", "a"], b"b\\n\n", [b"a:b\n"]),
        ([HEX], b"41" * 65_507 + b"\n" + b"0x41, " * 65_507 + b"\n", [b"A" * 65_507] * 2),
    ],
)
def test_a_line_is_a_datagram(options: list[str], data: bytes, sent: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.settimeout(20)
        port = str(sock.getsockname()[1])
        assert run("udp-client", "--linger", "0", *options, HERE, port, data=data)[0] == 0
        assert [sock.recv(70_000) for _ in sent] == sent


def test_what_arrives_is_bytes_as_ever() -> None:
    with Program("echo", "--udp", "-p", "0") as echo:
        options = ("--expect", "1", HEX, HERE, str(echo.port))
        assert run("udp-client", *options, data=b"00 0a ff")[:2] == (0, b"\0\n\xff")


def test_faults_of_datagrams_name_their_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.settimeout(20)
        port = str(sock.getsockname()[1])
        status, _, said = run("udp-client", HEX, HERE, port, data=b"01\n02\n03 4z\n05\n")
        assert status == 65
        assert "line 3, column 5 of stdin: 'z'" in said
        assert [sock.recv(9), sock.recv(9)] == [b"\1", b"\2"]


def test_a_line_that_fits_no_datagram_is_not_cut() -> None:
    with Program("echo", "--udp", "-p", "0") as echo:
        long = b" " * 700_000 + b"41\n"
        status, _, said = run("udp-client", HEX, HERE, str(echo.port), data=b"41" + long)
        assert status == 55
        assert "655,070 bytes does not fit in a datagram" in said


def test_a_udp_server_answers() -> None:
    replies = Program("udp-server", "-p", "0", HEX, "--reply", "01 83")
    with replies as server, datagrams(server.port) as sock:
        sock.send(b"?")
        assert sock.recv(9) == b"\1\x83"
    reads = Program("udp-server", "-p", "0", ESCAPES, stdin=subprocess.PIPE)
    with reads as server, datagrams(server.port) as sock:
        sock.send(b"?")
        server.type(b"\\q\na\\0\n")
        assert sock.recv(9) == b"a\0"
        server.said("line 1, column 1 of stdin: \\q is not an escape")


def test_echo_answers_by_rules_in_hexadecimal(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("# Modbus\n01 04*=01 84 01\nre:^T(.)=54 54\n")
    rules = ("--reply", "01 03*=01 83 02", "--rules", str(tmp_path / "rules"))
    with Program("echo", "--udp", "-p", "0", HEX, *rules) as echo, datagrams(echo.port) as sock:
        for question, answer in (
            (b"\1\3\0\0\0\1", b"\1\x83\2"),
            (b"\1\4\xff", b"\1\x84\1"),
            (b"T1", b"TT"),
            (b"\2", b"\2"),
        ):
            sock.send(question)
            assert sock.recv(99) == answer


def test_echo_answers_and_greets_with_escapes() -> None:
    rules = ("--greet", r"\x02你\u597d\x03", "--reply-re", r"^ADD (\d)=\x06\1")
    program = Program("echo", "--tcp", "-p", "0", "-E", "gbk", ESCAPES, *rules)
    with program as echo, connect(echo.port) as sock:
        assert read_exactly(sock, 6) == b"\2" + "你好".encode("gbk") + b"\3"
        sock.sendall(b"ADD 7\n")
        assert read_exactly(sock, 3) == b"\x067\n"


# At a terminal.


def test_a_line_that_is_wrong_is_refused_and_the_next_one_goes(tmp_path: Path) -> None:
    with client(tmp_path, HEX) as (screen, sock):
        screen.type(f"48 6g{ENTER}")
        screen.shows("this line was not sent: line 1, column 5 of stdin: 'g' is not")
        screen.type(f"48 123{ENTER}48,69{ENTER}1 2{ENTER}")
        assert read_exactly(sock, 4) == b"Hi\1\2"
        sock.close()
        assert screen.status() == 65


def test_escapes_are_typed(tmp_path: Path) -> None:
    with client(tmp_path, ESCAPES, "-E", "gbk", "-C") as (screen, sock):
        screen.type(f"a\\q{ENTER}你\\x41\\n{ENTER}")
        screen.shows("this line was not sent: line 1, column 2 of stdin: \\q is not")
        assert read_exactly(sock, 6) == "你A\n\r\n".encode("gbk")
        sock.close()
        assert screen.status() == 65


def test_the_operator_types_bytes(tmp_path: Path) -> None:
    with Screen(tmp_path, "tcp-server", "-p", "0", HEX) as screen:
        screen.shows("listening on ")
        port = int(screen.text.split("listening on ")[1].split()[0].rpartition(":")[2])
        with connect(port) as sock:
            screen.shows("connected")
            screen.type(f"@1 48 06{ENTER}/hex 4 5{ENTER}/hex 01 03 0{ENTER}41 4g{ENTER}42{ENTER}")
            screen.shows("column 5 of stdin: 'g'")
            screen.shows("column 7: the digit '0' is left over")
            assert read_exactly(sock, 5) == b"H\6\4\5B"
            screen.type("\x04")
            assert screen.status() == 65


def test_without_an_editor(tmp_path: Path) -> None:
    with (
        Terminal() as terminal,
        conversation("tcp-client", HEX, "--no-edit", stdin=terminal.child) as (program, sock),
    ):
        terminal.type(b"48 06\nzz\n0x69\n")
        assert read_exactly(sock, 3) == b"H\6i"
        program.said("this line was not sent: line 2, column 1 of stdin")
        terminal.type(b"\x04")
        sock.close()
        assert program.status() == 65


def test_the_last_line_of_an_operator_needs_no_end() -> None:
    with (
        Terminal() as terminal,
        conversation("tcp-server", HEX, "--no-edit", stdin=terminal.child) as (program, sock),
    ):
        sock.sendall(b"here\n")
        assert program.process.stdout
        assert program.process.stdout.readline().endswith(b"here\n")  # it is a client by now
        terminal.type(b"48 0x5\x04\x04")
        assert read_all(sock) == b"H\5"
        sock.close()
        assert program.status() == 0
