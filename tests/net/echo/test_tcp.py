"""The responder on real sockets and a loop that cannot hang."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.responder import RuleResponder, parse_rule
from sockkit.events import SocketCall
from sockkit.net import closing
from sockkit.net.echo.plain import MAX_RECEIVE_BYTES, PlainEcho
from sockkit.net.echo.tcp import AnsweredEcho, EchoOptions
from tests.net import kit
from tests.net.echo import site as echo_site
from tests.net.echo.site import LATE, MIB, RULED, UPPER, Site, each
from tests.net.kit import fail_nth, noise, of_kind, run_until
from tests.support import reset

loop, stack, site = kit.loop, kit.stack, echo_site.site


@each
def test_a_half_close_ends_after_the_last_answer(options: EchoOptions, site: Site) -> None:
    site.tcp(options)
    sock = site.client()
    data = noise(MIB).replace(b"\n", b"\r") if options is not UPPER else b"7" * MIB
    sock.send(data[:1])
    assert site.asks(sock, data[1:-1], 1) == data[:1]
    sock.setblocking(True)
    sock.send(data[-1:])
    sock.shutdown(socket.SHUT_WR)
    sock.setblocking(False)
    assert site.asks(sock, b"", MIB) == data[1:]
    run_until(site.loop, lambda: bool(site.closed))
    assert site.closed == [(MIB, MIB, "")]


@each
def test_a_reset_ends_that_client_alone(options: EchoOptions, site: Site) -> None:
    echo = site.tcp(options)
    sock, other = site.client(), site.client()
    assert site.asks(sock, b"1\n", 2) == b"1\n"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    run_until(site.loop, lambda: bool(site.closed))
    assert site.closed == [(2, 2, "")]
    assert [step.detail for step in of_kind(site.events, SocketCall) if step.call == "reset"] != []
    assert site.asks(other, b"2\n", 2) == b"2\n"
    assert len(echo._connections) == 1


def test_what_a_client_sent_before_it_reset_is_freed(site: Site) -> None:
    made: list[weakref.ref[RuleResponder]] = []

    def make() -> RuleResponder:
        responder = RuleResponder([parse_rule("*=x", regex=False)], "utf-8")
        made.append(weakref.ref(responder))
        return responder

    site.tcp(EchoOptions(make))
    sock = site.client()
    assert site.asks(sock, b"1\n" + b"y" * 60_000, 2) == b"x\n"  # the second line has no end
    with kit.no_collection():
        reset(sock)
        run_until(site.loop, lambda: bool(site.closed))
        assert made[0]() is None


@each
def test_who_takes_nothing_is_not_read(options: EchoOptions, site: Site) -> None:
    site.tcp(options)
    sock, other = site.client(), site.client()
    assert site.asks(sock, b"1\n", 2) == b"1\n"
    sent, still, line = 0, 0, b"x" * 1023 + b"\n"

    def stuffed() -> bool:
        nonlocal sent, still
        try:
            sent += sock.send(line[sent % 1024 :] + line * 63)
            still = 0
        except BlockingIOError:
            still += 1
        return still == 100  # milliseconds

    run_until(site.loop, stuffed)
    assert sent < 32 * MIB
    assert site.asks(other, b"2\n", 2) == b"2\n"
    sock.shutdown(socket.SHUT_WR)
    data = site.asks(sock, b"", sent)
    assert data.lower() == (line * (sent // 1024 + 1))[:sent]


def test_a_greeting_comes_first(site: Site) -> None:
    site.tcp(UPPER._replace(greet=b"hello\n"))
    sock = site.client()
    assert site.asks(sock, b"", 6) == b"hello\n"
    assert site.asks(sock, b"a", 1) == b"A"


def test_after_its_last_answer_a_connection_is_closed(site: Site) -> None:
    site.tcp(RULED._replace(close_after=2))
    sock = site.client()
    assert site.asks(sock, b"PING\nx\nPING\nx\n", 1000) == b"PONG\nx\n"
    sock.close()
    run_until(site.loop, lambda: bool(site.closed))
    assert site.closed == [(7, 14, "")]


@pytest.mark.parametrize("chatters", [False, True])
def test_a_client_that_stays_after_its_last_answer_is_closed(
    chatters: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(site.loop, monkeypatch)
    site.tcp(UPPER._replace(close_after=1))
    sock = site.client()
    assert site.asks(sock, b"a\n", 10) == b"A\n"
    began = site.loop.now

    def chatter() -> None:
        sock.send(b"b\n")
        site.loop.later(0.1, chatter)

    if chatters:
        chatter()
    run_until(site.loop, lambda: bool(site.closed))
    assert site.loop.now - began < (5 if chatters else 1)


def test_a_newcomer_finds_room_among_those_who_stay(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_CLOSING_CONNECTIONS", 1)
    monkeypatch.setattr(closing, "QUIET_SECONDS", 1000.0)
    monkeypatch.setattr(closing, "MAX_CHATTER_SECONDS", 1000.0)
    site.tcp(UPPER._replace(close_after=1))
    assert site.asks(site.client(), b"a\n", 10) == b"A\n"
    assert not site.closed
    site.client()
    run_until(site.loop, lambda: bool(site.closed))


def test_the_last_answer_arrives_when_more_was_asked(site: Site) -> None:
    """What is not read when a connection is closed makes the system throw answers away."""
    answer = b"x" * 200_000
    rule = parse_rule(f"*={answer.decode()}", regex=False)
    site.tcp(EchoOptions(lambda: RuleResponder([rule], "utf-8"), close_after=1))
    sock = site.client()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    assert site.asks(sock, b"1\n", 1) == b"x"
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.send(b"2\n3\n")
    assert site.asks(sock, b"", 1_000_000) == answer[1:] + b"\n"


def test_what_a_client_did_not_get_is_told_and_not_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "MAX_STALL_SECONDS", 0.05)
    rule = parse_rule(f"*={'x' * 299_999}", regex=False)  # which the system takes
    site.tcp(EchoOptions(lambda: RuleResponder([rule], "utf-8"), close_after=1))
    sock = site.client()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.send(b"1\n")
    run_until(site.loop, lambda: bool(site.closed))
    ((sent, _, problem),) = site.closed
    lost = int(problem.removesuffix(" bytes not sent").replace(",", ""))
    assert lost > 0
    assert sent + lost == 300_000


def test_late_answers_keep_their_order(site: Site) -> None:
    site.tcp(LATE)
    sock = site.client()
    began = site.loop.now
    sock.send(b"1")
    run_until(site.loop, lambda: site.loop.now - began > 0.02)
    sock.send(b"2")
    assert site.asks(sock, b"3", 3) == b"123"
    assert site.loop.now - began >= 0.07


def test_late_answers_still_come_after_a_half_close(site: Site) -> None:
    site.tcp(LATE)
    sock = site.client()
    sock.send(b"1")
    sock.shutdown(socket.SHUT_WR)
    assert site.asks(sock, b"", 9) == b"1"
    assert site.closed == [(1, 1, "")]


def test_late_answers_are_bounded_and_the_rest_waits_quietly(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = parse_rule(f"*={'x' * 100_000}", regex=False)
    echo = site.tcp(EchoOptions(lambda: RuleResponder([rule], "utf-8"), delay=3600))
    site.client().send(b"1\n" * 100)
    run_until(site.loop, lambda: bool(echo._connections))
    (connection,) = echo._connections
    assert isinstance(connection, AnsweredEcho)
    run_until(site.loop, lambda: connection._delayed_bytes >= MAX_RECEIVE_BYTES)
    turns: list[bool] = []
    real = connection.serve

    def serve(over: Callable[[], bool]) -> bool:
        turns.append(real(over))
        return turns[-1]

    monkeypatch.setattr(connection, "serve", serve)
    kit.run_for(site.loop, 0.05)
    assert connection._delayed_bytes <= MAX_RECEIVE_BYTES + 100_001
    assert len(turns) <= 1


def test_stopping_sends_no_answer_that_is_not_due(site: Site) -> None:
    echo = site.tcp(EchoOptions(delay=60))
    sock = site.client()
    sock.send(b"12345")
    run_until(site.loop, lambda: any(getattr(c, "_delayed") for c in echo._connections))  # noqa: B009
    echo.close()
    assert site.closed == [(0, 5, "")]


def test_a_client_that_leaves_frees_what_it_was_owed(site: Site) -> None:
    """However long the delay is."""
    site.tcp(EchoOptions(delay=3600))
    for _ in range(20):
        sock = site.client()
        sock.send(noise(100_000))
        count = len(site.closed)
        run_until(site.loop, lambda: site.loop._timers != [])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.close()
        run_until(site.loop, lambda count=count: len(site.closed) > count)  # type: ignore[misc]
    waiting = [timer for timer in site.loop._timers if timer.callback and timer.when < 1e18]
    assert len(waiting) <= 5  # the test's own


def end_of(connection: PlainEcho | AnsweredEcho) -> Any:
    return connection.end if isinstance(connection, PlainEcho) else connection._connection.end


CALLS = [
    (socket.socket, "recv_into", errno.ECONNRESET),
    (socket.socket, "recv_into", errno.ENOMEM),
    (socket.socket, "send", errno.ECONNRESET),
    (socket.socket, "send", errno.EPIPE),
    (socket.socket, "send", errno.ENOBUFS),
]


@each
@pytest.mark.parametrize(("owner", "name", "code"), CALLS)
@pytest.mark.parametrize("number", [1, 3])
def test_a_call_that_fails_ends_that_client(
    owner: Any, name: str, code: int, number: int, options: EchoOptions, site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    echo = site.tcp(options)
    witness = site.client()
    assert site.asks(witness, b"w\n", 2).lower() == b"w\n"
    descriptors = {end_of(connection)._socket for connection in echo._connections}
    sock = site.client()
    run_until(site.loop, lambda: len(echo._connections) == 2)
    (served,) = {end_of(connection)._socket for connection in echo._connections} - descriptors
    error = OSError(code, os.strerror(code))
    fail_nth(monkeypatch, owner, name, number, error, lambda sock, *_: sock is served)
    for attempt in itertools.count(1):
        assert attempt <= number
        sock.send(b"7\n")
        try:
            got = site.asks(sock, b"", 2)
        except ConnectionResetError:
            break
        if not got:
            break
    run_until(site.loop, lambda: bool(site.closed))
    assert len(site.closed) == 1
    assert site.asks(witness, b"w\n", 2).lower() == b"w\n"


def test_a_silent_connection_is_closed_and_the_others_are_not(site: Site) -> None:
    site.tcp(EchoOptions(idle=0.2))
    silent, talker = site.client(), site.client()
    assert site.asks(silent, b"once", 4) == b"once"

    def talks() -> bool:
        with contextlib.suppress(BlockingIOError):
            talker.send(b"x")
            talker.recv(100)
        return bool(site.closed)

    run_until(site.loop, talks)
    assert site.asks(silent, b"", 1) == b""
    assert site.closed == [(4, 4, "nothing was sent or received for 0.2 s")]


def test_what_we_delay_is_no_silence_of_the_client(site: Site) -> None:
    site.tcp(EchoOptions(idle=0.05, delay=0.3))
    assert site.asks(site.client(), b"late", 4) == b"late"
