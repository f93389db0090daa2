"""Connections that only a program reads: with epoll(7), and without."""

from __future__ import annotations

import select
import socket

import pytest

from sockkit.net import hang_ups as module
from sockkit.net.hang_ups import HangUps
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_until, settle
from tests.support import reset

loop, stack = kit.loop, kit.stack


@pytest.fixture(params=["epoll", "poll"])
def pair(
    request: pytest.FixtureRequest, loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch
) -> tuple[socket.socket, socket.socket]:
    if request.param == "poll":
        monkeypatch.delattr(select, "epoll")
    ours, theirs = kit.tcp_pair()
    stack.callback(ours.close)
    stack.callback(theirs.close)
    return ours, theirs


Pair = tuple[socket.socket, socket.socket]


def watch(loop: Loop, sock: socket.socket, told: list[int]) -> None:
    def hung_up() -> None:
        told.append(sock.fileno())
        loop.when_hung_up(sock.fileno(), None)

    loop.when_hung_up(sock.fileno(), hung_up)


def test_a_reset_is_told(loop: Loop, pair: Pair) -> None:
    told: list[int] = []
    watch(loop, pair[0], told)
    reset(pair[1])
    run_until(loop, lambda: bool(told))
    assert told == [pair[0].fileno()]


def test_neither_bytes_nor_the_peers_end_is_a_hang_up(loop: Loop, pair: Pair) -> None:
    told: list[int] = []
    watch(loop, pair[0], told)
    pair[1].sendall(b"x")
    pair[1].shutdown(socket.SHUT_WR)
    kit.run_for(loop, 0.3)
    assert told == []
    pair[0].shutdown(socket.SHUT_WR)  # now both have ended
    run_until(loop, lambda: bool(told))


def test_it_is_told_in_each_turn_until_it_is_taken_back(loop: Loop, pair: Pair) -> None:
    calls: list[None] = []
    loop.when_hung_up(pair[0].fileno(), lambda: calls.append(None))
    reset(pair[1])
    run_until(loop, lambda: len(calls) > 2)
    loop.when_hung_up(pair[0].fileno(), None)
    loop.when_hung_up(pair[0].fileno(), None)
    before = len(calls)
    settle(loop)
    kit.run_for(loop, 0.2)
    assert len(calls) == before


def test_one_may_take_another_back_in_its_call(loop: Loop, pair: Pair, stack: kit.Stack) -> None:
    told: list[int] = []
    pairs = [pair, kit.tcp_pair()]
    for sock in pairs[1]:
        stack.callback(sock.close)

    def hung_up() -> None:
        told.append(1)
        for ours, _ in pairs:
            loop.when_hung_up(ours.fileno(), None)

    for ours, theirs in pairs:
        loop.when_hung_up(ours.fileno(), hung_up)
        reset(theirs)
    run_until(loop, lambda: bool(told))
    settle(loop)
    assert told == [1]


def test_without_epoll_one_timer_looks_while_anything_is_watched(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    real = HangUps._check

    def check(watching: HangUps) -> None:
        looks.append(None)
        real(watching)

    monkeypatch.setattr(HangUps, "_check", check)
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    number = pair[0].fileno()
    for _ in range(50):
        loop.when_hung_up(number, lambda: None)
        loop.when_hung_up(number, None)
    kit.run_for(loop, 0.05)
    assert len(looks) <= 1  # the timer of the first, which nothing follows
    told: list[int] = []
    watch(loop, pair[0], told)
    reset(pair[1])
    run_until(loop, lambda: bool(told))
