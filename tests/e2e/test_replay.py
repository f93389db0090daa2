"""Recordings as whole programs make and replay them, against real servers and our own."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.json_lines import JsonLines
from sockkit.core.recording import Reader
from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Message,
    Opened,
    Record,
    Stream,
)
from tests.refusal import refusal
from tests.support import (
    HERE,
    WAIT,
    Program,
    connect,
    datagrams,
    eventually,
    need,
    noise,
    peer,
    read_all,
    read_exactly,
    run,
)

NOW = 1_769_860_799_000_001
SECOND = 1_000_000
CLIENT = Stream(0, "tcp", "10.0.0.1:40000", "10.0.0.2:7007", dialled=True)
UDP = CLIENT._replace(transport="udp")
PACES = [["--speed", "max"], ["--speed", "2"], [], ["--lockstep"]]
QUICK = [["--speed", "max"], ["--lockstep"]]
BOTH: tuple[Direction, Direction] = ("received", "sent")
SAME = (0, b"", "")

paces = pytest.mark.parametrize("pace", PACES, ids="_".join)


def write(path: Path, *records: Record) -> str:
    path.write_bytes(b"".join(map(JsonLines().show, [Begun(NOW, "test"), *records, Exit(NOW, 0)])))
    return str(path)


def kept(path: Path) -> list[Record]:
    """The records in a file."""
    reader = Reader(str(path), 0)
    return [line.record for line in [*reader.feed(path.read_bytes()), *reader.flush()]]


def replay(*arguments: str | Path | int, **more: object) -> tuple[int, bytes, str]:
    return run("replay", *map(str, arguments), **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def playing(*arguments: str | Path) -> Iterator[Program]:
    """A replay that serves."""
    with Program("replay", "--serve", "-p", "0", *map(str, arguments)) as program:
        yield program


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it.rec"


def read_until(sock: socket.socket, text: str) -> None:
    """Receive GBK from `sock` until `text` has come."""
    got = b""
    while text.encode("gbk") not in got:
        data = sock.recv(4096)
        assert data
        got += data


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Debian's redis-server, fresh; gives its address."""
    place = folder / "redis.sock"
    command = [need("redis-server"), "--port", "0", "--unixsocket", str(place), "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        eventually(place.exists)
        yield f"unix:{place}"
    finally:
        server.kill()
        server.wait(WAIT)


COMMANDS = "SET a 你好\r\nGET a\r\nINCR n\r\nRPUSH l 1 2 3\r\nLRANGE l 0 -1\r\nFLUSHALL\r\nQUIT\r\n"


def test_a_recording_of_redis(path: Path, tmp_path: Path) -> None:
    with redis(tmp_path) as address:
        with Program("tcp-client", "--record", str(path), address, stdin=subprocess.PIPE) as client:
            assert client.process.stdout
            for line in COMMANDS.splitlines(keepends=True):
                client.type(line.encode())
                client.process.stdout.readline()
            client.end_input()
            assert client.status() == 0
        for pace in QUICK:
            assert replay("--verify", *pace, path, address) == SAME
        status, out, _ = replay(path, address)
        assert status == 0
        assert out.startswith("+OK\r\n$6\r\n你好\r\n:1\r\n:3\r\n*3\r\n".encode())
        run("tcp-client", address, data=b"SET n 41\r\n")
        status, out, told = replay("--verify", path, address)
        assert (status, told) == (1, "sockkit: the answer differs at byte 18\n")
        assert b"\nexpected:\n" in out
        assert b"\ngot:\n" in out
        assert b":42..:3" in out


def test_a_recording_of_http_is_served(path: Path, tmp_path: Path) -> None:
    """A live answer would differ in its Date."""
    (tmp_path / "a").write_bytes("<h1>你好</h1>".encode())
    (tmp_path / "b").write_bytes(noise(300_000))
    answers = []
    script = (
        "from http.server import *; from functools import partial;"
        f"s = HTTPServer(('{HERE}', 0), partial(SimpleHTTPRequestHandler, directory='{tmp_path}'));"
        "print(s.server_port, flush=True); s.serve_forever()"
    )
    with Program(command=["python3", "-c", script]) as web:
        assert web.process.stdout
        port = web.process.stdout.readline().decode().strip()
        for name in "ab":
            request = f"GET /{name} HTTP/1.0\r\n\r\n".encode()
            more = ["--record", str(path), *(["--append"] if answers else [])]
            answers.append(run("tcp-client", *more, HERE, port, data=request)[1])
    with playing(path) as server:
        for name, answer in zip("abab", answers * 2, strict=True):
            url = f"http://{HERE}:{server.port}/{name}"
            told = subprocess.run(
                [need("curl"), "-s", "-i", url], capture_output=True, timeout=WAIT, check=True
            )
            assert told.stdout == answer
        for pace in QUICK:
            assert replay("--verify", *pace, path, HERE, server.port) == SAME


@paces
def test_a_gbk_chat(pace: list[str], path: Path) -> None:
    """A conversation in GBK between two of ours, recorded by the client."""
    said = [("你好", "您好"), ("再见", "明天见")]
    address = ("-p", "0", "-E", "gbk")
    with Program("tcp-server", "--once", *address, stdin=subprocess.PIPE) as server:
        arguments = ["--record", str(path), "-E", "gbk", HERE, str(server.port)]
        with Program("tcp-client", *arguments, stdin=subprocess.PIPE) as client:
            assert server.process.stdout
            assert client.process.stdout
            for question, answer in said:
                client.type(f"{question}\n".encode())
                assert server.process.stdout.readline().decode() == f"{question}\n"
                server.type(f"{answer}\n".encode())
                assert client.process.stdout.readline().decode() == f"{answer}\n"
            client.end_input()
            server.end_input()
            assert client.status() == server.status() == 0
    answers = iter([answer.encode("gbk") + b"\n" for _, answer in said])

    def serve(sock: socket.socket) -> None:
        for question, _ in said:
            assert read_exactly(sock, 5) == question.encode("gbk") + b"\n"
            sock.sendall(next(answers))
        assert sock.recv(1) == b""

    if "max" in pace:  # then the second question does not wait for the first answer
        with peer(serve) as port:
            assert replay("--verify", *pace, path, HERE, port) == SAME
    else:
        with playing("--verify", "--once", path) as again:
            assert replay("--verify", *pace, path, HERE, again.port) == SAME
            assert again.status() == 0


def test_a_gbk_chat_room_with_two_members(path: Path) -> None:
    """Recorded by the server: each member is a connection of its own, in step with the other."""
    with Program("chat", "serve", "-p", "0", "-E", "gbk", "--record", str(path)) as room:
        with connect(room.port) as one, connect(room.port) as two:
            one.sendall("大家好\n".encode("gbk"))
            read_until(two, "大家好\n")
            two.sendall("你好\n".encode("gbk"))
            read_until(one, "你好\n")
            two.shutdown(socket.SHUT_WR)
            read_until(one, " left")  # before it leaves itself
            one.shutdown(socket.SHUT_WR)
            read_all(one)
            read_all(two)
        room.process.send_signal(signal.SIGINT)
        assert room.status() == 130
    with Program("chat", "serve", "-p", "0", "-E", "gbk") as room:
        assert replay("--verify", "--lockstep", path, HERE, room.port) == SAME


def test_a_udp_exchange(path: Path) -> None:
    """Datagrams keep their boundaries, and empty ones count."""
    with Program("echo", "--udp", "-p", "0") as echo:
        record = ["--record", str(path), "--lines", "--expect", "4"]
        data = "一\n\ntwo\n三三\n".encode()
        assert run("udp-client", *record, HERE, str(echo.port), data=data)[0] == 0
        for pace in QUICK:
            assert replay("--verify", *pace, path, HERE, echo.port) == SAME
        assert replay(path, HERE, echo.port) == (0, "一two三三".encode(), "")
    with playing(path) as server:
        assert replay("--verify", path, HERE, server.port) == SAME
        with datagrams(server.port) as sock:
            said = ["一".encode(), b"", b"two", "三三".encode()]
            for datagram in said:
                sock.send(datagram)
            assert [sock.recv(100) for _ in said] == said


def test_a_datagram_that_differs_or_is_missing(path: Path) -> None:
    with Program("echo", "--udp", "-p", "0") as echo:
        sent = [Message(NOW, UDP, "sent", data) for data in (b"one", b"two")]
        answers = [Message(NOW, UDP, "received", data) for data in (b"one", b"tWo")]
        recording = write(path, Opened(NOW, UDP), *sent, *answers)
        status, out, told = replay("--verify", recording, HERE, echo.port)
        assert (status, told) == (1, "sockkit: the answer differs at byte 1 of datagram 2\n")
        assert b"74 57 6f" in out
        more = Message(NOW, UDP, "sent", b"end")
        recording = write(path, Opened(NOW, UDP), sent[0], *[answers[0]] * 2, more)
        status, _, told = replay("--lockstep", "-i", "1", recording, HERE, echo.port)
        lacks = "nothing was received for 1 s: the answer has 1 of 2 datagrams"
        assert (status, told) == (28, f"sockkit: {lacks}\n")
        status, _, told = replay("--verify", recording, HERE, echo.port)
        assert (status, told) == (1, "sockkit: the answer differs at byte 0 of datagram 2\n")


def answering(answer: bytes) -> Iterator[int]:
    def serve(sock: socket.socket) -> None:
        read_all(sock)
        sock.sendall(answer)

    with peer(serve) as port:
        yield port


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"hello world\n", ""),
        (b"hello World\n", "the answer differs at byte 6"),
        (b"hello", "the answer ended after 5 of 12 bytes"),
        (b"", "the answer ended after 0 of 12 bytes"),
        (b"hello world\nmore", "the answer goes on after 12 bytes"),
    ],
)
@paces
def test_the_first_difference(answer: bytes, told: str, pace: list[str], path: Path) -> None:
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"hi\n"),
        Ended(NOW, CLIENT, "sent"),
        Message(NOW, CLIENT, "received", b"hello "),
        Message(NOW, CLIENT, "received", b"world\n"),
        Ended(NOW, CLIENT, "received"),
        Closed(NOW, CLIENT),
    )
    for port in answering(answer):
        status, out, error = replay("--verify", *pace, recording, HERE, port)
        assert (status, error) == ((1, f"sockkit: {told}\n") if told else (0, ""))
        assert out.startswith(b"first difference at byte") == bool(told)
        assert (b"\n! " in out) == bool(told)


