"""The relay as a whole program, between clients and a target of the test."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from sockkit.core.json_lines import decode
from sockkit.core.records import Message, Opened
from tests.dumps import flows
from tests.e2e.test_proxy import microsocks
from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    gone,
    noise,
    peer,
    read_all,
    read_exactly,
    reset,
    rests,
    run,
)

MIB = 1024 * 1024
PIPE = subprocess.PIPE


class Target:
    """A plain listener, whose accepted connections are the test's."""

    def __init__(self, address: Any = (HERE, 0), family: int = socket.AF_INET) -> None:
        self._listener = socket.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen()
        self._listener.settimeout(WAIT)
        self._port = str(self._listener.getsockname()[-1])
        self._accepted: list[socket.socket] = []

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for sock in (self._listener, *self._accepted):
            sock.close()

    @property
    def port(self) -> str:
        return self._port

    def accept(self) -> socket.socket:
        sock, _ = self._listener.accept()
        sock.settimeout(WAIT)
        self._accepted.append(sock)
        return sock


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def relay(target: Target, *options: str, host: str = HERE, **more: Any) -> Program:
    return Program("relay", "-p", "0", *options, host, target.port, **more)


@contextlib.contextmanager
def relayed(
    target: Target, *options: str, **more: Any
) -> Iterator[tuple[Program, socket.socket, socket.socket]]:
    """A relay with one pair: the client, and the target's side of the connection."""
    with relay(target, *options, **more) as program, connect(program.port) as client:
        yield program, client, target.accept()


@contextlib.contextmanager
def pair(program: Program, target: Target) -> Iterator[tuple[socket.socket, socket.socket]]:
    """One more pair of a relay that runs: the client, and the target's side."""
    with connect(program.port) as client, target.accept() as there:
        yield client, there


def either_first(program: Program, target: Target) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair whose client begins, and one whose target does: who begins, and the other."""
    with pair(program, target) as (client, there):
        yield client, there
    with pair(program, target) as (client, there):
        yield there, client


class Answering(threading.Thread):
    """Serves one connection of `target` in a thread. `join` raises what went wrong."""

    def __init__(self, target: Target, serve: Callable[[socket.socket], None]) -> None:
        super().__init__(daemon=True)
        self._target, self._serve = target, serve
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._target.accept() as sock:
                self._serve(sock)
        except BaseException as error:
            self._failure = error

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self.join(WAIT)
        assert not self.is_alive()
        if self._failure:
            raise self._failure


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def talk(client: socket.socket, target: socket.socket, words: bytes = b"hello") -> None:
    client.sendall(words)
    assert read_exactly(target, len(words)) == words
    target.sendall(words[::-1])
    assert read_exactly(client, len(words)) == words[::-1]


# Bytes.


class Hashed(threading.Thread):
    """Receives all that comes, and keeps its length and SHA-256."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self._sock, self._sha, self.size = sock, hashlib.sha256(), 0
        self.start()

    def run(self) -> None:
        buffer = bytearray(MIB)
        while count := self._sock.recv_into(buffer):
            self._sha.update(memoryview(buffer)[:count])
            self.size += count

    def result(self) -> tuple[int, str]:
        self.join(20 * WAIT)
        assert not self.is_alive()
        return self.size, self._sha.hexdigest()


def send_blocks(sock: socket.socket, seed: int, mib: int) -> tuple[int, str]:
    """Blocks that differ, and the end; how much that was, and its SHA-256."""
    block, sha = noise(MIB - 8 + seed)[: MIB - 8], hashlib.sha256()
    for number in range(mib):
        data = number.to_bytes(8, "big") + block
        sha.update(data)
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    return mib * MIB, sha.hexdigest()


