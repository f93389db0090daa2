"""Recordings as whole programs make and show them. tshark must read the packets."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.core.json_lines import JsonLines
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
from tests.support import HERE, SOCKKIT, WAIT, Program, eventually, gone, need, run

NOW = 1_769_860_799_000_001
SECOND = 1_000_000
TSHARK_WAIT = 3 * WAIT  # it reads hundreds of files to start, which takes long on a busy machine
CHECKS = [word for name in ("ip", "tcp", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]


def shown(*arguments: str | Path, **more: object) -> tuple[int, bytes, str]:
    return run("show", *map(str, arguments), **more)  # type: ignore[arg-type]


def write(path: Path, records: list[Record]) -> Path:
    path.write_bytes(b"".join(map(JsonLines().show, records)))
    return path


def tshark(path: Path, *arguments: str) -> str:
    """What tshark says of a file."""
    told = subprocess.run(
        [need("tshark"), "-n", "-r", path, *CHECKS, *arguments],
        capture_output=True, text=True, timeout=TSHARK_WAIT,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


def wrong(path: Path, *more: str) -> str:
    """The packets in which tshark finds a wrong checksum or number, or `more`."""
    bad = " or ".join(f"{name}.checksum.status == 0" for name in ("ip", "tcp", "udp"))
    flags = "tcp.analysis.flags and not tcp.analysis.reused_ports"
    unsure = " or ".join(f"({name} and not {name}.checksum.status == 1)" for name in ("tcp", "udp"))
    return tshark(path, "-Y", " or ".join([bad, unsure, flags, *more]))


def followed(path: Path, protocol: str, count: int = 1) -> list[tuple[bytes, bytes]]:
    """What each side of each stream has sent, the one that began first, as tshark puts it together.

    One run of it is for all streams: it takes half a second to start.
    """
    streams = [("-z", f"follow,{protocol},raw,{number}") for number in range(count)]
    told = tshark(path, "-q", *(word for stream in streams for word in stream))
    found: dict[int, tuple[bytes, bytes]] = {}
    for part in told.split("Filter: ")[1:]:
        about, *lines = part.splitlines()
        first = [line for line in lines if line and set(line) <= set("0123456789abcdef")]
        other = [line[1:] for line in lines if line.startswith("\t")]
        sides = bytes.fromhex("".join(first)), bytes.fromhex("".join(other))
        found[int(about.removeprefix(f"{protocol}.stream eq "))] = sides
    return [found[number] for number in range(count)]


STREAMS = [
    ("tcp", Stream(0, "tcp", "10.0.0.1:40000", "10.0.0.2:7007", dialled=True)),
    ("tcp", Stream(3, "tcp", "[::1]:7007", "[fe80::1%eth0]:40000", dialled=False)),
    ("tcp", Stream(0, "unix", "unix", "unix:/run/it.sock", dialled=True)),
    ("udp", Stream(0, "udp", "10.0.0.1:40000", "10.0.0.2:7007", dialled=True)),
    ("udp", Stream(2, "udp", "[::]:7007", "[2001:db8::1]:40000", dialled=False)),
    ("udp", Stream(1, "udp", "0.0.0.0:7007", "10.0.0.2:40000", dialled=False)),
    ("udp", Stream(1, "unix-datagram", "unix:/run/it.sock", "unix:@there", dialled=False)),
]


def run_of(stream: Stream, began: int, most: int) -> tuple[list[Record], tuple[bytes, bytes]]:
    """The records of a run with one stream, and what each side sent, the one that began first."""
    noise = random.Random(14)
    records: list[Record] = [Begun(began, "test"), Opened(began, stream)]
    passed: dict[Direction, bytes] = {"sent": b"", "received": b""}
    first: Direction = "sent" if stream.dialled else "received"
    for place, size in enumerate([5, 1, 1400, most, 0, 3, 65_000, most]):
        direction: Direction = first if place == 0 else noise.choice(["sent", "received"])
        data = noise.randbytes(size)
        passed[direction] += data
        records.append(Message(began + place, stream, direction, data))
    end = began + 9
    records += [Ended(end, stream, "received"), Closed(end, stream), Exit(end, 0)]
    sent, received = passed["sent"], passed["received"]
    return records, (sent, received) if stream.dialled else (received, sent)


def test_tshark_follows_every_kind_of_stream(tmp_path: Path) -> None:
    """One recording of a run for each: tshark takes half a second to start."""
    records: list[Record] = []
    sides: dict[str, list[tuple[bytes, bytes]]] = {"tcp": [], "udp": []}
    for number, (protocol, stream) in enumerate(STREAMS):
        most = 65_507 if protocol == "udp" else 200_000
        more, both = run_of(stream, NOW + 10 * number, most)
        records += more
        sides[protocol].append(both)
    path = tmp_path / "out.pcapng"
    assert shown(write(tmp_path / "it.rec", records), "--pcap", path) == (0, b"", "")
    assert wrong(path, "_ws.malformed") == ""
    for protocol, expected in sides.items():
        assert followed(path, protocol, len(expected)) == expected


def test_streams_of_several_runs_do_not_mix(tmp_path: Path) -> None:
    """The first run was killed, and the second has a connection between the same ports."""
    stream = STREAMS[0][1]
    other = stream._replace(number=1, remote="10.0.0.3:7007")
    records: list[Record] = []
    for text in (b"one", b"two"):
        records += [Begun(NOW, "test"), Opened(NOW, stream), Opened(NOW, other)]
        records += [Message(NOW, it, "sent", text + it.remote.encode()) for it in (stream, other)]
        records += [Message(NOW, stream, "received", text)]
    records += [Closed(NOW + SECOND, stream, "received")]
    path = tmp_path / "out.pcapng"
    status, _, told = shown(write(tmp_path / "it.rec", records), "--pcap", path)
    assert status == 0
    assert "it has no end" in told
    assert wrong(path) == ""
    assert followed(path, "tcp", 4) == [
        (b"one10.0.0.2:7007", b"one"), (b"one10.0.0.3:7007", b""),
        (b"two10.0.0.2:7007", b"two"), (b"two10.0.0.3:7007", b""),
    ]  # fmt: skip
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.comment"]
    special = tshark(path, "-Y", "tcp.flags.reset == 1 or frame.comment", *fields)
    assert special == "1769860800.000001000\t\n"


def test_a_comment_says_what_is_made_up(tmp_path: Path) -> None:
    stream = STREAMS[2][1]
    path = tmp_path / "out.pcapng"
    recording = write(tmp_path / "it.rec", [Begun(NOW, "x"), Opened(NOW, stream), Exit(NOW, 0)])
    assert shown(recording, "--pcap", path) == (0, b"", "")
    comments = tshark(path, "-T", "fields", "-e", "frame.comment").strip()
    assert "unix:/run/it.sock is shown as 127.0.0.1 port 1" in comments


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[Program, str]]:
    with Program("tcp-server", "-p", "0", *options, stdin=subprocess.PIPE) as program:
        yield program, str(program.port)


def test_what_a_server_records(tmp_path: Path) -> None:
    """Two clients, one of which resets its connection; all of it is in the packets.

    It does not look at the recording meanwhile, which is up to a second behind.
    """
    path, packets = tmp_path / "it.rec", tmp_path / "out.pcapng"
    with server("--record", str(path), "-v") as (program, port):
        assert program.process.stdout
        with socket.create_connection((HERE, int(port))) as one:
            one.sendall("你好\n".encode())
            assert program.process.stdout.readline() == "你好\n".encode()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        program.said("connection reset by peer")
        with socket.create_connection((HERE, int(port))) as two:
            two.sendall(b"\xff\0\x1b")
        program.said("peer closed (3 bytes received)")
        program.process.send_signal(signal.SIGINT)
        assert program.status() == 130
    status, out, told = shown(path)
    assert (status, told) == (0, "")
    assert "你好".encode() in out
    assert b"[1 127.0.0.1:" in out
    shown(path, "--pcap", packets)
    assert wrong(packets) == ""
    sides = followed(packets, "tcp", 2)
    assert [first for first, _ in sides] == ["你好\n".encode(), b"\xff\0\x1b"]
    assert tshark(packets, "-Y", "tcp.stream == 0 and tcp.flags.reset == 1")


def test_a_recording_is_shown_in_the_encoding_of_its_run(tmp_path: Path) -> None:
    """To a pipe in the user's encoding, with what no terminal should get; to a terminal without."""
    path = tmp_path / "it.rec"
    options = ["--once", "-E", "gbk", "--record", str(path)]
    for more in ([], ["--append"]):
        with server(*options, *more) as (program, port):
            with socket.create_connection((HERE, int(port))) as client:
                client.sendall("再见\n\x1b[2J\n".encode("gbk"))
            program.end_input()
            assert program.output() == "再见\n\x1b[2J\n".encode()
            assert program.status() == 0
    status, out, told = shown(path)
    assert (status, told) == (0, "")
    assert [line.split(b" ", 3)[-1] for line in out.splitlines() if b"] \xe5" in line] == [
        "再见".encode()
    ] * 2
    assert out.count(b" \x1b[2J\n") == 2
    assert len([line for line in out.splitlines() if line.endswith(b" tcp-server started")]) == 1
    status, out, told = shown("--received", "--peer", "7", "--peer", "1", path)
    assert told == f"* {path}: no peer 7\n"
    assert shown("--since", "2999-01-01", path) == (0, b"", f"* {path}: nothing matches\n")


