"""What a relay must survive: more clients than descriptors, thousands at once, floods of resets."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.test_floods import BACK, KEPT, longest, stop
from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    few,
    leaving,
    noise,
    read_exactly,
    reset,
    rests,
)

KIB, MIB = 1024, 1024 * 1024
# Descriptors of an idle pair: the client's and the target's connection, and no pipe.
EACH = 2


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Target:
    """Accepts connections and holds them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.sockets: list[socket.socket] = []
        self._listener = stack.enter_context(socket.create_server((HERE, 0), backlog=1024))
        self.port = str(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        stack.callback(self._close)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.sockets.append(self._listener.accept()[0])

    def _close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(WAIT)
        self.drop()

    def drop(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def target(stack: contextlib.ExitStack) -> Target:
    return Target(stack)


def echoing(stack: contextlib.ExitStack) -> str:
    return str(stack.enter_context(Program("echo", "-p", "0")).port)


def relay(port: str, *options: str, **more: object) -> Program:
    arguments = ["relay", "-p", "0", "--backlog", "1024", *options, HERE, port]
    return Program(*arguments, **more)  # type: ignore[arg-type]


def answered(sock: socket.socket, wait: float = WAIT) -> None:
    sock.settimeout(wait)
    sock.sendall(b"7\n")
    assert read_exactly(sock, 2) == b"7\n"


@pytest.mark.parametrize("unread", [b"", b"7 bytes"])
@leaving
def test_more_clients_than_descriptors(
    leave: Callable[[socket.socket], None], unread: bytes, stack: contextlib.ExitStack
) -> None:
    """200 clients come where 64 descriptors are, two for each, and all but a few leave."""
    with relay(echoing(stack), preexec_fn=few) as program:
        clients = [stack.enter_context(connect(program.port)) for _ in range(200)]
        program.said("could not accept a connection")
        rests(program)
        answered(clients[0])
        for client in clients[1:190]:
            client.sendall(unread)
        for client in clients[1:190]:
            leave(client)
        answered(clients[-1])
        answered(clients[0])
        answered(stack.enter_context(connect(program.port)))
        assert "no socket for a connection" not in program.stderr
        assert len(program.stderr.splitlines()) <= 5
        assert unread or leave is reset or errors(program) == []


def test_few_descriptors_take_no_byte_of_a_flow_that_needs_a_pipe(
    stack: contextlib.ExitStack, target: Target
) -> None:
    """All the descriptors that clients may have are taken, and each flow is held up in turn."""
    data = noise(4 * MIB)
    with relay(target.port, preexec_fn=few) as program:
        clients = [stack.enter_context(connect(program.port)) for _ in range(30)]
        program.said("could not accept a connection")
        eventually(lambda: len(target.sockets) > 10)
        pairs = list(zip(clients, target.sockets, strict=False))
        feeders = [threading.Thread(target=client.sendall, args=(data,)) for client, _ in pairs]
        for feeder in feeders:
            feeder.start()
        for _, far in pairs:
            far.settimeout(WAIT)
            assert read_exactly(far, len(data)) == data
        for feeder in feeders:
            feeder.join(WAIT)
        assert program.descriptors() < 64


@pytest.mark.timeout(180)
@pytest.mark.parametrize("many", [1000, pytest.param(4000, marks=pytest.mark.torture)])
def test_thousands_at_once_hold_no_pipe_and_little_memory(
    many: int, many_descriptors: None, stack: contextlib.ExitStack, target: Target
) -> None:
    with relay(target.port) as program:
        port = program.port
        with connect(port) as first:
            first.sendall(b"?")
            eventually(lambda: bool(target.sockets))
            target.drop()
        descriptors, memory = program.descriptors(), program.resident()
        clients = [stack.enter_context(connect(port)) for _ in range(many)]
        eventually(lambda: len(target.sockets) == many, END * 5)
        for client in clients:
            client.sendall(b"!")
        for far in target.sockets:
            far.settimeout(WAIT)
            assert far.recv(1) == b"!"
        assert program.descriptors() <= descriptors + EACH * many
        assert (program.resident() - memory) / many < 8 * KIB
        for client in clients:
            client.close()
        target.drop()
        eventually(lambda: program.descriptors() <= descriptors, END * 5)


def test_who_takes_nothing_holds_nobody_up(stack: contextlib.ExitStack, target: Target) -> None:
    with relay(target.port) as program:
        stopped = [stack.enter_context(connect(program.port)) for _ in range(40)]
        for sock in stopped:
            sock.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                while True:
                    sock.sendall(bytes(256 * KIB))
        witness = stack.enter_context(connect(program.port))
        eventually(lambda: len(target.sockets) == 41)
        far = target.sockets[-1]
        far.settimeout(WAIT)
        data = noise(MIB)
        feeder = threading.Thread(target=witness.sendall, args=(data,))
        feeder.start()
        assert read_exactly(far, len(data)) == data
        feeder.join(WAIT)


def test_clients_that_reset_are_counted_and_leave_nothing_behind(
    stack: contextlib.ExitStack,
) -> None:
    flood_of_resets(stack, 300)


def flood_of_resets(stack: contextlib.ExitStack, many: int) -> float:
    """The most seconds for which another client waited. The memory is back soon after."""
    with relay(echoing(stack)) as program:
        port = program.port
        # The witness, and what watches for resets, which is made with the first client.
        left = program.descriptors() + EACH + 1

        def come(number: int) -> None:
            client = connect(port)
            if number % 2:
                client.sendall(b"?")
            reset(client)

        with connect(port) as witness:
            answered(witness)
            memory = program.resident()
            most = longest(many, come, lambda: answered(witness))
            eventually(lambda: program.descriptors() <= left, BACK)
            eventually(lambda: program.resident() < memory + EACH * KEPT, BACK)
            stop(program)
    return most