def both_ways(target: Target, mib: int, *options: str) -> None:
    with relayed(target, *options, stdout=subprocess.DEVNULL) as (program, client, there):
        received = {name: Hashed(sock) for name, sock in (("sent", there), ("back", client))}
        sent: dict[str, tuple[int, str]] = {}
        threads = [
            threading.Thread(
                target=lambda name=name, sock=sock, seed=seed: sent.update(
                    {name: send_blocks(sock, seed, mib)}
                ),
                daemon=True,
            )
            for seed, (name, sock) in enumerate((("sent", client), ("back", there)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20 * WAIT)
        for name, hashed in received.items():
            assert hashed.result() == sent[name]
        assert program.peak() < 48 * MIB


@pytest.mark.parametrize("options", [[], ["--json"], ["--buffer-size", "1000"]])
def test_both_ways_at_once(options: list[str], target: Target) -> None:
    both_ways(target, 64 if not options else 8, *options)


@pytest.mark.torture
def test_a_gibibyte_both_ways_at_once(target: Target) -> None:
    both_ways(target, 1024)


def test_the_kernel_moves_what_nobody_looks_at(target: Target) -> None:
    with relayed(target, "-v") as (program, client, there):
        talk(client, there)
        client.close()
        there.close()
        program.said("received 5 bytes by splice through a pipe in ")


def test_a_half_close_passes_and_the_other_direction_lives_on(target: Target) -> None:
    with relay(target) as program:
        for one, other in either_first(program, target):
            one.sendall(b"all of it")
            one.shutdown(socket.SHUT_WR)
            assert read_all(other) == b"all of it"
            for number in range(3):
                other.sendall(noise(100_000 + number))
                assert read_exactly(one, 100_000 + number) == noise(100_000 + number)
            other.close()
            assert read_all(one) == b""


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("first", ["client", "target"])
def test_a_reset_passes_with_what_came_before_it(
    first: str, options: list[str], target: Target
) -> None:
    with relayed(target, *options) as (program, client, there):
        one, other = (client, there) if first == "client" else (there, client)
        one.sendall(b"four")
        reset(one)
        assert read_exactly(other, 4) == b"four"
        with pytest.raises(ConnectionResetError):
            other.recv(1)
        program.said("connection reset by peer")
        with connect(program.port) as more:
            talk(more, target.accept())


def test_a_reset_while_the_other_side_sends(target: Target) -> None:
    """A write may meet the reset first. What follows is still no clean end."""
    with relay(target) as program:
        for one, other in either_first(program, target):
            meets_a_reset(one, other)


def meets_a_reset(one: socket.socket, other: socket.socket) -> None:
    """`one` resets while `other` sends, which is told of it."""
    met: list[BaseException] = []

    def send() -> None:
        try:
            while True:
                other.sendall(noise(MIB))
        except OSError as error:
            met.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    read_exactly(one, 4 * MIB)
    reset(one)
    try:
        assert other.recv(1) == b""
    except OSError as error:
        met.append(error)
    sender.join(WAIT)
    # The system tells it once, to who asks first. After a half-close it would be EPIPE.
    assert ConnectionResetError in map(type, met), met


def test_a_slow_reader_holds_the_sender_back(target: Target) -> None:
    with relayed(target) as (program, client, there):
        talk(client, there)
        before = program.resident()
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 256 * MIB:
                sent += client.send(noise(MIB))
        eventually(lambda: not _takes(client, noise(MIB)))
        rests(program)
        assert program.resident() < before + 8 * MIB
        there.sendall(b"unhindered")
        client.settimeout(WAIT)
        assert read_exactly(client, 10) == b"unhindered"
        client.close()
        read_all(there)


def _takes(sock: socket.socket, data: bytes) -> bool:
    try:
        return bool(sock.send(data))
    except BlockingIOError:
        return False


# Targets.


def test_a_target_that_refuses_and_comes_back(target: Target) -> None:
    port = int(target.port)
    with relay(target) as program:
        target._listener.close()
        for _ in range(12):
            with connect(program.port) as client:
                assert read_all(client) == b""
        program.said(f"could not connect to {HERE} port {port}: connection refused")
        program.said("11 more: closed: the target could not be reached")
        assert len(errors(program)) == 1
        with Target((HERE, port)) as back, connect(program.port) as client:
            talk(client, back.accept())


def test_a_target_that_accepts_and_resets(target: Target) -> None:
    with relay(target) as program:
        for _ in range(20):
            with connect(program.port) as client:
                reset(target.accept())
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


def test_a_name_with_several_addresses(target: Target) -> None:
    """localhost is ::1 as well, where nobody listens."""
    with relay(target, host="localhost") as program, connect(program.port) as client:
        talk(client, target.accept())


def test_a_name_that_is_not_found(target: Target) -> None:
    with relay(target, host="nosuch.invalid") as program, connect(program.port) as client:
        assert read_all(client) == b""
        program.said("nosuch.invalid")


def test_a_target_that_is_the_relay_itself() -> None:
    for bind, host in ((HERE, HERE), ("0.0.0.0", "127.0.0.2"), ("::1", "0:0::1")):
        with socket.create_server((HERE, 0)) as free:
            port = str(free.getsockname()[1])
        told = f"the target {host} port {port} is this relay itself"
        with Program("relay", "-p", port, "--bind", bind, host, port) as program:
            gone(program, 2, told)


@pytest.mark.parametrize("options", [[], ["-x"], ["--delay", "1ms"]])
def test_a_relay_that_meets_itself_under_a_name(options: list[str]) -> None:
    with socket.create_server((HERE, 0)) as free:
        port = str(free.getsockname()[1])
    with Program("relay", "-v", "-p", port, *options, "localhost", port) as program:
        for _ in range(3):
            with connect(program.port) as client:
                assert read_all(client) == b""
        program.process.terminate()
        program.said("* 2 more: closed")
        (told,) = [line for line in errors(program) if "closed:" in line]
        assert "is this relay itself" in told


def test_where_it_connects_from(target: Target) -> None:
    with relayed(target, "--source", "127.0.0.9") as (_, client, there):
        assert there.getpeername()[0] == "127.0.0.9"
        talk(client, there)


def test_through_a_proxy(target: Target) -> None:
    with (
        microsocks() as proxy,
        relayed(target, "-v", "--proxy", f"socks5h://{HERE}:{proxy}") as (program, client, there),
    ):
        talk(client, there)
        program.said("proxy")


def test_a_proxy_that_is_not_there(target: Target) -> None:
    with relay(target, "--once", "--proxy", f"socks5h://{HERE}:1") as program:
        with connect(program.port) as client:
            assert read_all(client) == b""
        gone(program, 97, "proxy", "refused")


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    with (
        Target(there, socket.AF_UNIX) as target,
        Program("relay", "--bind", f"unix:{here}", f"unix:{there}") as program,
        socket.socket(socket.AF_UNIX) as client,
    ):
        program.said("listening on ")
        client.settimeout(WAIT)
        client.connect(here)
        sock = target.accept()
        talk(client, sock)
        client.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
        sock.sendall(noise(50_000))
        sock.close()
        assert read_all(client) == noise(50_000)
        program.process.terminate()
        gone(program, 143, "terminated")
    assert not Path(here).exists()


# The end of it.


def test_once(target: Target) -> None:
    with relayed(target, "--once") as (program, client, there):
        with pytest.raises(ConnectionRefusedError):
            connect(program.port)
        talk(client, there)
        client.close()
        there.close()
        gone(program, 0)


@pytest.mark.parametrize("first", ["client", "target"])
def test_once_with_a_reset(first: str, target: Target) -> None:
    with relayed(target, "--once") as (program, client, there):
        talk(client, there)
        reset(client if first == "client" else there)
        gone(program, 56, "connection reset by peer", "(sent 5 bytes, received 5 bytes)")


def test_once_with_a_target_that_refuses(target: Target) -> None:
    target._listener.close()
    with Program("relay", "--once", "-p", "0", HERE, "1") as program:
        with connect(program.port) as client:
            assert read_all(client) == b""
        gone(program, 7, f"could not connect to {HERE} port 1: connection refused")


def test_once_with_a_silence(target: Target) -> None:
    with relayed(target, "--once", "-i", "1") as (program, client, there):
        talk(client, there)
        assert read_all(client) == read_all(there) == b""
        gone(program, 28, "nothing was sent or received for 1 s")


def test_a_silence_closes_that_connection_alone(target: Target) -> None:
    with (
        relayed(target, "-i", "1") as (program, client, there),
        connect(program.port) as other,
        target.accept() as its,
    ):
        there.shutdown(socket.SHUT_WR)
        client.setblocking(False)
        ended: list[bytes] = []

        def over() -> bool:
            talk(other, its)
            with contextlib.suppress(BlockingIOError):
                ended.append(client.recv(1))
            return there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and bool(
                errors(program)
            )

        eventually(over)
        assert "nothing was sent or received for 1 s" in errors(program)[0]
        assert read_all(there) == b""
        talk(other, its)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("moving", [False, True])
def test_a_signal_ends_it(number: int, status: int, target: Target, *, moving: bool) -> None:
    with relayed(target) as (program, client, there):
        talk(client, there)
        if moving:  # nobody reads it
            client.setblocking(False)
            eventually(lambda: not _takes(client, noise(MIB)))
        program.process.send_signal(number)
        assert program.status(END) == status
        with pytest.raises(ConnectionRefusedError):
            connect(program.port)
        client.setblocking(True)
        client.settimeout(WAIT)
        for side in (client, there):
            with pytest.raises(ConnectionResetError):  # a regular end would say that it has all
                read_all(side)


def test_who_is_killed_ends_nothing_regularly(target: Target) -> None:
    with relayed(target) as (program, client, there):
        talk(client, there)
        program.process.kill()
        for side in (client, there):
            with pytest.raises(ConnectionResetError):
                read_all(side)


def sockets(program: Program) -> int:
    """How many are open; pipes are kept for the next connection."""
    return sum(name.startswith("socket:") for name in program.opened())


@pytest.mark.parametrize("killed", ["client", "target"])
def test_a_side_that_is_killed_in_mid_transfer(killed: str, tmp_path: Path) -> None:
    with (
        open("/dev/zero", "rb") as zero,
        Program("tcp-server", "-p", "0", stdout=PIPE) as target,
        Program("relay", "-p", "0", HERE, str(target.port)) as program,
    ):
        port = str(program.port)
        before = sockets(program)
        with Program("tcp-client", HERE, port, stdin=zero) as client:
            assert target.process.stdout
            target.process.stdout.read(8 * MIB)
            (client if killed == "client" else target).process.kill()
            if killed == "target":
                assert client.status() in (55, 56)
        if killed == "client":
            threading.Thread(target=target.output, daemon=True).start()
        eventually(lambda: sockets(program) == before)
        rests(program)
        with connect(int(port)) as another:
            another.sendall(b"x")
            if killed == "target":
                with contextlib.suppress(ConnectionResetError):  # what it sent was not read
                    assert read_all(another) == b""


def test_a_standard_output_that_nobody_reads(target: Target) -> None:
    """It matters to a view only."""
    for options in ([], ["-x"]):
        out, into = os.pipe()
        with (
            os.fdopen(into, "wb") as stdout,
            relayed(target, *options, stdout=stdout) as (program, client, there),
        ):
            os.close(out)
            if options:
                with contextlib.suppress(ConnectionResetError):  # it has ended already
                    client.sendall(b"seen")
                gone(program, 141)
            else:
                talk(client, there)


# TLS.


class Files(NamedTuple):
    ca: str
    both: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    made, authority = Files(str(folder / "ca"), str(folder / "both")), trustme.CA()
    authority.cert_pem.write_to_path(made.ca)
    leaf = authority.issue_cert("localhost", "other.example")
    leaf.private_key_and_cert_chain_pem.write_to_path(made.both)
    return made


def encrypted(sock: socket.socket, files: Files) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.both)
    return context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)


