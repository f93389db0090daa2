"""Tests of sockkit.net.chat.member: how a member is read. Whole rooms are in test_server.py."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from sockkit.core.chat.actions import Action, Disconnect
from sockkit.events import Closed
from sockkit.net.chat.member import MAX_RECEIVE_BYTES, MAX_TELNET_RECEIVE_BYTES, Member
from sockkit.net.chat.server import ChatOptions
from sockkit.net.closing import Closer
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_until

loop, stack = kit.loop, kit.stack


class Place:
    """A chat server with a room that notes what it is fed, and holds members up for `wait`."""

    def __init__(self, loop: Loop) -> None:
        self.loop, self.closer, self.options = loop, Closer(loop), ChatOptions()
        self.buffer = memoryview(bytearray(MAX_RECEIVE_BYTES))
        self.room: Any = self
        self.fed: list[bytes] = []
        self.charged: list[int] = []
        self.handled: list[Action] = []
        self.closed_events: list[tuple[Closed, bool]] = []
        self.wait = 0.0
        self.admitted = self.turns = 0

    def admit(self, _: Member) -> None:
        self.admitted += 1

    def feed(self, _: int, data: bytes, now: float) -> list[Action]:
        self.fed.append(data)
        return []

    def resume(self, _: int, now: float) -> list[Action]:
        self.turns += 1
        return []

    def resume_delay(self, _: int, now: float) -> float:
        return self.wait

    def charge_delay(self, _: int, now: float) -> float:
        return 0.0

    def charge(self, _: int, size: int) -> None:
        self.charged.append(size)

    def handle(self, outcomes: Iterable[Action]) -> None:
        self.handled += outcomes

    def departed(self, _: Member) -> None:
        pass

    def closed(self, closed: Closed, *, missed: bool) -> None:
        self.closed_events.append((closed, missed))


class Case:
    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        self.loop, self.place = loop, Place(loop)
        made = kit.stream_end("tcp", stack)
        self.far, self.end = made.far, made.end
        place: Any = self.place
        self.member = Member(place, made.end)
        stack.callback(self.place.closer.close_all)
        stack.callback(self.member.connection.close)
        self.member.start()


@pytest.fixture
def case(loop: Loop, stack: kit.Stack) -> Case:
    return Case(loop, stack)


def test_what_comes_goes_to_the_room(case: Case) -> None:
    case.far.give(b"hi\n")
    run_until(case.loop, lambda: case.place.fed == [b"hi\n"])
    assert case.place.admitted


def test_a_client_that_speaks_tls_is_refused(case: Case) -> None:
    case.far.give(b"\x16\x03\x01\x02\x00hi\n")
    with socket.socket(fileno=os.dup(case.far.descriptor)) as sock:
        sock.shutdown(socket.SHUT_WR)
    run_until(case.loop, lambda: bool(case.place.closed_events))
    ((event, missed),) = case.place.closed_events
    assert event.problem == "speaks TLS, and the room has no --tls"
    assert not missed
    assert (case.place.fed, case.place.admitted) == ([], 0)
    assert case.far.take() == b"* this room has no TLS\n"


def test_who_has_to_wait_is_not_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = kit.Clock(case.loop, monkeypatch)
    case.place.wait = 5.0
    case.far.give(b"one\n")
    kit.settle(case.loop)
    clock.passes(4.9)
    kit.settle(case.loop)
    assert case.place.fed == []
    case.place.wait = 0.0
    clock.passes(0.2)
    kit.settle(case.loop)
    assert case.place.fed == [b"one\n"]


@pytest.mark.parametrize("leaves", [False, True])
def test_lines_that_wait_are_said_in_time_while_their_member_is_there(
    leaves: bool, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it sends nothing more."""
    clock = kit.Clock(case.loop, monkeypatch)
    real = case.place.feed

    def feed(number: int, data: bytes, now: float) -> list[Action]:
        case.place.wait = 1.0
        return real(number, data, now)

    monkeypatch.setattr(case.place, "feed", feed)
    case.far.give(b"one\ntwo\n")
    kit.settle(case.loop)
    assert (case.place.fed, case.place.turns) == ([b"one\ntwo\n"], 0)
    if leaves:
        case.member.connection.close_lingering()
    case.place.wait = 0.0
    clock.passes(1.1)
    kit.settle(case.loop)
    assert case.place.turns == (0 if leaves else 1)


def test_who_begins_with_telnet_commands_is_a_member_at_once(case: Case) -> None:
    case.far.give(b"\xff\xfb\x01")
    run_until(case.loop, lambda: bool(case.place.charged))
    assert case.place.admitted


def test_a_member_that_has_ended_is_gone_only_when_its_lines_are_said(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(case.loop, monkeypatch)
    case.far.give(b"last\n")
    kit.settle(case.loop)
    case.place.wait = 1.0
    case.far.close()
    kit.settle(case.loop)
    assert case.place.handled == []
    clock.passes(0.5)
    kit.settle(case.loop)
    assert case.place.handled == []
    case.place.wait = 0.0
    clock.passes(0.6)
    kit.settle(case.loop)
    assert case.place.handled == [Disconnect(case.member.number)]


def test_telnet_commands_cost_and_are_read_in_small_pieces(case: Case) -> None:
    reader = case.member._reader
    assert len(reader.buffer) == MAX_TELNET_RECEIVE_BYTES  # until it is known
    case.far.give(b"hi\n")
    run_until(case.loop, lambda: bool(case.place.fed))
    assert len(reader.buffer) == MAX_RECEIVE_BYTES
    case.far.give(b"\xff\xfb\x01")
    run_until(case.loop, lambda: bool(case.place.charged))
    assert case.place.charged == [3]
    assert len(reader.buffer) == MAX_TELNET_RECEIVE_BYTES


def test_last_words_are_read_although_nothing_can_be_sent(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.fail_nth(monkeypatch, type(case.end), "write", 1, case.end.write_failed(OSError(32, "")))
    case.member.send(b"to nobody\n")
    case.far.give(b"last words\n")
    run_until(case.loop, lambda: case.place.fed == [b"last words\n"])
    run_until(case.loop, lambda: bool(case.place.closed_events))
    ((closed, missed),) = case.place.closed_events
    assert (closed.problem, missed) == ("", False)
    assert case.member.close_reason == "connection lost"


def test_too_slow_a_member_is_dropped(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.skip_time(case.loop, monkeypatch)
    for _ in range(12):
        case.member.send(bytes(1_000_000))
    assert case.member.departed
    run_until(case.loop, lambda: bool(case.place.closed_events))
    ((closed, missed),) = case.place.closed_events
    assert closed.problem.startswith("too slow, ")
    assert (closed.kind, missed) == ("too slow", False)


def test_close_twice_is_told_once(case: Case) -> None:
    case.member.connection.close()
    case.member.connection.close_lingering()
    case.member.connection.close()
    assert len(case.place.closed_events) == 1
    with contextlib.suppress(OSError):
        assert case.far.take() == b""