def test_a_rest_that_does_not_come(path: Path) -> None:
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "received", b"hello"),
        Message(NOW, CLIENT, "sent", b"hi"),
        Closed(NOW, CLIENT),
    )

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"hel")
        read_all(sock)

    lacks = "nothing was received for 1 s: the answer has 3 of 5 bytes"
    with peer(serve) as port:
        for how in ("--verify", "--lockstep"):
            told = replay(how, "-i", "1", recording, HERE, port)[::2]
            assert told == (28, f"sockkit: {lacks}\n")
        assert replay("-i", "1", recording, HERE, port) == (0, b"hel", f"* {lacks}\n")


def test_the_recorded_pauses(path: Path) -> None:
    """They are kept from the first record on; --speed shortens them."""
    recording = write(
        path,
        Opened(NOW, CLIENT),
        *(Message(NOW + 100_000 * n, CLIENT, "sent", b"%d" % n) for n in range(4)),
        Closed(NOW + 300_000, CLIENT),
    )
    hours = [Message(NOW + 3600 * SECOND * n, CLIENT, "sent", b"%d" % n) for n in range(4)]
    long = write(path.with_suffix(".long"), Opened(NOW, CLIENT), *hours)
    took = 0.0

    def serve(sock: socket.socket) -> None:
        nonlocal took
        read_exactly(sock, 1)
        began = time.monotonic()
        read_exactly(sock, 3)
        took = time.monotonic() - began
        read_all(sock)

    with peer(serve) as port:

        def took_more_than(seconds: float, *options: str) -> bool:
            """A server that is itself held up sees less: then it looks again."""
            for _ in range(5):
                assert replay(*options, recording, HERE, port)[0] == 0
                if took > seconds:
                    return True
            return False

        assert took_more_than(0.25)
        assert took_more_than(0.08, "--speed", "3")
        assert replay("--speed", "max", long, HERE, port)[0] == 0
        assert replay("--speed", "1000000", long, HERE, port)[0] == 0