def tls_echo(files: Files) -> Callable[[socket.socket], None]:
    """Repeats what comes until the end, and ends with close_notify as well."""

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), encrypted(sock, files) as secure:
            echo(secure)
            secure.unwrap()

    return serve


def fingerprint(files: Files) -> str:
    pem = Path(files.both).read_text()
    pem = pem[pem.index("-----BEGIN CERTIFICATE") :]
    pem = pem[: pem.index("-----END CERTIFICATE-----") + 25]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_tls_towards_the_client(target: Target) -> None:
    with relay(target, "--tls") as program, Answering(target, echo):
        words = program.said("connect with sockkit").split("connect with sockkit ")[1].split()
        assert run(*words, data=b"hello") == (0, b"hello", "")


@pytest.mark.parametrize(
    "trust",
    [
        ["--to-tls-ca", "{ca}"],
        ["--to-tls-ca", "{ca}", "--to-tls-name", "other.example"],
        ["--to-tls-fingerprint", "{sha}"],
        ["--to-tls-insecure"],
    ],
)
def test_tls_towards_the_target(trust: list[str], target: Target, files: Files) -> None:
    options = [word.format(ca=files.ca, sha=fingerprint(files)) for word in trust]
    with (
        relay(target, "--to-tls", *options, host="localhost") as program,
        Answering(target, tls_echo(files)),
        connect(program.port) as client,
    ):
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


