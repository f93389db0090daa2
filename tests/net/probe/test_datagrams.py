from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.patterns import compile_pattern
from sockkit.core.replies import Question, Reply
from sockkit.errors import ConnectError, SockkitError, TimedOut
from sockkit.events import ConnectFailed, Event
from sockkit.net.endpoint import Endpoint
from sockkit.net.lookups import Lookups
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.probe.attempt import AttemptOptions, attempt
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.waiting import Done, wait_for
from tests.net import kit
from tests.support import HERE, WAIT, refuses_datagrams

loop = kit.loop


@contextlib.contextmanager
def service(answers: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Answers each datagram with those that `answers` returns; gives its port."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.settimeout(WAIT)

        def serve() -> None:
            while True:
                data, address = sock.recvfrom(65536)
                if data == b"end of the test":
                    return
                for answer in answers(data):
                    sock.sendto(answer, address)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"end of the test", sock.getsockname())
            thread.join(WAIT)


class Known:
    """In place of lookups: knows these endpoints."""

    def __init__(self, found: list[Endpoint]) -> None:
        self._found = found

    def resolve(self, *args: Any, timeout: float | None = None) -> Done:
        args[3](self._found)
        return Done()


def tried(
    loop: Loop,
    address: Address,
    pattern: str | None = None,
    send: bytes = b"",
    emit: Callable[[Event], None] = lambda _: None,
    found: list[Endpoint] | None = None,
    timeout: float = 5.0,
) -> float:
    lookups: Any = Known(found) if found else Lookups(10)
    question = Question(send, compile_pattern(pattern)[1]) if pattern is not None else None
    options = AttemptOptions(lookups, ConnectOptions(timeout), SocketOptions(), True, question)
    return wait_for(loop, partial(attempt, kit.context(loop, emit=emit), options, address))


def test_a_service_that_answers_is_open(loop: Loop) -> None:
    heard: list[bytes] = []

    def answers(data: bytes) -> list[bytes]:
        heard.append(data)
        return [b"pong"]

    with service(answers) as port:
        tried(loop, HostPort(HERE, port))
        tried(loop, HostPort(HERE, port), "^pong$", b"ping")
        tried(loop, HostPort(HERE, port), "", b"ping")
    assert heard == [b"", b"ping", b"ping"]


def test_an_empty_answer_is_one(loop: Loop) -> None:
    with service(lambda _: [b""]) as port:
        tried(loop, HostPort(HERE, port))


def test_a_later_answer_may_match(loop: Loop) -> None:
    with service(lambda _: [b"no", b"not yet", b"yes"]) as port:
        tried(loop, HostPort(HERE, port), "yes")
        with pytest.raises(SockkitError) as raised:
            tried(loop, HostPort(HERE, port), "never", timeout=0.3)
    assert (raised.value.kind, raised.value.status) == ('no match: "yes"', 1)


@pytest.mark.parametrize("slow", [True, False])
def test_nothing_is_searched_after_the_outcome(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """One receive may bring 64 datagrams, and a search that is given up ends the attempt."""
    searches = 0
    batch = Received(memoryview(b"x" * 64), 1, None, 64)

    def matches(_: Reply) -> bool:
        nonlocal searches
        searches += 1
        if slow:
            raise SockkitError("could not match", kind="no match: slow")
        return searches == 3

    monkeypatch.setattr(Reply, "matches", matches)
    monkeypatch.setattr(DatagramSocket, "receive", lambda _: batch)
    ends = pytest.raises(SockkitError, match="could not") if slow else contextlib.nullcontext()
    with service(lambda _: [b"x"]) as port, ends:
        tried(loop, HostPort(HERE, port), "x")
    assert searches == (1 if slow else 3)


def test_silence_is_told_to_mean_nothing(loop: Loop) -> None:
    with service(lambda _: []) as port, pytest.raises(TimedOut) as raised:
        tried(loop, HostPort(HERE, port), timeout=0.3)
    assert raised.value.kind == "no answer"
    assert "within 0.3 s" in str(raised.value)
    assert "UDP cannot tell" in str(raised.value)


def test_a_refusal(loop: Loop) -> None:
    with refuses_datagrams() as port, pytest.raises(ConnectError) as raised:
        tried(loop, HostPort(HERE, port))
    assert raised.value.kind == "refused"
    with pytest.raises(ConnectError, match="no such file"):
        tried(loop, UnixPath("/nonexistent/x"))


def test_the_next_address_of_a_name_may_answer(loop: Loop) -> None:
    events: list[Event] = []
    with refuses_datagrams() as closed, service(lambda _: [b"pong"]) as port:
        found = [Endpoint(socket.AF_INET, (HERE, number)) for number in (closed, port)]
        tried(loop, HostPort("name", 1), emit=events.append, found=found)
    failed = kit.of_kind(events, ConnectFailed)
    assert failed == [ConnectFailed(f"{HERE}:{closed}", "connection refused")]