@paces
def test_a_half_close_and_a_reset(pace: list[str], path: Path) -> None:
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"half"),
        Ended(NOW, CLIENT, "sent"),
        Message(NOW, CLIENT, "received", b"answer"),
        Closed(NOW, CLIENT),
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"reset"),
        Message(NOW, CLIENT, "received", b"answer"),
        Closed(NOW, CLIENT, "sent"),
    )
    ends = []

    def serve(sock: socket.socket) -> None:
        first = sock.recv(4)
        try:
            if first == b"half":
                ends.append(sock.recv(1))
                sock.sendall(b"answer")
            else:
                read_exactly(sock, 1)
                sock.sendall(b"answer")
                sock.recv(1)
        except ConnectionResetError:
            ends.append(b"reset")

    with peer(serve) as port:
        assert replay("--verify", *pace, recording, HERE, port) == SAME
    assert ends == [b"", b"reset"]


def test_a_peer_of_a_server_s_recording(path: Path) -> None:
    """Each peer gets a connection; --peer chooses some."""
    streams = [Stream(n, "tcp", "10.0.0.1:7", f"10.0.0.2:{n}", dialled=False) for n in (1, 2)]
    records: list[Record] = [Opened(NOW, stream) for stream in streams]
    for stream in streams:
        text = b"peer %d" % stream.number
        records += [Message(NOW, stream, "received", text), Message(NOW, stream, "sent", text)]
    recording = write(path, *records, *(Closed(NOW, stream) for stream in streams))
    got = []
    with Program("echo", "-p", "0") as echo:
        for more in ([], ["--peer", "2"], ["--lockstep"]):
            assert replay("--verify", *more, recording, HERE, echo.port) == SAME
            got.append(replay(*more, recording, HERE, echo.port)[1])
        status, _, told = replay("--peer", "3", recording, HERE, echo.port)
        lacks = "has no peer 3: its peers are 1, 2"
        assert (status, told) == (2, f"sockkit: {recording} {lacks}\n")
    assert [sorted(got[0]), got[1]] == [sorted(b"peer 1peer 2"), b"peer 2"]