@pytest.mark.parametrize("trust", [[], ["--to-tls-ca", "{ca}", "--to-tls-name", "wrong.example"]])
def test_a_target_that_is_not_trusted(trust: list[str], target: Target, files: Files) -> None:
    options = [word.format(ca=files.ca) for word in trust]
    got: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), encrypted(sock, files) as secure:
            got.append(secure.recv(100))

    with (
        relay(target, "--once", "--to-tls", *options, host="localhost") as program,
        Answering(target, serve),
        connect(program.port) as client,
    ):
        client.sendall(b"secret")
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == b""
        gone(program, 60, "certificate", " --to-tls-name" if trust else " --to-tls-ca")
    assert got in ([], [b""])


def test_hints_name_the_options_of_the_target(target: Target) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0\r\n")
        read_all(sock)

    with (
        relay(target, "--once", "--to-tls", "--to-tls-fingerprint", "ab" * 32) as program,
        Answering(target, serve),
        connect(program.port) as client,
    ):
        assert read_all(client) == b""
        gone(program, 35, "it does not speak TLS: try it without --to-tls")
    with relay(target, "--to-tls", "--to-tls-insecure") as program:
        program.said("not checked (--to-tls-insecure)")


def test_tls_on_both_sides(target: Target, files: Files) -> None:
    options = ["--tls", "--tls-cert", files.both, "--to-tls", "--to-tls-ca", files.ca]
    with (
        relay(target, *options, host="localhost") as program,
        Answering(target, tls_echo(files)),
    ):
        args = ["--tls", "--tls-ca", files.ca, "localhost", str(program.port)]
        assert run("tcp-client", *args, data=noise(MIB)) == (0, noise(MIB), "")


