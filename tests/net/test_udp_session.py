"""When a client of datagrams is done; the rest is tests/e2e/test_udp.py."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import ConnectError, ReceiveError, SockkitError, TimedOut
from sockkit.net.connect import ConnectOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.posting import PostOptions
from sockkit.net.stdio import Stdio
from sockkit.net.udp import UdpOptions, connect_datagrams
from sockkit.net.udp_session import AnswerOptions, UdpSession
from tests.net import kit

loop, stack = kit.loop, kit.stack
HERE = "127.0.0.1"
Run = Callable[..., SockkitError | None]


@pytest.fixture
def run(loop: Loop, stack: contextlib.ExitStack) -> Run:
    """Run a session whose input is `x`, against a peer that gives `answers`; how it failed."""

    def run(
        *answers: bytes, ends: bool = True, size: int | None = None, **more: float
    ) -> SockkitError | None:
        peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind((HERE, 0))
        peer.settimeout(kit.WAIT)
        source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
        sock, to = connect_datagrams(
            loop,
            HostPort(HERE, peer.getsockname()[1]),
            ConnectOptions(),
            SocketOptions(),
            UdpOptions(),
            size,
            lambda _: None,
        )
        stack.callback(sock.close)

        def answer() -> None:
            _, address = peer.recvfrom(100)
            for text in answers:
                peer.sendto(text, address)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        source.far.give(b"x")
        if ends:
            source.far.close()
        options = PostOptions(), AnswerOptions(**more)  # type: ignore[arg-type]
        stdio = Stdio(source.end, sink.end, "utf-8")
        try:
            UdpSession(loop, sock, to, stdio, options, lambda _: None).run()
            return None
        except SockkitError as error:
            return error
        finally:
            thread.join(kit.WAIT)

    return run


def test_a_silence_ends_it(run: Run) -> None:
    assert run(b"a", linger=0.05) is None


def test_as_many_answers_as_expected_end_it(run: Run) -> None:
    assert run(b"a", b"b", expect=2, linger=30, timeout=30) is None


def test_fewer_are_a_timeout(run: Run) -> None:
    error = run(b"a", expect=2, timeout=0.1)
    assert type(error) is TimedOut
    assert "1 of 2 answers" in str(error)
    assert "sent 1 datagram, received 1" in str(error)


def test_nothing_either_way_is_a_timeout(run: Run) -> None:
    error = run(ends=False, idle=0.05)
    assert type(error) is TimedOut
    assert "nothing was sent or received" in str(error)


def test_a_datagram_that_was_cut_is_a_fault(run: Run) -> None:
    assert type(run(b"0123456789", size=4, linger=0.05)) is ReceiveError


def test_a_refusal(loop: Loop, stack: contextlib.ExitStack) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
    address = HostPort(HERE, port)
    sock, to = connect_datagrams(
        loop, address, ConnectOptions(), SocketOptions(), UdpOptions(), None, id
    )
    stack.callback(sock.close)
    source.far.give(b"x")
    stdio = Stdio(source.end, sink.end, "utf-8")
    with pytest.raises(ConnectError, match="connection refused"):
        UdpSession(loop, sock, to, stdio, (PostOptions(), AnswerOptions()), id).run()
