"""sockkit at one end, ncat, nc, socat or sockkit itself at the other."""

from __future__ import annotations

import filecmp
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import HERE, Program, eventually, need

MIB = 1024 * 1024
PIPE = subprocess.PIPE
LISTEN = "0A"  # the state in /proc/net/tcp


class Peer(NamedTuple):
    """The command lines of another program; {} stands for the port."""

    name: str
    serve: str
    take: str
    talk: str
    send: str

    def command(self, line: str, port: int) -> list[str]:
        path = need("nc.openbsd") if self.name == "nc" else need(self.name)
        return [path, *line.format(port).split()]


NCAT = Peer(
    "ncat",
    serve="-l 127.0.0.1 {}",
    take="-l --recv-only 127.0.0.1 {}",
    talk="127.0.0.1 {}",
    send="--send-only 127.0.0.1 {}",
)
NC = Peer(
    "nc",
    serve="-N -l 127.0.0.1 {}",
    take="-N -l 127.0.0.1 {}",
    talk="-N 127.0.0.1 {}",
    send="-N 127.0.0.1 {}",
)
SOCAT = Peer(
    "socat",
    serve="TCP-LISTEN:{},bind=127.0.0.1 STDIO",
    take="-u TCP-LISTEN:{},bind=127.0.0.1 STDOUT",
    talk="TCP:127.0.0.1:{} STDIO",
    send="-u STDIN TCP:127.0.0.1:{}",
)
each_peer = pytest.mark.parametrize("peer", [NCAT, NC, SOCAT], ids=lambda peer: peer.name)


def blocks(path: Path, mib: int) -> Path:
    """A file of random blocks of 1 MiB, each with its number, so that no two are alike."""
    block = random.Random(mib).randbytes(MIB - 8)
    with path.open("wb") as file:
        for number in range(mib):
            file.write(number.to_bytes(8, "big"))
            file.write(block)
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blocks(tmp_path_factory.mktemp("small") / "sent", 8)


@pytest.fixture
def received(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "received"
    yield path
    path.unlink(missing_ok=True)


def free_port() -> int:
    with socket.create_server((HERE, 0)) as listener:
        return int(listener.getsockname()[1])


def listening(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(
        line.split()[1].endswith(f":{port:04X}") and LISTEN in line.split() for line in lines
    )


def ended_well(*programs: Program) -> None:
    for program in programs:
        assert program.status() == 0, program.stderr


@each_peer
def test_a_file_to_a_peer(peer: Peer, small: Path, received: Path) -> None:
    to_a_peer(peer, small, received)


def to_a_peer(peer: Peer, sent: Path, received: Path) -> None:
    port = free_port()
    with (
        received.open("wb") as out,
        Program(command=peer.command(peer.take, port), stdout=out) as server,
    ):
        eventually(lambda: listening(port))
        with (
            sent.open("rb") as file,
            Program("tcp-client", HERE, str(port), stdin=file) as client,
        ):
            assert client.output(wait=60) == b""
            ended_well(client, server)
    assert filecmp.cmp(sent, received, shallow=False)


@each_peer
def test_a_file_from_a_peer(peer: Peer, small: Path, received: Path) -> None:
    from_a_peer(peer, small, received)


def from_a_peer(peer: Peer, sent: Path, received: Path) -> None:
    with (
        received.open("wb") as out,
        Program("tcp-server", "--once", "-p", "0", stdout=out) as server,
        sent.open("rb") as file,
        Program(command=peer.command(peer.send, server.port), stdin=file) as client,
    ):
        assert client.output(wait=60) == b""
        ended_well(client, server)
    assert filecmp.cmp(sent, received, shallow=False)


def converse(server: Program, client: Program) -> None:
    """Both speak in turn, three times, and end."""
    assert server.process.stdout
    assert client.process.stdout
    for turn in range(3):
        question, answer = b"question %d\n" % turn, "答 %d\n".encode() % turn
        client.type(question)
        assert server.process.stdout.read(len(question)) == question
        server.type(answer)
        assert client.process.stdout.read(len(answer)) == answer
    client.end_input()
    server.end_input()
    assert server.output() == client.output() == b""
    ended_well(client, server)


@each_peer
def test_a_talk_with_a_peer_that_serves(peer: Peer) -> None:
    port = free_port()
    with Program(command=peer.command(peer.serve, port), stdin=PIPE) as server:
        eventually(lambda: listening(port))
        with Program("tcp-client", HERE, str(port), stdin=PIPE) as client:
            converse(server, client)


@each_peer
def test_a_talk_with_a_peer_that_connects(peer: Peer) -> None:
    with (
        Program("tcp-server", "--once", "-p", "0", stdin=PIPE) as server,
        Program(command=peer.command(peer.talk, server.port), stdin=PIPE) as client,
    ):
        converse(server, client)


LANES_IN = {"file": "sendfile", "pipe": "splice"}
LANES_OUT = {"file": "splice through a pipe", "append": "copy", "pipe": "splice"}


# Every pair of ends is in tests/net/test_lanes.py.
@pytest.mark.parametrize(
    ("sender", "source", "out"),
    [
        ("client", "file", "pipe"),
        ("client", "pipe", "append"),
        ("client", "file", "file"),
        ("server", "file", "append"),
        ("server", "pipe", "pipe"),
        ("server", "pipe", "file"),
    ],
)
def test_every_lane(sender: str, source: str, out: str, small: Path, received: Path) -> None:
    """Each end's lane is the fastest for what it reads or writes, and -v names it."""
    cat = subprocess.Popen(["cat", small], stdout=PIPE) if source == "pipe" else None
    with (
        cat.stdout if cat and cat.stdout else small.open("rb") as given,
        received.open("ab" if out == "append" else "wb") as file,
    ):
        into = PIPE if out == "pipe" else file
        gives, takes = {"stdin": given, "stdout": PIPE}, {"stdout": into}
        of_server, of_client = (gives, takes) if sender == "server" else (takes, gives)
        with (
            Program("tcp-server", "--once", "-v", "-p", "0", **of_server) as server,
            Program("tcp-client", "-v", HERE, str(server.port), **of_client) as client,
        ):
            giver, taker = (server, client) if sender == "server" else (client, server)
            if out == "pipe":
                received.write_bytes(taker.output())
            ended_well(giver, taker)
            giver.said(f"sent 8,388,608 bytes by {LANES_IN[source]} in ")
            taker.said(f"received 8,388,608 bytes by {LANES_OUT[out]} in ")
    if cat:
        assert cat.wait() == 0
    assert filecmp.cmp(small, received, shallow=False)