def test_a_target_that_drops_its_answer_when_it_is_told_the_end(
    target: Target, files: Files
) -> None:
    def serve(sock: socket.socket) -> None:
        with encrypted(sock, files) as secure:
            assert secure.recv(100) == b"question"
            secure.settimeout(0.3)
            try:
                if not secure.recv(1):
                    return  # told the end: it drops the answer
            except TimeoutError:
                pass
            secure.settimeout(WAIT)
            secure.sendall(b"answer")
            secure.unwrap()

    with (
        relay(target, "--to-tls", "--to-tls-ca", files.ca, host="localhost") as program,
        Answering(target, serve),
    ):
        assert run("tcp-client", HERE, str(program.port), data=b"question")[:2] == (0, b"answer")


def test_an_end_of_tls_that_is_cut_off_is_no_clean_end(target: Target, files: Files) -> None:
    def serve(sock: socket.socket) -> None:
        secure = encrypted(sock, files)
        secure.sendall(b"half of i")
        os.close(secure.detach())  # without close_notify

    with (
        relay(target, "--to-tls", "--to-tls-ca", files.ca, host="localhost") as program,
        Answering(target, serve),
        connect(program.port) as client,
    ):
        assert read_exactly(client, 9) == b"half of i"
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        program.said("so data may be missing")


