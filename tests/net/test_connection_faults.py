"""The order and the number of what a connection and its reader do, which planted faults change."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.ending import FAULT_LINGER, EndOptions, Limit, Until
from sockkit.errors import ReceiveError, SendError, SockkitError, TextError
from sockkit.net import connection, reader
from sockkit.net.closing import Closer
from sockkit.net.coalesce import Coalescer
from sockkit.net.connection import (
    HELD_UP_CHECK_SECONDS,
    Connection,
    Direction,
    Owner,
    Result,
    Stage,
)
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.reader import Reader
from sockkit.net.waiting import wait_for
from tests.net import kit
from tests.net.kit import run_for, run_until, settle

loop, stack = kit.loop, kit.stack

IDLE = EndOptions(idle=1.0)
LINGER = EndOptions(linger=1.0)
MUCH = bytes(20_000_000)  # more than the system takes
FAILED = SendError("it failed")


class FakeMover:
    """Moves nothing, and logs what it is told."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log
        self.bytes_read = self.bytes_written = 0

    def start(self) -> None:
        self._log.append(f"{self._name} starts")

    def finish(self) -> None:
        self._log.append(f"{self._name} finishes")

    def stop(self) -> None:
        self._log.append(f"{self._name} stops")


class Case(Owner):
    """A connection that has started, and its owner. `log` is what was done, in order."""

    def __init__(self, loop: Loop, stack: kit.Stack, options: EndOptions | None) -> None:
        self.loop, self.log = loop, list[str]()
        made = kit.stream_end("tcp", stack)
        self.far, self.end = made.far, made.end
        self.closer = Closer(loop)
        self.results: list[Result] = []
        self.limits: list[Limit | None] = []
        self.held = False
        self.on_drained: Callable[[], object] = lambda: None
        self.connection = Connection(loop, self.end, self, self.closer, options)
        self.receiver = FakeMover("receiver", self.log)
        self.sender = FakeMover("sender", self.log)
        stack.callback(self.closer.close_all)
        stack.callback(self.connection.close)
        self.connection.start(self.receiver, self.sender)
        self.log.clear()

    def peer_ended(self) -> None:
        self.log.append("peer ended")

    def drained(self) -> None:
        self.log.append("drained")
        self.on_drained()

    def held_up(self, _: Limit) -> bool:
        return self.held

    def over(self, limit: Limit | None) -> None:
        self.log.append("over")
        self.limits.append(limit)

    def closed(self, result: Result) -> None:
        self.log.append("closed")
        self.results.append(result)

    @property
    def result(self) -> Result:
        """Wait for it."""
        run_until(self.loop, lambda: bool(self.results))
        (result,) = self.results
        return result

    def seconds_until_closed(self) -> float:
        began = self.loop.now
        assert self.result
        return self.loop.now - began

    def take_all(self) -> None:
        """The peer reads whatever comes."""
        far = self.far.descriptor
        os.set_blocking(far, False)

        def take() -> None:
            try:
                taken = len(os.read(far, 1_000_000))
            except OSError:
                taken = 0
            if not taken:
                self.loop.when_readable(far, None)

        self.loop.when_readable(far, take)


Make = Callable[..., Case]


@pytest.fixture
def make(loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Time is skipped, and the peer's system acknowledges at once."""

    def logged(name: str) -> None:
        real = getattr(SocketEnd, name)

        def call(end: SocketEnd) -> None:
            for case in cases:
                if case.end is end:
                    case.log.append(name)
            real(end)

        monkeypatch.setattr(SocketEnd, name, call)

    def make(options: EndOptions | None = None) -> Case:
        cases.append(Case(loop, stack, options))
        return cases[-1]

    cases: list[Case] = []
    kit.skip_time(loop, monkeypatch)
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 0)
    for name in ("half_close", "close", "abort"):
        logged(name)
    return make


# Order.


@pytest.mark.parametrize("how", ["close", "close_lingering"])
def test_both_directions_stop_before_the_end_is_closed(how: str, make: Make) -> None:
    case = make()
    getattr(case.connection, how)()
    assert case.result.error is None
    asked = ["half_close"] if how == "close_lingering" else []
    assert case.log == ["receiver stops", "sender stops", *asked, "close", "closed"]
    assert case.connection.stage is Stage.CLOSED