def test_peers_are_numbered_and_labelled_where_there_are_several(path: Path) -> None:
    for transport in ("tcp", "udp"):
        streams = [Stream(n, transport, "10.0.0.1:7", f"10.0.0.2:{n}", False) for n in (3, 5)]
        records: list[Record] = []
        for stream in streams:
            records += [Message(NOW, stream, way, b"%d" % stream.number) for way in BOTH]
        recording = write(path, *records, *(Closed(NOW, stream) for stream in streams))
        again = path.with_suffix(f".{transport}")
        with Program("echo", "-p", "0") as echo:
            to = ("--speed", "max", recording, HERE, echo.port)
            labelled = replay("-x", "--record", again, *to)[1].decode().splitlines()
            for number in (3, 5):
                # Our own address is what differs.
                line = rf"[<>] \[{number} {HERE}:\d+\] 1 byte"
                assert {each[0] for each in labelled if re.fullmatch(line, each)} == {"<", ">"}
            plain = replay("-x", "--peer", 5, *to)[1]
        assert b"[" not in plain
        assert plain.count(b"00000000  35") == 2
        numbers = {record.stream.number for record in kept(again) if isinstance(record, Message)}
        assert numbers == {3, 5}


def test_a_server_that_is_played_checks_its_clients(path: Path) -> None:
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"question"),
        Message(NOW, CLIENT, "received", b"answer"),
        Closed(NOW, CLIENT),
    )
    with playing("--verify", recording) as server:
        for question, answer in ((b"question", b"answer"), (b"quesTion", b"")):
            with connect(server.port) as sock:
                sock.sendall(question)
                sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    assert read_all(sock) == answer
        server.said("what the client sent differs at byte 4")
        server.process.terminate()
        assert b"first difference at byte 4" in server.output()
        assert server.status() == 143
    with playing("--verify", "--once", recording) as server:
        with connect(server.port) as sock:
            sock.sendall(b"other")
            with contextlib.suppress(ConnectionResetError):
                read_all(sock)
        assert server.status() == 1
        assert server.stderr.endswith("sockkit: what the client sent differs at byte 0\n")