# Who may come in.


def test_one_more_than_may_connect_is_refused(target: Target) -> None:
    with relayed(target, "-v", "--max-connections", "1") as (program, client, there):
        talk(client, there)
        with connect(program.port) as more:
            assert read_all(more) == b""
        program.said("(full: --max-connections 1)")
        client.close()
        there.close()
        program.said("closed (sent 5 bytes, received 5 bytes")
        with connect(program.port) as more:
            talk(more, target.accept())


@pytest.mark.parametrize("options", [["--deny", HERE], ["--allow", "10.0.0.0/8"]])
def test_who_is_refused_reaches_nobody(options: list[str], target: Target) -> None:
    with relay(target, *options) as program:
        with connect(program.port) as client:
            assert read_all(client) == b""
        program.said("refused a connection from ")
        target._listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            target.accept()


@pytest.mark.parametrize(
    ("options", "warns"), [([], True), (["--allow", "10.0.0.0/8"], False)], ids=["all", "some"]
)
def test_a_public_bind_is_warned_of(options: list[str], target: Target, *, warns: bool) -> None:
    with relay(target, "--bind", "0.0.0.0", *options) as program:
        program.said("listening on ")
        program.process.terminate()
        program.status()
        told = "anyone who can reach this port can reach the target: restrict it with --allow"
        assert (told in program.stderr) is warns


# Views.


def test_a_hex_dump_shows_both_directions(target: Target) -> None:
    with relayed(target, "-x", "--once") as (program, client, there):
        talk(client, there, b"abc")
        client.close()
        there.close()
        assert {mark: data for (_, mark), data in flows(program.output()).items()} == {
            ">": b"abc",
            "<": b"cba",
        }
        assert program.status() == 0


def test_clients_have_labels(target: Target) -> None:
    with relay(target, "-x") as program:
        clients = [connect(program.port) for _ in range(2)]
        for number, client in enumerate(clients):
            talk(client, target.accept(), b"number %d" % number)
            client.close()
        names = [f"[{number} " for number in (1, 2)]
        shown = b""
        assert program.process.stdout
        while shown.count(b"\n") < 8:
            shown += program.process.stdout.readline()
            if shown.count(b"rebmun") == 2:
                break
        text = shown.decode()
        assert [name in text for name in names] == [True, True], text


def test_json_names_the_client_and_the_target(target: Target) -> None:
    with relayed(target, "--json", "--once", "--frame", "line") as (program, client, there):
        whose = client.getsockname()[1]
        client.sendall(b"one\ntw")
        assert read_exactly(there, 6) == b"one\ntw"
        client.sendall(b"o\n")
        assert read_exactly(there, 2) == b"o\n"
        there.sendall(b"three\n")
        assert read_exactly(client, 6) == b"three\n"
        client.close()
        there.close()
        records = [decode(line) for line in program.output().splitlines()]
        assert program.status() == 0
    (opened,) = [record for record in records if isinstance(record, Opened)]
    assert (opened.stream.local, opened.stream.remote) == (
        f"{HERE}:{whose}",
        f"{HERE}:{target.port}",
    )
    messages = [(one.direction, one.data) for one in records if isinstance(one, Message)]
    assert messages == [("sent", b"one\n"), ("sent", b"two\n"), ("received", b"three\n")]


