"""relay --workers: several processes share the clients, and end as one relay does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_relay import Target, pair, relay, target
from tests.support import (
    END,
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    children,
    connect,
    errors,
    eventually,
    gone,
    noise,
    read_all,
    read_exactly,
    run,
    runs,
)

__all__ = ["target"]
CLIENTS = 24  # that all of them come to one worker of two happens once in eight million runs


@contextlib.contextmanager
def crew(target: Target, *options: str, host: str = HERE) -> Iterator[Program]:
    """A relay of two workers; afterwards none is left."""
    with relay(target, "--workers", "2", *options, host=host) as program:
        program.said("listening on")
        eventually(lambda: len(children(program)) == 2)
        workers = children(program)
        yield program
    eventually(lambda: not any(map(runs, workers)))


def sockets(process: int) -> int:
    names = (
        os.readlink(entry) for entry in os.scandir(f"/proc/{process}/fd") if entry.is_symlink()
    )
    return sum(name.startswith("socket:") for name in names)


def pairs(program: Program, target: Target, stack: contextlib.ExitStack) -> list[socket.socket]:
    """The clients of pairs, over which bytes have passed, and then the target's sides."""
    made = [stack.enter_context(pair(program, target)) for _ in range(CLIENTS)]
    for number, (client, _) in enumerate(made):
        client.sendall(bytes([number]))
    for _, there in made:  # accepted in an order of their own
        there.sendall(read_exactly(there, 1))
    for number, (client, _) in enumerate(made):
        assert read_exactly(client, 1) == bytes([number])
    return [sock for each in zip(*made, strict=True) for sock in each]


def test_they_share_the_clients(target: Target) -> None:
    with crew(target) as program, contextlib.ExitStack() as stack:
        before = [sockets(worker) for worker in children(program)]
        pairs(program, target, stack)
        after = [sockets(worker) for worker in children(program)]
        assert all(more > few for few, more in zip(before, after, strict=True))
        program.process.terminate()
        gone(program, 143, "terminated")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_them_nobody_sees_a_regular_end(number: int, target: Target) -> None:
    with crew(target) as program, contextlib.ExitStack() as stack:
        ends = pairs(program, target, stack)
        program.process.send_signal(number)
        for end in ends:
            with pytest.raises(ConnectionResetError):
                read_all(end)
        program.status(END)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_gets_a_signal_ends_in_the_same_way(number: int, target: Target) -> None:
    name = signal.Signals(number).name
    with crew(target) as program, contextlib.ExitStack() as stack:
        ends = pairs(program, target, stack)
        for worker in children(program):
            os.kill(worker, number)
            program.said(f"(process {worker}) was killed by {name}: replacing it")
        for end in ends:
            with pytest.raises(ConnectionResetError):
                read_all(end)
        pairs(program, target, stack)


def test_a_worker_that_stands_still_is_killed(target: Target) -> None:
    with crew(target) as program, contextlib.ExitStack() as stack:
        ends = pairs(program, target, stack)
        os.kill(children(program)[0], signal.SIGSTOP)
        program.process.terminate()
        assert program.status(END) == 143
        for end in ends:
            with pytest.raises(ConnectionResetError):
                read_all(end)


def test_what_is_ignored_at_the_start_stays_so(target: Target) -> None:
    command = ("sh", "-c", "trap '' TERM; " + 'exec "$0" "$@"', SOCKKIT)
    with relay(target, "--workers", "2", command=command) as program:
        program.said("listening on")
        eventually(lambda: len(children(program)) == 2)
        with pair(program, target) as (client, there):
            for worker in children(program):
                os.kill(worker, signal.SIGTERM)
            client.sendall(b"hello")
            assert read_exactly(there, 5) == b"hello"
        program.process.send_signal(signal.SIGINT)
        assert program.status(END) == 130


def test_what_they_have_sent_arrives(target: Target) -> None:
    data = noise(100_000)
    with crew(target) as program, contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            client, there = stack.enter_context(pair(program, target))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            assert read_all(there) == data


def test_a_target_that_refuses_is_told_once_for_all(target: Target) -> None:
    target.close()
    with crew(target) as program:
        for _ in range(CLIENTS):
            with connect(program.port) as client:
                assert read_all(client) == b""
        program.process.terminate()
        program.said(f"* {CLIENTS - 1} more: closed")
        (told,) = [line for line in errors(program) if "refused" in line]
        assert "closed: could not connect to" in told


def test_a_relay_that_meets_itself_under_a_name() -> None:
    with socket.create_server((HERE, 0)) as free:
        port = str(free.getsockname()[1])
    with Program("relay", "--workers", "2", "-p", port, "localhost", port) as program:
        with connect(program.port) as client:
            client.settimeout(WAIT)
            assert read_all(client) == b""
        told = program.said("is this relay itself").rstrip()
        why = "it is this relay itself: give another one"
        assert told == f"sockkit: closed: could not connect to localhost port {port}: {why}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--once"], "--once: remove one of them"),
        (["--udp"], "--udp: remove one of them"),
        (["--delay", "1ms"], "faults: remove one of them"),
        (["--bind", "unix:r"], "a unix address: remove it"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_what_they_cannot_do(options: list[str], told: str) -> None:
    port = ["-p", "0"] if "--bind" not in options else []
    status, _, stderr = run("relay", "--workers", "2", *port, *options, HERE, "9")
    assert (status, stderr) == (2, f"sockkit: --workers cannot be used with {told}\n")


@pytest.mark.parametrize("command", [["relay", HERE, "9"], ["echo"]], ids=["relay", "echo"])
def test_views_see_one_process(command: list[str], tmp_path: Path) -> None:
    for view in (["--hex"], ["--json"], ["--record", str(tmp_path / "r")]):
        status, _, stderr = run(command[0], "-p", "0", "--workers", "2", *view, *command[1:])
        told = f"sockkit: {view[0]} cannot be used with --workers: remove one of them\n"
        assert (status, stderr) == (2, told)
    assert not (tmp_path / "r").exists()


def test_they_cannot_start_programs() -> None:
    status, _, stderr = run("relay", "--workers", "2", "-p", "0", "--exec", "cat")
    assert status == 2
    assert "--workers cannot be used with --exec or --shell: remove one of them" in stderr
