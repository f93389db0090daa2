"""Views of whole programs: what --hex, --json and --record show is what has passed."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import socket
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.json_lines import decode
from sockkit.core.records import Closed, Ended, Exit, Listening, Message, Record
from tests.dumps import flows
from tests.refusal import refusal
from tests.support import HERE, WAIT, Program, connect, eventually, reset, run

VIEWS = ["hex", "json", "record"]
EACH_VIEW = pytest.mark.parametrize("view", VIEWS)
PIECES = [1, 7, 65_536]
EACH_PIECE = pytest.mark.parametrize("size", PIECES, ids=["bytes", "sevens", "whole"])

Passed = dict[tuple[int, str], bytes]  # by the peer's number and the direction


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def records(lines: bytes) -> list[Record]:
    return [decode(line) for line in lines.splitlines()]


def messages(lines: bytes) -> list[Message]:
    return [record for record in records(lines) if isinstance(record, Message)]


class Looked:
    """A program that is looked at by `view`: its options, and what that has shown.

    It may show more than a pipe holds while nobody reads: `stdout` is a file.
    """

    def __init__(self, view: str, path: Path) -> None:
        self.view, self._recording, self._stdout = view, path / "a.rec", path / "stdout"
        self.options = [f"--{view}"] + ([str(self._recording)] if view == "record" else [])
        self.stdout = self._stdout.open("wb")

    def at(self, *arguments: str, **more: Any) -> Program:
        """The program, looked at."""
        return Program(*arguments, *self.options, stdout=self.stdout, **more)

    def keep(self, stdout: bytes) -> None:
        self._stdout.write_bytes(stdout)

    def shown(self) -> bytes:
        return self._stdout.read_bytes()

    def passed(self) -> Passed:
        """The bytes of each direction. A dump without labels is of peer 0."""
        stdout = self.shown()
        if self.view == "hex":
            names = {"<": "received", ">": "sent"}
            return {
                (int((re.findall(r"\[(\d+) ", label) or ["0"])[0]), names[mark]): data
                for (label, mark), data in flows(stdout).items()
            }
        found: Passed = defaultdict(bytes)
        lines = stdout if self.view == "json" else self._recording.read_bytes()
        for message in messages(lines):
            found[message.stream.number, message.direction] += message.data
        return dict(found)


@pytest.fixture(params=VIEWS)
def looked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Looked]:
    looked = Looked(request.param, tmp_path)
    with looked.stdout:
        yield looked


def stop(program: Program) -> None:
    program.process.send_signal(signal.SIGTERM)
    assert program.status() == 143


@contextlib.contextmanager
def connected(port: int):  # type: ignore[no-untyped-def]
    with socket.create_connection((HERE, port), WAIT) as peer:
        yield peer


def send_in(sock: socket.socket, data: bytes, size: int) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), size):
        sock.sendall(data[at : at + size])


def read_all(sock: socket.socket) -> bytes:
    found = bytearray()
    while data := sock.recv(65_536):
        found += data
    return bytes(found)


@EACH_PIECE
def test_a_client(looked: Looked, size: int) -> None:
    sent, received = noise(3000), noise(2000, 1)
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(WAIT)
        to = [HERE, str(listener.getsockname()[1])]
        with looked.at("tcp-client", *to, stdin=subprocess.PIPE) as client:
            peer, _ = listener.accept()
            with peer:
                send_in(peer, received, size)
                client.type(sent)
                client.end_input()
                assert read_all(peer) == sent
                peer.shutdown(socket.SHUT_WR)
            assert client.status() == 0
    assert looked.passed() == {(0, "sent"): sent, (0, "received"): received}
    if looked.view == "record":
        assert looked.shown() == received


@EACH_PIECE
def test_a_server_of_one(looked: Looked, size: int) -> None:
    sent, received = noise(3000), noise(2000, 1)
    with looked.at("tcp-server", "--once", "-p", "0", stdin=subprocess.PIPE) as server:
        with connected(server.port) as peer:
            server.type(sent)
            server.end_input()
            send_in(peer, received, size)
            peer.shutdown(socket.SHUT_WR)
            assert read_all(peer) == sent
        assert server.status() == 0
    number = 0 if looked.view == "hex" else 1
    assert looked.passed() == {(number, "sent"): sent, (number, "received"): received}


def test_a_server_of_many(looked: Looked) -> None:
    data = {number: noise(3000, number) for number in range(1, 10)}
    with looked.at("tcp-server", "-p", "0", "--reply", "ok") as server:
        for number in data:
            with connected(server.port) as peer:
                send_in(peer, data[number], PIECES[number % 3])
                peer.shutdown(socket.SHUT_WR)
                assert read_all(peer).startswith(b"ok")
        stop(server)
        passed = looked.passed()
    for number, received in data.items():
        assert passed[number, "received"] == received
        assert re.fullmatch(b"(ok)+", passed[number, "sent"])


@pytest.mark.parametrize(
    "rules", [[], ["--upper"], ["--greet", ""]], ids=["plain", "upper", "greet"]
)
def test_a_responder(looked: Looked, rules: list[str]) -> None:
    data = b"".join(b"Line %d\n" % number for number in range(300))
    with looked.at("echo", "--tcp", "-p", "0", *rules) as server:
        with connected(server.port) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            answer = read_all(peer)
        stop(server)
        passed = looked.passed()
    assert passed == {(1, "received"): data, (1, "sent"): answer}
    assert answer == (data.upper() if rules == ["--upper"] else data)


DATAGRAMS = [b"", b"a", noise(1400), noise(60_000), b"\xff\n"]


@pytest.mark.parametrize("command", ["udp-server", "echo"])
def test_datagrams_of_several_peers(looked: Looked, command: str) -> None:
    options = ["--reply", "ok"] if command == "udp-server" else ["--udp"]
    with (
        looked.at(
            command,
            "-p",
            "0",
            *options,
        ) as server,
        socket.socket(type=socket.SOCK_DGRAM) as first,
        socket.socket(type=socket.SOCK_DGRAM) as second,
    ):
        for peer in (first, second):
            peer.settimeout(WAIT)
            for datagram in DATAGRAMS:
                peer.sendto(datagram, (HERE, server.port))
                answer = peer.recv(65_536)
                assert answer == (b"ok" if command == "udp-server" else datagram)
        stop(server)
        passed = looked.passed()
    sent = b"ok" * len(DATAGRAMS) if command == "udp-server" else b"".join(DATAGRAMS)
    for number in (1, 2):
        assert passed[number, "received"] == b"".join(DATAGRAMS)
        assert passed[number, "sent"] == sent


def test_each_datagram_is_a_message(tmp_path: Path) -> None:
    with (
        Program("udp-server", "-p", "0", "--json") as server,
        socket.socket(type=socket.SOCK_DGRAM) as peer,
    ):
        for datagram in DATAGRAMS:
            peer.sendto(datagram, (HERE, server.port))
        server.said("listening")
        run("udp-client", "--linger", "0", HERE, str(server.port), data=b"last")
        assert server.process.stdout
        lines = [server.process.stdout.readline() for _ in range(len(DATAGRAMS) + 5)]
        assert [message.data for message in messages(b"".join(lines))] == [*DATAGRAMS, b"last"]


def test_a_client_of_datagrams(looked: Looked) -> None:
    data = noise(10_000)
    with Program("echo", "--udp", "-p", "0") as echo:
        options = ["--buffer-size", "1000", "--expect", "10", *looked.options]
        status, stdout, _ = run("udp-client", *options, HERE, str(echo.port), data=data)
        looked.keep(stdout)
    assert status == 0
    assert looked.passed() == {(0, "sent"): data, (0, "received"): data}


@pytest.mark.parametrize("udp", [[], ["--udp"]], ids=["tcp", "udp"])
def test_a_room_and_its_member(looked: Looked, udp: list[str], tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.rec"
    with looked.at(
        "chat",
        "serve",
        "-p",
        "0",
        *udp,
    ) as room:
        member = [*udp, "--name", "小雪", "--record", str(theirs)]
        status, _, _ = run("chat", "join", *member, HERE, str(room.port), data="你好\n".encode())
        assert status == 0
        stop(room)
        passed = looked.passed()
    seen = defaultdict(bytes)
    for message in messages(theirs.read_bytes()):
        seen[message.direction] += message.data
    assert "你好".encode() in seen["sent"]
    assert passed[1, "received"] == seen["sent"]
    assert passed.get((1, "sent"), b"").startswith(seen["received"])


def test_a_program_has_pipes_and_is_looked_at(looked: Looked) -> None:
    with looked.at("tcp-server", "-p", "0", "--exec", "cat") as server:
        with connected(server.port) as peer:
            peer.sendall(b"there and back")
            peer.shutdown(socket.SHUT_WR)
            assert read_all(peer) == b"there and back"
        stop(server)
        passed = looked.passed()
    assert passed == {(1, "received"): b"there and back", (1, "sent"): b"there and back"}


def test_tls_is_looked_at_as_plain_text(looked: Looked) -> None:
    with Program("echo", "--tls", "-p", "0") as echo:
        options = ["--tls", "--tls-insecure", *looked.options]
        status, stdout, _ = run("tcp-client", *options, HERE, str(echo.port), data=b"secret")
        looked.keep(stdout)
    assert status == 0
    assert looked.passed() == {(0, "sent"): b"secret", (0, "received"): b"secret"}


def test_json_says_where_it_listens_how_it_ends_and_the_status() -> None:
    with Program("tcp-server", "--once", "-p", "0", "--json") as server:
        with connected(server.port) as peer:
            peer.sendall(b"x")
        found = records(server.output())
        assert server.status() == 0
    assert next(record for record in found if isinstance(record, Listening)).address.startswith(
        HERE
    )
    assert {record.direction for record in found if isinstance(record, Ended)} == {
        "sent",
        "received",
    }
    assert [record.reset for record in found if isinstance(record, Closed)] == [""]
    assert [record.status for record in found if isinstance(record, Exit)] == [0]


def test_json_tells_a_reset_and_a_failure() -> None:
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(WAIT)
        to = [HERE, str(listener.getsockname()[1])]
        with Program("tcp-client", "--json", *to, stdin=subprocess.PIPE) as client:
            peer, _ = listener.accept()
            assert client.process.stdout
            begun = [client.process.stdout.readline() for _ in range(2)]
            assert b"opened" in begun[1]
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            found = records(client.output())
            assert client.status() == 56
    assert [record.reset for record in found if isinstance(record, Closed)] == ["received"]
    exit_record = found[-1]
    assert isinstance(exit_record, Exit)
    assert exit_record.status == 56
    assert "reset" in exit_record.error


def test_json_is_written_at_once() -> None:
    """A reader of a pipe need not wait for more."""
    with Program("tcp-server", "-p", "0", "--json") as server, connected(server.port) as peer:
        assert server.process.stdout
        peer.sendall(b"hello")
        while b'"text":"hello"' not in (line := server.process.stdout.readline()):
            assert line


def test_frames_are_messages() -> None:
    with Program("echo", "--tcp", "-p", "0") as echo:
        options = ["--json", "--frame", "len:1"]
        status, stdout, _ = run(
            "tcp-client", *options, HERE, str(echo.port), data=b"\1a\0\3abc\5ab"
        )
    assert status == 0
    sent = [(message.data, message.mark) for message in messages(stdout)[:4]]
    assert sent == [(b"\1a", ""), (b"\0", ""), (b"\3abc", ""), (b"\5ab", "cut")]


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    with (
        Program("echo", "--tcp", "-p", "0") as echo,
        Program("tcp-client", "-x", HERE, str(echo.port), stdin=subprocess.PIPE) as client,
    ):
        client.type(b"x")
        assert client.process.stdout
        client.process.stdout.readline()
        client.process.stdout.close()
        assert client.status() == 141
        assert client.stderr == ""


@pytest.mark.parametrize("option", ["-x", "--json"])
def test_a_full_disk_is_said(option: str) -> None:
    with (
        open("/dev/full", "wb") as full,
        Program("echo", "--tcp", "-p", "0") as echo,
        Program("tcp-client", option, HERE, str(echo.port), stdout=full) as client,
    ):
        assert client.status() == 23
        assert "no space left" in client.stderr


def test_a_slow_reader_holds_both_sides_back() -> None:
    """Nothing is read of a peer whose bytes could not be shown, and memory stays small."""
    with Program("echo", "--tcp", "-p", "0", "-x") as echo, connected(echo.port) as peer:
        peer.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            while True:  # until the buffers are full
                peer.sendall(bytes(1 << 20))
        with open(f"/proc/{echo.process.pid}/status") as status:
            resident = int(status.read().split("VmRSS:")[1].split()[0])
        assert resident < 60_000
        assert echo.process.stdout
        assert echo.process.stdout.read(100).startswith(b"< ")


@pytest.mark.parametrize(
    "command",
    [
        ["tcp-server", "-x"],
        ["tcp-server", "--json", "--exec", "cat"],
        ["echo", "--tcp", "-x"],
    ],
    ids=" ".join,
)
def test_peers_that_reset_cost_nothing_while_nobody_reads_the_view(command: list[str]) -> None:
    with Program(*command, "-p", "0") as server, contextlib.ExitStack() as stack:
        resetting = [stack.enter_context(connect(server.port)) for _ in range(20)]
        sender = stack.enter_context(connect(server.port))
        eventually(lambda: server.descriptors() > 21)
        sender.settimeout(1.0)
        with contextlib.suppress(TimeoutError):
            while True:  # until nothing more is read of it, so nothing more is shown
                sender.sendall(b"0123456789abcde\n" * 4096)
        held = server.descriptors()
        for sock in resetting:
            reset(sock)
        eventually(lambda: server.descriptors() <= held - 20)
        held, memory = server.descriptors(), server.resident()
        for _ in range(300):
            reset(connect(server.port))
        assert server.descriptors() <= held
        assert server.resident() < memory + 1_000_000
        read = threading.Thread(target=drain, args=(server.process.stdout,))
        read.start()
        stack.enter_context(connect(server.port))
        eventually(lambda: server.descriptors() > held)
        server.process.terminate()
        assert server.status() == 143
        read.join(WAIT)


def drain(stdout: Any) -> None:
    while stdout.read(65536):
        pass


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-x", "--json"], "--hex cannot be used with --json"),
        (["--json", "--timestamps"], "--json always shows the times"),
        (["--append"], "--append needs --record"),
        (["--frame", "fixed:0"], "fixed:0"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anybody_connects(
    arguments: list[str], told: str
) -> None:
    status, _, stderr = refusal("tcp-client", *arguments, HERE, "9")
    assert status == 2
    assert told in stderr


def test_lines_begin_with_the_time_on_request() -> None:
    with Program("echo", "--tcp", "-p", "0") as echo:
        to = [HERE, str(echo.port)]
        _, stdout, _ = run("tcp-client", "--timestamps", *to, data=b"one\ntwo\n")
        assert re.fullmatch(rb"\d\d:\d\d:\d\d one\n\d\d:\d\d:\d\d two\n", stdout)
        _, stdout, _ = run("tcp-client", "-x", "--timestamps", *to, data=b"one\n")
        assert re.match(rb"> \d\d:\d\d:\d\d\.\d{6} 4 bytes\n> 00000000", stdout)
