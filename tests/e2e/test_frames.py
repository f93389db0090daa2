"""--frame as a user has it: what has a label, what is not mixed, what a rule answers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest

from tests.e2e.test_server import heard, joined
from tests.refusal import refusal
from tests.support import HERE, WAIT, Program, connect, conversation, read_all, read_exactly


def label(number: int, sock: socket.socket) -> bytes:
    return b"[%d %s:%d] " % (number, HERE.encode(), sock.getsockname()[1])


def test_frames_of_several_clients_have_labels() -> None:
    with (
        Program("tcp-server", "-v", "-p", "0", "--label", "--frame", "len:2be") as program,
        contextlib.ExitStack() as stack,
    ):
        one, two = joined(program, stack, 2)
        one.sendall(b"\0\3a")
        two.sendall(b"\0\2hi")
        expected = label(2, two) + b"\0\2hi\n"
        assert heard(program, len(expected)) == expected
        one.sendall(b"\nc\0")
        expected = label(1, one) + b"\0\3a\n    c\n"
        assert heard(program, len(expected)) == expected
        expected = label(1, one) + b"(cut) \0\n"
        one.close()
        assert heard(program, len(expected)) == expected


@pytest.mark.parametrize("spec", ["fixed:100", "start:aa55,len@2:2be"])
def test_frames_of_many_are_never_mixed(spec: str) -> None:
    """Without labels no byte is added, and each frame is one client's."""
    count, frames = 6, 200

    def talk(sock: socket.socket, number: int) -> None:
        data = (b"\xaa\x55\0\x60" + b"%d" % number * 96) * frames
        for at in range(0, len(data), 77):
            sock.sendall(data[at : at + 77])

    with (
        Program("tcp-server", "-v", "-p", "0", "--frame", spec) as program,
        contextlib.ExitStack() as stack,
    ):
        talkers = [
            threading.Thread(target=talk, args=[sock, number])
            for number, sock in enumerate(joined(program, stack, count))
        ]
        for talker in talkers:
            talker.start()
        out = heard(program, count * frames * 100)
        for talker in talkers:
            talker.join(WAIT)
    got = [out[at : at + 100] for at in range(0, len(out), 100)]
    assert {frame[4:] for frame in got} == {b"%d" % number * 96 for number in range(count)}
    assert {frame[:4] for frame in got} == {b"\xaa\x55\0\x60"}


def test_one_client_has_labels_at_once() -> None:
    """With --once nothing is held back, and a silence begins another frame."""
    once = ("tcp-server --once", "--label", "--frame", "gap:200ms")
    with conversation(*once) as (program, sock):
        begin = label(1, sock)
        sock.sendall(b"ab")
        assert heard(program, len(begin) + 2) == begin + b"ab"
        sock.sendall(b"cd")
        heard(program, 2)
        threading.Event().wait(0.4)
        sock.sendall(b"e")
        assert heard(program, len(begin) + 2) == b"\n" + begin + b"e"
        sock.shutdown(socket.SHUT_WR)
        assert program.output() == b"\n"
        assert program.status() == 0


def test_without_labels_a_client_writes_what_it_receives() -> None:
    data = os.urandom(300_000)
    with conversation("tcp-client", "-v", "--frame", "fixed:1000") as (program, sock):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert program.output() == data
        assert program.status() == 0
        assert "received 300 frames" in program.stderr


def by_tcp(port: int, data: bytes) -> bytes:
    with connect(port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


@pytest.mark.parametrize(
    ("options", "data", "answer"),
    [
        (["--frame", "nul", "--reply", "PING=PONG"], b"PING\0a\nb\0PING", b"PONG\0a\nb\0PING"),
        (["--frame", "fixed:4", "--reply", "PING=PONG"], b"PINGPINGP", b"PONGPONGP"),
        (["--frame", "delim:7c", "--upper"], b"a|b|c", b"A|B|c"),
        (["--frame", "len:1", "--close-after", "2"], b"\1a\2bc\1d", b"\1a\2bc"),
        (["--frame", "len:1", "--delay", "10ms"], b"\1a\2bc\1", b"\1a\2bc\1"),
    ],
)
def test_a_rule_of_echo_answers_a_frame(options: list[str], data: bytes, answer: bytes) -> None:
    with Program("echo", "--tcp", "-p", "0", *options) as program:
        assert by_tcp(program.port, data) == answer


def test_echo_answers_after_a_silence() -> None:
    rules = ("--frame", "gap:30ms", "--reply", "PING=PONG")
    with Program("echo", "-p", "0", *rules) as program, connect(program.port) as sock:
        sock.sendall(b"PI")
        sock.sendall(b"NG")
        assert read_exactly(sock, 4) == b"PONG"
        sock.sendall(b"PING")
        assert read_exactly(sock, 4) == b"PONG"


def test_echo_waits_for_a_whole_frame() -> None:
    with (
        Program("echo", "--tcp", "-p", "0", "--frame", "fixed:3") as program,
        connect(program.port) as sock,
    ):
        sock.sendall(b"ab")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(WAIT)
        sock.sendall(b"cd")
        assert read_exactly(sock, 3) == b"abc"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["udp-client", HERE, "9"], "a datagram is a frame already"),
        (["udp-server", "-p", "0"], "a datagram is a frame already"),
        (["echo", "--udp", "-p", "0"], "--frame cannot be used with --udp"),
    ],
)
def test_a_datagram_is_a_frame_already(arguments: list[str], says: str) -> None:
    status, out, err = refusal(*arguments, "--frame", "line")
    assert (status, out) == (2, b"")
    assert says in err
    assert err.count("\n") == 1


def test_a_wrong_spec_is_said_in_one_line() -> None:
    status, _, err = refusal("tcp-client", HERE, "9", "--frame", "len:2")
    assert status == 2
    assert "a length of 2 bytes needs a byte order: write len:2be (big endian) or len:2le" in err
    assert err.count("\n") == 1