def test_a_recording_is_that_of_a_client(target: Target, tmp_path: Path) -> None:
    path = str(tmp_path / "it.rec")

    def serve(sock: socket.socket) -> None:
        for _ in range(2):
            sock.sendall(b"<" + read_exactly(sock, 5) + b">")
        assert read_all(sock) == b""

    with relay(target, "--once", "--record", path) as program, Answering(target, serve):
        with connect(program.port) as client:
            for word in (b"hello", b"again"):
                client.sendall(word)
                assert read_exactly(client, 7) == b"<" + word + b">"
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        gone(program, 0)
    status, shown, _ = run("show", path)
    assert status == 0
    assert shown.index(b"hello") < shown.index(b"<hello>") < shown.index(b"<again>")
    with Answering(target, serve):
        assert run("replay", "--verify", path, HERE, target.port)[0] == 0
    with Answering(target, echo):
        assert run("replay", "--verify", path, HERE, target.port)[0] != 0


def test_messages_have_times(target: Target) -> None:
    with relayed(target, "-x", "--timestamps", "--once") as (program, client, there):
        talk(client, there)
        client.close()
        there.close()
        assert len(re.findall(rb"\d\d:\d\d:\d\d\.\d", program.output())) >= 2


# Text.


def test_clients_in_utf_8_and_a_target_in_gbk(target: Target) -> None:
    words = "你好, world! 再见\n"
    with relay(target, "-E", "gbk") as program:
        for size in (1, 2, 3, 5):
            with pair(program, target) as (client, there):
                for one, other, ours, theirs in (
                    (client, there, "utf-8", "gbk"),
                    (there, client, "gbk", "utf-8"),
                ):
                    data, expected = words.encode(ours), words.encode(theirs)
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for place in range(0, len(data), size):
                        one.sendall(data[place : place + size])
                    assert read_exactly(other, len(expected)) == expected, (size, theirs)


def test_every_cut_of_a_text(target: Target) -> None:
    """Each cut is a connection, whose first part has arrived before the rest is sent."""
    words = "a你好b"
    data, expected = words.encode(), words.encode("gbk")
    with relay(target, "-E", "gbk") as program:
        for cut in range(1, len(data)):
            with connect(program.port) as client, target.accept() as there:
                whole = data[:cut].decode(errors="ignore").encode("gbk")
                client.sendall(data[:cut])
                assert read_exactly(there, len(whole)) == whole
                client.sendall(data[cut:])
                client.shutdown(socket.SHUT_WR)
                assert read_all(there) == expected[len(whole) :]
                there.sendall(expected)
                there.close()
                assert read_all(client) == data


def test_a_character_that_the_target_does_not_have(target: Target) -> None:
    with relayed(target, "--once", "-E", "latin-1") as (program, client, there):
        client.sendall("ab你".encode())
        assert read_exactly(there, 2) == b"ab"
        with pytest.raises(ConnectionResetError):
            there.recv(10)
        gone(program, 65, "latin-1")


def test_what_a_target_sends_that_is_no_text(target: Target) -> None:
    with relayed(target, "--once", "-E", "gbk") as (program, client, there):
        there.sendall("好".encode("gbk") + b"\xff\xff")
        assert read_exactly(client, 3) == "好".encode()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
        gone(program, 65, "gbk", "0xff")


def test_lines_end_for_the_target_as_it_wants_them(target: Target) -> None:
    data = b"one\ntwo\r\nthree\n"
    with relay(target, "-C") as program:
        for size in (1, 7):
            with pair(program, target) as (client, there):
                for place in range(0, len(data), size):
                    client.sendall(data[place : place + size])
                client.shutdown(socket.SHUT_WR)
                assert read_all(there) == b"one\r\ntwo\r\nthree\r\n", size


def test_one_client_after_the_other() -> None:
    with peer(echo) as port, Program("relay", "-p", "0", HERE, str(port)) as program:
        for number in range(5):
            data = noise(10_000 + number)
            assert run("tcp-client", HERE, str(program.port), data=data) == (0, data, "")
