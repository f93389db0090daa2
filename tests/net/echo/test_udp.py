"""Datagrams through the responder."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

import pytest

from sockkit.events import Failure
from sockkit.net.echo import udp as module
from sockkit.net.echo.tcp import EchoOptions
from sockkit.net.scheduler import Scheduler
from sockkit.net.udp.datagrams import DatagramSocket
from tests.net import kit
from tests.net.echo import site as echo_site
from tests.net.echo.site import LATE, PLAIN, RULED, UPPER, Site, each
from tests.net.kit import fail_nth, noise, of_kind, run_for, run_until
from tests.net.udp.site import Full

loop, stack, site = kit.loop, kit.stack, echo_site.site


@each
@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_a_datagram(size: int, options: EchoOptions, site: Site) -> None:
    site.udp(options)
    sock = site.client(socket.SOCK_DGRAM)
    data = noise(size) if options is not UPPER else b"7" * size
    sock.send(data)
    assert site.datagram(sock) == data
    sock.send(b"next")
    assert site.datagram(sock).lower() == b"next"


@each
def test_datagrams_that_come_together_stay_apart(options: EchoOptions, site: Site) -> None:
    site.udp(options)
    socks = [site.client(socket.SOCK_DGRAM) for _ in range(3)]
    for number in range(30):
        socks[number % 3].send(b"%d" % number * (number % 4))
    got = [[site.datagram(sock) for _ in range(10)] for sock in socks]
    assert got == [
        [b"%d" % number * (number % 4) for number in range(first, 30, 3)] for first in range(3)
    ]


def segments(sock: socket.socket, data: bytes, size: int) -> None:
    """Datagrams that the kernel may hand over in one piece, udp(7) UDP_SEGMENT."""
    try:
        sock.sendmsg([data], [(17, 103, size.to_bytes(2, "little"))])
    except OSError:
        for at in range(0, len(data), size):
            sock.send(data[at : at + size])


@each
def test_datagrams_in_one_piece_are_answered_each(options: EchoOptions, site: Site) -> None:
    site.udp(options)
    sock = site.client(socket.SOCK_DGRAM)
    segments(sock, b"PING" * 10 + b"P", 4)
    answer = b"PONG" if options is RULED else b"PING"
    assert [site.datagram(sock) for _ in range(11)] == [answer] * 10 + [b"P"]


@pytest.mark.parametrize("name", ["sendto", "sendmsg"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_datagrams_wait_in_order_for_a_full_system(
    name: str, number: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.udp(PLAIN)
    sock = site.client(socket.SOCK_DGRAM)
    full = BlockingIOError(errno.EAGAIN, "full")
    fail_nth(monkeypatch, socket.socket, name, number, full, lambda mine, *_: mine is not sock)
    size = 4 if name == "sendmsg" else 1
    for batch in range(5):
        data = b"".join(b"%d%03d" % (batch, n) for n in range(size))
        segments(sock, data, 4)
    expected = [b"%d%03d" % (batch, n) for batch in range(5) for n in range(size)]
    assert [site.datagram(sock) for _ in expected] == expected


@pytest.mark.parametrize(
    ("name", "code"),
    [("sendto", errno.ENOBUFS), ("sendto", errno.EPERM), ("recvmsg_into", errno.ENOMEM)],
)
def test_a_datagram_call_that_fails_is_told_once(
    name: str, code: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.udp(PLAIN)
    sock = site.client(socket.SOCK_DGRAM)
    fail_nth(monkeypatch, socket.socket, name, 1, OSError(code, os.strerror(code)))
    sock.send(b"lost or not")
    run_until(site.loop, lambda: bool(of_kind(site.events, Failure)))
    sock.send(b"next")
    while site.datagram(sock) != b"next":
        pass
    (failure,) = of_kind(site.events, Failure)
    assert os.strerror(code)[1:] in failure.text


@pytest.mark.parametrize(("drop", "answered"), [(0.0, 200), (1.0, 0)])
def test_all_or_none_are_dropped(drop: float, answered: int, site: Site) -> None:
    site.udp(PLAIN._replace(drop=drop))
    sock = site.client(socket.SOCK_DGRAM)
    got = 0
    for number in range(200):
        sock.send(b"%d" % number)
        kit.run_for(site.loop, 0.0005)
        with contextlib.suppress(BlockingIOError):
            got += bool(sock.recv(10))
    kit.run_for(site.loop, 0.05)
    with contextlib.suppress(BlockingIOError):
        while sock.recv(10):
            got += 1
    assert got == answered


def test_a_share_is_dropped_at_random(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.5, 0.049, 0.05, 0.0, 0.999])
    monkeypatch.setattr("random.random", lambda: next(draws))
    site.udp(PLAIN._replace(drop=0.05))
    sock = site.client(socket.SOCK_DGRAM)
    for number in range(5):
        sock.send(b"%d" % number)
    assert [site.datagram(sock) for _ in range(3)] == [b"0", b"2", b"4"]


def test_few_senders_are_remembered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 3)
    monkeypatch.setattr(Scheduler, "is_costly", lambda *_: True)
    echo = site.udp(RULED)
    for _ in range(5):
        sock = site.client(socket.SOCK_DGRAM)
        sock.send(b"x")
        assert site.datagram(sock) == b"x"
    assert len(echo._tasks) == 3


def test_late_datagrams_are_bounded_and_the_loss_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DELAYED_ANSWERS", 5)
    site.udp(EchoOptions(delay=0.1))
    sock = site.client(socket.SOCK_DGRAM)
    for number in range(8):
        sock.send(b"%d" % number)
    assert [site.datagram(sock) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    sock.send(b"again")
    assert site.datagram(sock) == b"again"
    assert any(hasattr(event, "text") for event in site.events)


@each
def test_nobody_is_heard_while_the_system_takes_no_answer(
    options: EchoOptions, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = site.udp(options)
    system = Full(monkeypatch, DatagramSocket)
    sock = site.client(socket.SOCK_DGRAM)
    for number in range(5):
        sock.send(b"%d" % number * 100)
    run_until(site.loop, lambda: bool(echo._service.outbox.size))
    run_for(site.loop, 0.01)
    assert options is LATE or echo._service.outbox.size == 100
    system.off()
    assert [site.datagram(sock) for _ in range(5)] == [b"%d" % number * 100 for number in range(5)]


def test_the_senders_that_are_remembered_are_bounded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 3)
    monkeypatch.setattr(Scheduler, "is_costly", lambda *_: True)
    echo = site.udp(RULED)
    socks = [site.client(socket.SOCK_DGRAM) for _ in range(10)]
    for sock in socks:
        sock.send(b"PING")
    assert [site.datagram(sock) for sock in socks] == [b"PONG"] * 10
    assert len(echo._tasks) == 3
