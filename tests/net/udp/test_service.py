"""What answers datagrams by itself."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.events import Event, Failure, Unanswered
from sockkit.net.loop import Loop
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, Received
from sockkit.net.udp.reply_filter import ReplyFilter
from sockkit.net.udp.service import DatagramService
from tests.net import kit
from tests.net.kit import HERE, fail_nth, of_kind, run_for, run_until
from tests.net.udp.site import Full, aims, bound, receive

loop, stack = kit.loop, kit.stack


class Service:
    """A service that sends back whatever may be answered, and a client of it."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack, max_waiting: int = 0) -> None:
        self.loop = loop
        self.events: list[Event] = []
        self.sent = 0
        self.heard: list[bytes] = []
        self.context = kit.context(loop, emit=self.events.append)
        self.sock = bound(self.context, stack)
        self.service = DatagramService(
            self.context, self.sock, self._received, max_waiting=max_waiting, on_sent=self._sent
        )
        self.service.start()
        stack.callback(self.service.stop)
        self.client, _ = next(aims(self.context, HostPort(HERE, self.sock.port or 0)))
        stack.callback(self.client.close)

    def _received(self, got: Received) -> None:
        for datagram in got.datagrams():
            self.heard.append(datagram)
            if self.service.answerable(got):
                self.service.send(datagram, got.address)

    def _sent(self) -> None:
        self.sent += 1

    def ask(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.client.send(datagram, MAX_PAYLOAD_BYTES)

    def answers(self, count: int) -> list[bytes]:
        return receive(self.loop, self.client, count)


@pytest.fixture
def service(loop: Loop, stack: contextlib.ExitStack) -> Service:
    return Service(loop, stack)


def test_each_is_answered(service: Service) -> None:
    service.ask(b"a", b"", b"b")
    assert service.answers(3) == [b"a", b"", b"b"]


def test_nothing_is_received_while_answers_wait(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ask(b"", b"b", b"c")  # an empty answer waits as any other
    system = Full(monkeypatch, service.sock)
    run_for(service.loop, 0.02)
    assert service.heard == [b""]
    system.off()
    assert service.answers(3) == [b"", b"b", b"c"]
    assert service.sent == 1


def test_some_bytes_may_wait(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(loop, stack, max_waiting=5)
    service.ask(b"123", b"", b"45", b"6")
    system = Full(monkeypatch, service.sock)
    run_for(loop, 0.02)
    assert service.heard == [b"123", b"", b"45"]
    system.off()
    assert service.answers(4) == [b"123", b"", b"45", b"6"]


def test_what_must_not_be_answered_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReplyFilter, "_refusal", lambda *_: "no")
    service.ask(b"a")
    run_until(service.loop, lambda: bool(service.heard))
    (event,) = of_kind(service.events, Unanswered)
    assert event.address == service.client.address
    run_for(service.loop, 0.02)
    with pytest.raises(BlockingIOError):
        service.client.receive()


@pytest.mark.parametrize("call", ["recvmsg_into", "sendto"])
def test_a_failure_is_told_and_it_goes_on(
    call: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, socket.socket, call, 1, OSError(errno.ENOMEM, "no memory"))
    service.ask(b"a")
    run_until(service.loop, lambda: bool(of_kind(service.events, Failure)))
    service.ask(b"b")
    while b"b" not in service.answers(1):
        pass
    (failure,) = of_kind(service.events, Failure)
    assert "no memory" in failure.text


def test_one_that_is_too_long_is_a_failure(service: Service) -> None:
    to: Any = service.client.bound_to
    service.service.send(bytes(70_000), to)
    (failure,) = of_kind(service.events, Failure)
    assert "is too large for the path to" in failure.text


def test_one_that_has_stopped_hears_nobody(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Full(monkeypatch, service.sock)
    service.ask(b"a")
    run_until(service.loop, lambda: bool(service.heard))
    service.service.stop()
    assert not service.service.outbox.waits
    service.ask(b"b")
    run_for(service.loop, 0.02)
    assert service.heard == [b"a"]
