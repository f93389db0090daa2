"""Faults of a relay, over the installed program: what clients and targets meet."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import pytest

from tests.refusal import refusal
from tests.support import (
    HERE,
    WAIT,
    Program,
    connect,
    eventually,
    noise,
    peer,
    read_all,
    read_exactly,
    reset,
    run,
)

WAY = pytest.mark.parametrize("way", ["sent", "received"])


@contextlib.contextmanager
def relay(*options: str, target: int) -> Iterator[Program]:
    with Program("relay", "-v", "-p", "0", *options, HERE, str(target)) as program:
        yield program


@contextlib.contextmanager
def echoed(*options: str) -> Iterator[tuple[Program, socket.socket]]:
    """A relay with a target that echoes, and a client of it."""
    with (
        peer(echo) as target,
        relay(*options, target=target) as program,
        connect(program.port) as sock,
    ):
        yield program, sock


def echo(sock: socket.socket) -> None:
    """Echo until the other side ends, or resets."""
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(65536):
            sock.sendall(data)


def test_a_delay_is_twice_that_for_an_answer() -> None:
    with echoed("--delay", "200ms") as (program, sock):
        began = time.monotonic()
        sock.sendall(b"hello")
        assert read_exactly(sock, 5) == b"hello"
        assert 0.4 <= time.monotonic() - began < WAIT
        program.said("sent: delay 0.2 s")
        program.said("received: delay 0.2 s")


def test_a_rate_bounds_a_transfer() -> None:
    size = 32_768
    with echoed("--rate", "64k", "--faults", "sent") as (_, sock):
        began = time.monotonic()
        sock.sendall(noise(size))
        assert read_exactly(sock, size) == noise(size)
        assert 0.5 * 0.95 <= time.monotonic() - began < WAIT


@pytest.mark.parametrize(
    "options",
    [
        "--delay 20ms --jitter 20ms",
        "--chunk 1000",
        "--rate 20M",
        "--rate 20M --chunk 1000 --delay 10ms --jitter 10ms",
    ],
)
def test_bytes_are_what_they_were(options: str) -> None:
    data = noise(500_000)
    with echoed(*options.split()) as (_, sock):
        sender = threading.Thread(target=lambda: sock.sendall(data), daemon=True)
        sender.start()
        assert read_exactly(sock, len(data)) == data
        sender.join(WAIT)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def test_chunks_are_sent_one_by_one() -> None:
    """So a reader that is quicker never has more than one at a time."""
    sizes: list[int] = []
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        sizes.extend(len(chunk) for chunk in iter(lambda: sock.recv(65536), b""))
        done.set()

    options = ("--chunk", "7", "--rate", "70", "--faults", "sent")
    with (
        peer(serve) as target,
        relay(*options, target=target) as program,
        connect(program.port) as sock,
    ):
        sock.sendall(bytes(21))
        sock.shutdown(socket.SHUT_WR)
        assert done.wait(WAIT)
    assert sum(sizes) == 21
    assert max(sizes) <= 7


@WAY
def test_a_stalled_direction_stays_open_while_the_other_goes_on(way: str) -> None:
    got: list[bytes] = []
    heard = threading.Event()

    def serve(sock: socket.socket) -> None:
        if way == "received":
            sock.sendall(bytes(5000))
        got.append(read_exactly(sock, 1000))
        if way == "sent":
            sock.sendall(b"still here")
        heard.set()
        with contextlib.suppress(ConnectionError):
            sock.recv(1)

    options = ("--stall-at", "1000", "--faults", way)
    with peer(serve) as target, relay(*options, target=target) as program:
        with connect(program.port) as sock:
            if way == "received":
                assert read_exactly(sock, 1000) == bytes(1000)
                program.said("received: stalled on purpose after 1,000 bytes")
                sock.sendall(noise(1000))
            else:
                sock.sendall(noise(5000))
                assert read_exactly(sock, 10) == b"still here"
                program.said("sent: stalled on purpose after 1,000 bytes")
            assert heard.wait(WAIT)
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        assert got == [noise(5000)[:1000] if way == "sent" else noise(1000)]


def test_a_stalled_connection_holds_little_and_ends_with_its_client() -> None:
    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            sock.recv(100)
            sock.recv(1)

    options = ("--stall-at", "10", "--faults", "sent")
    with peer(serve) as target, relay(*options, target=target) as program:
        sock = connect(program.port)
        sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                sock.send(bytes(1_000_000))
        assert program.resident() < 60 * 2**20
        reset(sock)
        program.said("connection reset")


@WAY
@pytest.mark.parametrize(("option", "end"), [("--reset-at", "reset"), ("--close-at", "end")])
def test_both_connections_end_after_exactly_so_many_bytes(way: str, option: str, end: str) -> None:
    met: list[tuple[int, str]] = []
    connected, done = threading.Event(), threading.Event()

    def until_the_end(sock: socket.socket) -> tuple[int, str]:
        size = 0
        try:
            while data := sock.recv(65536):
                size += len(data)
        except ConnectionResetError:
            return size, "reset"
        return size, "end"

    def serve(sock: socket.socket) -> None:
        if way == "received":
            assert connected.wait(WAIT)
            sock.sendall(bytes(3000))
        met.append(until_the_end(sock))
        done.set()

    with peer(serve) as target, relay(option, "1000", "--faults", way, target=target) as program:
        with connect(program.port) as sock:
            connected.set()
            if way == "sent":
                sock.sendall(bytes(3000))
            here = until_the_end(sock)
        assert done.wait(WAIT)
        word = "reset" if end == "reset" else "closed"
        program.said(f"{way}: {word} on purpose after 1,000 bytes")
        assert "sockkit:" not in program.stderr
    expected = [(1000, end), (0, end)]
    assert [met[0], here] == (expected if way == "sent" else expected[::-1])


def is_refused(program: Program) -> bool:
    """Whether the next connection is reset at once, perhaps while it is made."""
    try:
        with connect(program.port) as sock:
            sock.sendall(b"x")
            return sock.recv(1) == b""
    except ConnectionError:
        return True


def refused(program: Program, count: int) -> list[int]:
    """Which of the next connections are refused, one after another."""
    return [number for number in range(count) if is_refused(program)]


def test_a_share_is_refused_and_a_seed_repeats_the_choice() -> None:
    count, share = 100, 0.3
    runs = []
    for seed in ("7", "7", "8"):
        options = ("--refuse", "30%", "--seed", seed)
        with peer(echo) as target, relay(*options, target=target) as program:
            runs.append(refused(program, count))
    assert runs[0] == runs[1] != runs[2]
    for run_ in runs:
        assert abs(len(run_) - count * share) <= 3 * sqrt(count * share * (1 - share))


def test_many_that_are_refused_are_counted() -> None:
    with Program("relay", "-p", "0", "--refuse", "100%", HERE, "9") as program:
        refused(program, 60)
        program.process.terminate()
        program.status()
        lines = [line for line in program.stderr.splitlines() if "refused on purpose" in line]
    assert len(lines) < 20
    assert "more: refused on purpose" in lines[-1]


def test_a_seed_that_was_chosen_is_told() -> None:
    with relay("--refuse", "50%", target=9) as program:
        program.said("to repeat this run's random choices: --seed ")
    with relay("--delay", "1s", target=9) as program:
        program.said("listening on ")
        assert "--seed" not in program.stderr  # nothing is random


def test_once_ends_with_success_after_a_fault() -> None:
    with (
        peer(echo) as target,
        relay("--once", "--reset-at", "5", target=target) as program,
        connect(program.port) as sock,
    ):
        sock.sendall(b"0123456789")
        with contextlib.suppress(ConnectionError):
            read_all(sock)
        assert program.status() == 0


def test_faults_are_in_a_recording_and_what_reads_it_copes(tmp_path: Path) -> None:
    record = str(tmp_path / "faults.rec")
    options = ("--record", record, "--stall-at", "1000", "--faults", "sent", "--delay", "10ms")
    with peer(echo) as target, relay(*options, target=target) as program:
        with connect(program.port) as sock:
            sock.sendall(bytes(2000))
            assert read_exactly(sock, 1000) == bytes(1000)
            program.said("stalled on purpose")
        program.process.terminate()
        program.status()
    lines = [json.loads(line) for line in Path(record).read_text().splitlines()]
    faults = [line for line in lines if line["event"] == "fault"]
    assert [(it["fault"], it["direction"], it.get("passed")) for it in faults] == [
        ("shaped", "sent", None),
        ("stalled", "sent", 1000),
    ]
    opened = next(line for line in lines if line["event"] == "opened")
    for name in ("peer", "transport", "local", "remote", "dialled"):
        assert {it[name] for it in faults} == {opened[name]}

    status, shown, _ = run("show", record)
    assert status == 0
    assert b"stalled on purpose" in shown
    assert run("show", "--hex", record)[0] == 0
    assert b'"event":"fault"' in run("show", "--json", record)[1]
    assert run("show", "--pcap", str(tmp_path / "out.pcapng"), record)[0] == 0
    with peer(echo) as target:
        assert run("replay", record, HERE, str(target))[0] == 0


def test_an_idle_connection_costs_no_time() -> None:
    options = ["--delay", "100ms", "--jitter", "50ms", "--rate", "1M", "--chunk", "7"]
    with echoed(*options) as (program, sock):
        sock.sendall(b"hello")
        read_exactly(sock, 5)

        def turns() -> int:
            with open(f"/proc/{program.process.pid}/status") as file:
                return int(file.read().split("voluntary_ctxt_switches:")[1].split()[0])

        before, until = turns(), time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > until)
        assert turns() - before < 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--drop 5%", "--drop needs --udp"),
        ("--duplicate 5%", "--duplicate needs --udp"),
        ("--reorder 5%", "--reorder needs --udp"),
        ("--corrupt 5%", "--corrupt needs --udp"),
        ("--rate 0", "'0' is not a size"),
        ("--chunk 0", "'0' is not a size"),
        ("--delay -1", "'-1' is not a duration"),
        ("--refuse 101%", "'101%' is not a percentage"),
        ("--faults up", "'up' is not one of"),
    ],
)
def test_options_that_make_no_sense_are_one_line(options: str, said: str) -> None:
    status, out, err = refusal("relay", "-p", "0", *options.split(), HERE, "9")
    assert (status, out) == (2, b"")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_delay_longer_than_the_idle_timeout_loses_nothing() -> None:
    options = ("--delay", "3s", "-i", "1")
    with echoed(*options) as (_, sock):
        sock.sendall(b"important")
        assert read_exactly(sock, 9) == b"important"


def test_many_that_are_held_up_lose_nothing() -> None:
    """Together they send more than all directions may hold."""
    size, count, sizes = 6_000_000, 16, []

    def swallow() -> None:
        sock, _ = listener.accept()
        sizes.append(len(read_all(sock)))
        sock.close()

    def send(port: int) -> None:
        with connect(port) as sock:
            sock.sendall(bytes(size))
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)

    with (
        socket.create_server((HERE, 0), backlog=count) as listener,
        relay("--delay", "500ms", "--faults", "sent", target=listener.getsockname()[1]) as program,
    ):
        threads = [threading.Thread(target=swallow) for _ in range(count)]
        threads += [threading.Thread(target=send, args=(program.port,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * WAIT)
    assert sizes == [size] * count