def test_a_kill_loses_the_last_second_at_the_most(tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    with (
        server("--record", str(path)) as (program, port),
        socket.create_connection((HERE, int(port))) as client,
    ):
        client.sendall(b"hello\n")
        eventually(lambda: b"hello" in path.read_bytes())
        program.process.kill()
        assert program.status() == 137
    status, out, told = shown(path)
    assert status == 0
    assert b"hello\n" in out
    assert "it has no end: the command was killed or is still running" in told
    with path.open("ab") as file:
        file.write(b'{"sockkit":1,"time":"2026')
    assert "its last line is incomplete" in shown(path)[2]
    with server("--record", str(path), "--append") as (program, port):
        program.process.send_signal(signal.SIGINT)
        assert program.status() == 130
    status, out, told = shown("--json", path)
    assert (status, told) == (0, "")
    assert out.count(b'"event":"begun"') == 2


def test_a_recording_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    with server("--record", str(path)) as (_, port):
        eventually(lambda: path.exists())
        with Program("show", "--follow", "--json", str(path)) as follower:
            assert follower.process.stdout
            with socket.create_connection((HERE, int(port))) as client:
                client.sendall(b"hello\n")
                for line in follower.process.stdout:
                    if b'"text":"hello\\n"' in line:
                        break
            follower.process.send_signal(signal.SIGINT)
            assert follower.status() == 130


def test_stdout_that_is_gone_or_full(tmp_path: Path) -> None:
    stream = STREAMS[0][1]
    many = [Message(NOW, stream, "sent", b"." * 1000)] * 1000
    path = write(tmp_path / "it.rec", [Begun(NOW, "x"), *many])
    with Program("show", str(path)) as program:
        assert program.process.stdout
        program.process.stdout.close()
        assert program.status() == 141
    with open("/dev/full", "wb") as full, Program("show", str(path), stdout=full) as program:
        gone(program, 23, "could not write stdout: no space left on device")
    with Program("show", "--follow", str(path)) as program:
        assert program.process.stdout
        program.process.stdout.read(100)
        program.process.stdout.close()
        assert program.status() == 141


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    stream = STREAMS[0][1]
    path = write(tmp_path / "it.rec", [Begun(NOW, "x"), Message(NOW, stream, "sent", b"hi\n")])
    with path.open("ab") as file:
        file.write(b"what?\n")
    status, out, told = shown(path)
    assert (status, out) == (1, b"> hi\n")
    why = "line 3: it is not JSON: head -n 2 FILE > NEW keeps the lines before it"
    assert told == f"sockkit: {path} is damaged: {why}\n"


def test_a_pipe_of_a_recording(tmp_path: Path) -> None:
    stream = STREAMS[0][1]
    path = write(tmp_path / "it.rec", [Begun(NOW, "x"), Message(NOW, stream, "sent", b"hi\n")])
    command = f"cat {path} | {SOCKKIT} show --pcap - | {need('tshark')} -n -r - 2>/dev/null"
    told = subprocess.run(["bash", "-c", command], capture_output=True, timeout=WAIT, check=True)
    assert told.stdout.count(b"\n") == 4
    command = f"{SOCKKIT} show <(cat {path})"
    told = subprocess.run(["bash", "-c", command], capture_output=True, timeout=WAIT, check=True)
    assert told.stdout == b"> hi\n"


@pytest.mark.torture
@pytest.mark.parametrize("view", [["--text"], ["--hex"], ["--json"], ["--pcap", "-"]])
def test_a_large_recording_is_shown_in_flat_memory(view: list[str], tmp_path: Path) -> None:
    stream, lines = STREAMS[0][1], JsonLines()
    messages = (Message(NOW, stream, "sent", os.urandom(1000)) for _ in range(1000))
    part = b"".join(map(lines.show, messages))
    path = write(tmp_path / "it.rec", [Begun(NOW, "x")])
    with path.open("ab") as file:
        for _ in range(60):
            file.write(part)
    with Program("show", *view, str(path)) as program:
        assert program.process.stdout
        size = 0
        while size < 50_000_000:
            size += len(program.process.stdout.read(1024 * 1024))
        assert program.peak() < 60 * 1024 * 1024