def test_a_large_recording_in_flat_memory(path: Path) -> None:
    data = noise(20_000_000)
    with Program("echo", "-p", "0") as echo:
        assert run("tcp-client", "--record", str(path), HERE, str(echo.port), data=data)[1] == data
        with Program("replay", "--verify", "--speed", "max", str(path), HERE, str(echo.port)) as it:
            assert it.output() == b""
            assert it.status() == 0


def test_what_is_no_recording_or_is_damaged(path: Path, tmp_path: Path) -> None:
    with Program("echo", "-p", "0") as echo:
        port = echo.port
        path.write_bytes(b"what?\n")
        told = replay(path, HERE, port)
        assert told == (
            1,
            b"",
            f"sockkit: {path} is not a sockkit recording: line 1: it is not JSON: "
            "give a file that --record has made\n",
        )
        recording = write(path, Opened(NOW, CLIENT), Message(NOW, CLIENT, "sent", b"hi\n"))
        with path.open("ab") as file:
            file.write(b"what?\n")
        status, _, error = replay(recording, HERE, port)
        why = "line 5: it is not JSON: head -n 4 FILE > NEW keeps the lines before it"
        assert (status, error) == (1, f"sockkit: {path} is damaged: {why}\n")
        write(path)
        assert replay(path, HERE, port)[::2] == (
            1,
            f"sockkit: {path} has no connection to replay: record one with --record\n",
        )
        write(path, Opened(NOW, CLIENT), Message(NOW, CLIENT, "sent", b"hi\n"))
        path.write_bytes(path.read_bytes()[:-100] + b'{"sockkit":1,')
        status, out, error = replay("-i", "0.2", path, HERE, port)
        assert (status, out, error) == (0, b"", f"* {path}: its last line is incomplete\n")
        status, _, error = replay(tmp_path, HERE, port)
        assert status == 2


def test_a_reader_that_leaves_and_a_full_disk(path: Path) -> None:
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", noise(1_000_000)),
        Message(NOW, CLIENT, "received", noise(1_000_000)),
        Closed(NOW, CLIENT),
    )
    with Program("echo", "-p", "0") as echo:
        with Program("replay", recording, HERE, str(echo.port)) as program:
            assert program.process.stdout
            program.process.stdout.close()
            assert program.status() == 141
        with (
            open("/dev/full", "wb") as full,
            Program("replay", recording, HERE, str(echo.port), stdout=full) as program,
        ):
            assert program.status() == 23


def test_nobody_listens(path: Path) -> None:
    recording = write(path, Opened(NOW, CLIENT), Message(NOW, CLIENT, "sent", b"hi\n"))
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        status, _, told = replay(recording, HERE, sock.getsockname()[1])
    assert status == 7
    assert "connection refused" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lockstep", "--speed", "2", HERE, "9"], "cannot be used with"),
        (["--speed", "0", HERE, "9"], "'0' is not a speed"),
        (["--speed", "nan", HERE, "9"], "'nan' is not a speed"),
        (["--once", HERE, "9"], "--once needs --serve"),
        (["-p", "0", HERE, "9"], "--port needs --serve"),
        (["--serve", "-p", "0", HERE, "9"], "--serve takes no address"),
        (["--serve"], "no port to listen on"),
        (["--serve", "-p", "0", "--source", HERE], "--source cannot be used with --serve"),
    ],
)
def test_options_that_mean_nothing(arguments: list[str], told: str, path: Path) -> None:
    recording = write(path, Opened(NOW, CLIENT))
    status, _, error = refusal("replay", str(recording), *arguments)
    assert status == 2
    assert told in error


def test_a_client_of_a_played_server_that_sends_less(path: Path) -> None:
    """The end of its side is an answer to the wait; silence is bounded by -i."""
    recording = write(
        path,
        Opened(NOW, CLIENT),
        Message(NOW, CLIENT, "sent", b"question"),
        Message(NOW, CLIENT, "received", b"answer"),
        Closed(NOW, CLIENT),
    )
    with playing(recording) as server, connect(server.port) as sock:
        sock.sendall(b"que")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"answer"
    with playing("--once", "-i", "1", recording) as server, connect(server.port) as sock:
        sock.sendall(b"que")
        assert read_all(sock) == b""
        assert server.status() == 28
        assert "what the client sent has 3 of 8 bytes" in server.stderr