def test_what_was_read_is_written_before_it_closes(make: Make) -> None:
    case = make()
    case.connection.finish()
    assert case.log == ["sender stops", "receiver finishes"]
    case.connection.close_lingering()  # which has to wait for the receiver, too
    run_for(case.loop, 5)
    assert case.log == ["sender stops", "receiver finishes"]
    case.connection.receiver_ended()
    assert case.result.error is None
    assert "peer ended" not in case.log


def test_a_receiver_that_has_ended_need_not_finish(make: Make) -> None:
    case = make()
    case.connection.receiver_ended()
    case.connection.finish()
    assert "receiver finishes" not in case.log
    assert case.seconds_until_closed() == 0  # the peer's end has come: no reset can follow


# Number.


def test_a_connection_that_closes_is_told_of_once(make: Make) -> None:
    case = make()
    case.connection.close_lingering()
    case.connection.close_lingering(FAILED, drop=True)
    case.connection.finish(FAILED)
    case.connection.close(FAILED)
    assert case.connection.stage is Stage.CLOSING
    assert case.result.error is None
    case.connection.close()
    run_for(case.loop, 5)
    assert [case.log.count(word) for word in ("close", "closed", "half_close")] == [1, 1, 1]
    assert "receiver finishes" not in case.log


def test_to_finish_twice_is_to_finish_once(make: Make) -> None:
    case = make()
    case.connection.finish()
    case.connection.finish(FAILED)
    assert case.log.count("receiver finishes") == 1
    case.connection.receiver_ended()
    assert case.result.error is None


def test_our_side_is_ended_once(make: Make) -> None:
    case = make()
    case.connection.half_close()
    case.connection.half_close()
    case.connection.close_lingering()
    assert case.result.error is None
    assert case.log.count("half_close") == 1


def test_our_side_is_not_ended_where_it_has_failed(make: Make) -> None:
    case = make()
    case.connection.sending_failed(FAILED)
    case.connection.half_close()
    assert "half_close" not in case.log
    assert case.connection.sending is Direction.FAILED


def test_a_half_close_that_fails_is_a_failure_of_sending(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make()
    kit.fail_nth(monkeypatch, SocketEnd, "half_close", 1, FAILED)
    case.connection.half_close()
    assert case.connection.sending is Direction.FAILED


# Dropping what waits.


@pytest.mark.parametrize("drop", [False, True])
def test_who_leaves_drops_what_waits_only_if_that_is_wanted(drop: bool, make: Make) -> None:
    case = make()
    case.connection.send(MUCH)
    case.connection.close_lingering(drop=drop)
    assert bool(case.connection.outbox.dropped) == drop
    assert bool(case.connection.outbox.size) != drop
    case.take_all()
    assert bool(case.result.unsent) == drop
    assert ("abort" in case.log) == drop


def test_what_is_not_sent_is_counted_until_it_is_closed(make: Make) -> None:
    case = make()
    case.connection.send(MUCH)
    waits = case.connection.outbox.size
    assert case.connection.unsent == waits
    case.connection.close_lingering(drop=True)
    assert case.connection.unsent == case.result.unsent == waits


# Errors.


def test_what_can_still_come_is_received_when_sending_fails(make: Make) -> None:
    case = make(IDLE)
    case.connection.sending_failed(FAILED)
    assert case.log == ["sender stops", "drained"]
    case.connection.end_input()  # the owner knows that nothing more is sent
    began = case.loop.now
    run_until(case.loop, lambda: "receiver finishes" in case.log)
    assert abs(case.loop.now - began - FAULT_LINGER) < 0.1
    assert case.limits == []
    case.connection.receiver_ended()
    assert case.result.error is FAILED


def test_a_failure_of_sending_ends_the_wait_for_a_silence(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FAULT_LINGER", 2.0)
    case = make(IDLE)
    run_for(case.loop, 0.98)  # the next look at it is the last one
    case.connection.sending_failed(FAILED)
    run_until(case.loop, lambda: "receiver finishes" in case.log)
    assert case.limits == []


@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_peer_that_has_ended_has_nothing_more_to_say(ends: str, make: Make) -> None:
    """So a connection that cannot send is closed at once."""
    case = make(IDLE)
    if ends == "after":
        case.connection.sending_failed(FAILED)
    case.connection.receiver_ended()
    if ends == "before":
        case.connection.sending_failed(FAILED)
    assert case.log[-3:] == ["sender stops", "close", "closed"]
    assert case.result.error is FAILED


def test_input_that_is_at_fault_does_not_wait_for_the_peer(make: Make) -> None:
    case = make()
    error = TextError("no such letter")
    case.connection.sending_failed(error)
    assert case.log == ["sender stops", "sender stops", "receiver finishes"]
    case.connection.receiver_ended()
    assert case.result.error is error


def test_what_fails_while_it_finishes_counts_and_no_more(make: Make) -> None:
    case = make()
    case.connection.finish()
    case.connection.sending_failed(FAILED)
    assert case.log == ["sender stops", "receiver finishes"]
    case.connection.receiver_ended()
    assert case.result.error is FAILED


@pytest.mark.parametrize("second", ["sending_failed", "receiving_failed", "close", "finish"])
def test_the_first_error_is_the_reason(second: str, make: Make) -> None:
    case = make()
    case.connection.sending_failed(FAILED)
    getattr(case.connection, second)(SendError("another"))
    case.connection.receiver_ended()
    assert case.result.error is FAILED


def test_nobody_waits_for_what_was_sent_before_an_error(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make()
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 100)
    case.connection.finish(FAILED)
    case.connection.receiver_ended()
    assert (case.log[-1], case.result.undelivered) == ("closed", 100)


def test_a_receiver_that_fails_is_not_one_that_has_ended(make: Make) -> None:
    case = make()
    error = ReceiveError("connection reset")
    case.connection.receiving_failed(error)
    assert case.connection.receiving is Direction.FAILED
    assert case.result.error is error


# Silences.


@pytest.mark.parametrize("how", ["close", "close_lingering", "finish"])
def test_a_connection_that_closes_waits_for_no_silence(how: str, make: Make) -> None:
    case = make(IDLE)
    run_for(case.loop, 0.98)  # the next look at it is the last one
    getattr(case.connection, how)()
    run_for(case.loop, 5)
    assert case.limits == []


def test_what_ends_while_it_finishes_is_not_over_again(make: Make) -> None:
    case = make(EndOptions(Until.STDIN))
    case.connection.finish()
    case.connection.end_input()
    assert case.limits == []


def test_a_silence_from_the_start_is_too_long_in_time(make: Make) -> None:
    case = make(IDLE)
    began = case.loop.now
    run_until(case.loop, lambda: bool(case.limits))
    assert case.limits == [Limit.IDLE]
    assert abs(case.loop.now - began - 1.0) < 0.1


def test_a_silence_with_another_cause_is_looked_at_again(make: Make) -> None:
    case = make(IDLE)
    case.held = True
    run_for(case.loop, 3)
    assert case.limits == []
    case.held = False
    run_for(case.loop, 2 * HELD_UP_CHECK_SECONDS)
    assert case.limits == [Limit.IDLE]


@pytest.mark.parametrize("what", ["sent", "drained"])
def test_a_silence_of_our_input_counts_from_what_was_sent_last(
    what: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make(LINGER)
    case.connection.receiver_ended()
    if what == "drained":
        case.connection.send(MUCH)
    run_for(case.loop, 0.9)
    if what == "drained":
        case.take_all()
        run_until(case.loop, lambda: "drained" in case.log)
    else:
        case.connection.send(b"x")
    began = case.loop.now
    run_until(case.loop, lambda: bool(case.limits))
    assert case.limits == [Limit.INPUT_SILENT]
    assert case.loop.now - began > 0.9


def test_a_silence_of_our_input_counts_from_the_peers_end(make: Make) -> None:
    case = make(LINGER)
    run_for(case.loop, 0.9)
    case.connection.receiver_ended()
    began = case.loop.now
    run_until(case.loop, lambda: bool(case.limits))
    assert case.loop.now - began > 0.9


# The outbox.


def test_an_owner_that_waited_for_the_outbox_may_find_it_over(make: Make) -> None:
    """It is asked again."""
    case = make(EndOptions())
    case.connection.send(MUCH)
    case.connection.end_input()
    case.connection.receiver_ended()
    assert case.limits == [None]  # which the owner did not act on
    case.take_all()
    run_until(case.loop, lambda: "drained" in case.log)
    assert case.limits == [None, None]


def test_an_owner_is_told_of_its_outbox_only_while_it_is_open(make: Make) -> None:
    case = make()
    case.connection.send(MUCH)
    case.connection.close_lingering()
    case.take_all()
    assert case.result.unsent == 0
    assert "drained" not in case.log


# The reader.


class Handler:
    """Keeps what comes. `wants` is what it says, and `asked` how often it was asked."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.wants, self.asked = True, 0
        self.on_received: Callable[[], object] = lambda: None

    def received(self, data: bytes) -> None:
        self.got.append(data)
        self.on_received()

    def wants_more(self) -> bool:
        self.asked += 1
        return self.wants


class Reading(Case):
    """A connection whose bytes go to a handler."""

    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        super().__init__(loop, stack, None)
        self.handler = Handler()
        self.reader = Reader(loop, self.connection, self.handler, memoryview(bytearray(100)))
        self.connection.receiver = self.reader
        self.reader.start()

    def gets(self, data: bytes) -> None:
        self.far.give(data)
        settle(self.loop)


@pytest.fixture
def reading(loop: Loop, stack: kit.Stack) -> Reading:
    return Reading(loop, stack)


def test_a_handler_is_asked_before_each_read(reading: Reading) -> None:
    reading.gets(b"one")
    reading.handler.wants = False
    reading.gets(b"two")
    assert reading.handler.got == [b"one"]
    reading.handler.wants = True
    reading.reader.resume()
    settle(reading.loop)
    assert reading.handler.got == [b"one", b"two"]


def test_a_handler_that_wants_no_more_is_left_alone(reading: Reading) -> None:
    reading.handler.wants = False
    reading.gets(b"one")
    asked = reading.handler.asked
    settle(reading.loop)
    assert reading.handler.asked == asked


def test_what_a_handler_got_is_its_own(reading: Reading) -> None:
    reading.gets(b"one")
    reading.gets(b"two")
    assert reading.handler.got == [b"one", b"two"]  # though the buffer is one


@pytest.mark.parametrize("how", ["stop", "finish"])
def test_a_reader_that_has_stopped_reads_no_more(how: str, reading: Reading) -> None:
    getattr(reading.reader, how)()
    reading.gets(b"late")
    reading.reader.resume()
    settle(reading.loop)
    assert reading.handler.got == []
    assert reading.log == (["peer ended"] if how == "finish" else [])


def test_the_end_is_told_once(reading: Reading) -> None:
    with socket.socket(fileno=os.dup(reading.far.descriptor)) as peer:
        peer.shutdown(socket.SHUT_WR)
    settle(reading.loop)
    reading.reader.resume()
    settle(reading.loop)
    assert reading.log == ["peer ended"]


def test_a_handler_may_close_the_connection(reading: Reading) -> None:
    reading.handler.on_received = reading.connection.close
    reading.gets(b"one")
    reading.reader.resume()
    settle(reading.loop)
    assert (reading.handler.got, reading.log.count("closed")) == ([b"one"], 1)


def test_a_rest_is_kept_although_the_handler_wants_more(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(reading.loop, monkeypatch)
    monkeypatch.setattr(Coalescer, "should_pause", lambda *_: True)
    reading.gets(b"one")
    reading.gets(b"two")
    reading.reader.resume()
    settle(reading.loop)
    assert reading.handler.got == [b"one"]
    clock.passes(reader.PAUSE_SECONDS)
    settle(reading.loop)
    assert reading.handler.got == [b"one", b"two"]


def test_whether_to_rest_depends_on_what_the_peer_was_sent(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def should_pause(_: Coalescer, *arguments: Any) -> bool:
        asked.append(arguments)
        return False

    monkeypatch.setattr(Coalescer, "should_pause", should_pause)
    reading.handler.on_received = lambda: reading.connection.send(b"answer")
    reading.gets(b"one")
    reading.gets(b"four")
    assert [(size, sent) for size, _, sent in asked] == [(3, 0), (4, 6)]


def test_an_error_of_the_peer_ends_the_connection(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: SockkitError = ReceiveError("connection reset")
    kit.fail_nth(monkeypatch, SocketEnd, "read_into", 1, error)
    reading.gets(b"x")
    assert reading.result.error is error
    assert reading.connection.receiving is Direction.FAILED


# Waiting for an outcome.


def test_an_outcome_that_is_there_at_once_is_not_waited_for(loop: Loop) -> None:
    def start(done: Callable[[int | SockkitError], None]) -> None:
        done(1)
        done(2)  # the first one counts

    assert wait_for(loop, start) == 1


def test_an_outcome_that_is_an_error_is_raised(loop: Loop) -> None:
    def start(done: Callable[[int | SockkitError], None]) -> None:
        loop.later(0.01, lambda: done(FAILED))

    with pytest.raises(SendError, match="it failed"):
        wait_for(loop, start)
