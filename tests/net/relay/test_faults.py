"""Faults in a pair: the test is the client on one side and the target on the other, in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.core.faults import Disturbed, Fault, FaultOptions
from sockkit.core.records import Injected, Record, Stream
from sockkit.errors import ReceiveError, TimedOut
from sockkit.events import Event, FaultInjected, InputEnded
from sockkit.net.closing import Closer
from sockkit.net.ends.disturbed_end import DisturbedEnd
from sockkit.net.ends.end import PeerEnd
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.relay.faults import Faults
from sockkit.net.relay.pair import Outcome, Pair, Shared
from sockkit.net.views import Views
from sockkit.net.waiting import Done, OnDone, Pending
from tests.net import kit
from tests.net.site import at_end, read_all, turn

loop = kit.loop

CAPACITY = 10_000
CLIENT = HostPort("10.0.0.7", 4000)


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def show(self, *records: Record) -> None:
        self.records += records

    def close(self) -> None:
        pass


class Relayed:
    """A disturbed pair, whose far ends are `client` and `target`."""

    def __init__(
        self, loop: Loop, clock: kit.Clock, options: FaultOptions, idle: float | None
    ) -> None:
        self.loop, self.clock = loop, clock
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.dialled = False
        near, self.client = memory_pair(loop, capacity=CAPACITY)
        near.remote = CLIENT
        self.there, self.target = memory_pair(loop, capacity=CAPACITY)
        self.resets: dict[MemoryEnd, Any] = {}
        for end in (near, self.there):  # the test tells of resets
            end.when_reset = lambda told, end=end: self.resets.update({end: told})  # type: ignore[attr-defined]
        self.near = near
        kept = Kept()
        self.records = kept.records
        views = Views(loop, self.events.append)
        views.add(kept)
        context = kit.context(loop, emit=self.events.append)._replace(views=views)
        faults = Faults(context, options, 1, "tcp", "there:80")
        closer = Closer(loop, polite=True)
        shared = Shared(context, closer, self._dial, faults=faults, idle=idle)
        self.pair = Pair(shared, near, lambda _, outcome: self.outcomes.append(outcome))  # type: ignore[arg-type]
        self.pair.start()
        turn(loop)

    def _dial(self, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        self.dialled = True
        self.loop.call_soon(lambda: on_done(self.there))  # type: ignore[arg-type]
        return Done()

    def send(self, end: MemoryEnd, data: bytes) -> None:
        assert end.write(data) == len(data)
        turn(self.loop)

    def half_close(self, end: MemoryEnd) -> None:
        end.half_close()
        turn(self.loop)

    def passes(self, seconds: float) -> None:
        for _ in range(max(round(seconds / 0.1), 1)):
            self.clock.passes(0.1)
            turn(self.loop)

    def faults(self) -> list[tuple[Any, ...]]:
        told = [event[1:] for event in self.events if isinstance(event, FaultInjected)]
        kept = [record for record in self.records if isinstance(record, Injected)]
        stream = Stream(1, "tcp", "10.0.0.7:4000", "there:80", dialled=True)
        assert {record.stream for record in kept} <= {stream}
        assert [(it.direction, it.fault, it.passed, it.detail) for it in kept] == told
        return told


Make = Callable[..., Relayed]


@pytest.fixture
def relay(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    clock = kit.Clock(loop, monkeypatch)
    return lambda idle=None, **options: Relayed(loop, clock, FaultOptions(**options), idle)


def was_reset(end: MemoryEnd) -> bool:
    try:
        end.read_into(memoryview(bytearray(1)))
    except (ReceiveError, BlockingIOError) as error:
        return isinstance(error, ReceiveError)
    return False


@pytest.mark.parametrize("direction", list(Disturbed))
def test_only_the_direction_that_was_chosen_is_late(relay: Make, direction: Disturbed) -> None:
    it = relay(delay=0.5, disturbed=direction)
    it.send(it.client, b"question")
    it.send(it.target, b"answer")
    assert (read_all(it.target) == b"") is (direction is not Disturbed.RECEIVED)
    assert (read_all(it.client) == b"") is (direction is not Disturbed.SENT)
    it.passes(0.6)
    assert read_all(it.target) + read_all(it.client) == {
        "sent": b"question", "received": b"answer", "both": b"questionanswer"
    }[direction]  # fmt: skip
    chosen = ["sent", "received"] if direction is Disturbed.BOTH else [direction]
    assert it.faults() == [(way, Fault.SHAPED, 0, "delay 0.5 s") for way in chosen]


@pytest.mark.parametrize("late", [0.3, 0.9])
def test_a_silence_begins_when_the_bytes_are_due(relay: Make, late: float) -> None:
    """Even if the machine is held up at that time, so that both are found at once."""
    it = relay(delay=3.0, idle=1.0)
    it.send(it.client, b"question")
    it.passes(2.9)
    it.clock.passes(late)
    turn(it.loop)
    assert (read_all(it.target), it.outcomes) == (b"question", [])
    it.passes(1.5)
    (outcome,) = it.outcomes
    assert isinstance(outcome.error, TimedOut)


def test_what_has_stalled_has_no_clean_end(relay: Make) -> None:
    it = relay(stall_at=2, idle=1.0, disturbed=Disturbed.RECEIVED)
    it.send(it.target, b"hello")
    it.half_close(it.target)
    it.half_close(it.client)
    assert read_all(it.client) == b"he"
    it.passes(2.5)
    assert was_reset(it.client)


def test_half_closes_pass_as_late_as_bytes(relay: Make) -> None:
    it = relay(delay=0.5)
    it.send(it.client, b"question")
    it.half_close(it.client)
    it.passes(0.3)
    assert not at_end(it.target)
    it.passes(0.3)
    assert read_all(it.target) == b"question"
    assert at_end(it.target)
    it.send(it.target, b"answer")
    it.half_close(it.target)
    it.passes(0.6)
    assert read_all(it.client) == b"answer"
    assert at_end(it.client)
    it.passes(1.0)
    (outcome,) = it.outcomes
    assert outcome.error is None
    assert outcome.closed
    assert (outcome.closed.received, outcome.closed.sent) == (6, 8)


def test_a_reset_is_as_late_and_comes_after_the_bytes(relay: Make) -> None:
    it = relay(delay=0.5)
    it.send(it.client, b"last words")
    it.passes(0.1)
    it.client.abort()
    it.passes(0.3)
    assert read_all(it.target) == b""
    it.passes(0.2)
    assert read_all(it.target) == b"last words"
    it.passes(1.0)
    assert was_reset(it.target)


@pytest.mark.parametrize(("way", "other"), [("client", "target"), ("target", "client")])
def test_a_stalled_direction_passes_nothing_and_the_other_goes_on(
    relay: Make, way: str, other: str
) -> None:
    it = relay(stall_at=5, disturbed="sent" if way == "client" else "received")
    sender, receiver = getattr(it, way), getattr(it, other)
    it.send(sender, b"0123456789")
    it.half_close(sender)
    it.passes(100)
    assert read_all(receiver) == b"01234"
    assert not at_end(receiver)
    it.send(receiver, b"still heard")
    assert read_all(sender) == b"still heard"
    assert it.outcomes == []
    assert it.faults() == [("sent" if way == "client" else "received", Fault.STALLED, 5, "")]
    assert not any(isinstance(event, InputEnded) for event in it.events)


def test_a_client_that_resets_while_it_is_stalled_is_gone(relay: Make) -> None:
    it = relay(stall_at=5, disturbed="sent")
    it.send(it.client, b"0123456789")
    assert read_all(it.target) == b"01234"
    error = ReceiveError("connection reset", kind="reset")
    it.resets[it.near](error)
    it.client.abort()
    it.passes(1.0)
    assert it.outcomes[0].error is error
    assert was_reset(it.target)


@pytest.mark.parametrize(("way", "other"), [("client", "target"), ("target", "client")])
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CLOSED])
def test_both_are_reset_or_closed_after_exactly_so_many_bytes(
    relay: Make, way: str, other: str, fault: Fault
) -> None:
    direction = "sent" if way == "client" else "received"
    at = {"reset_at": 5} if fault is Fault.RESET else {"close_at": 5}
    it = relay(**at, disturbed=direction)
    sender, receiver = getattr(it, way), getattr(it, other)
    it.send(sender, b"0123456789")
    assert it.outcomes == []  # before the receiver has everything
    assert read_all(receiver) == b"01234"
    it.passes(1.0)
    if fault is Fault.RESET:
        assert was_reset(receiver)
        assert was_reset(sender)
    else:
        assert at_end(receiver)
        assert at_end(sender)
    (outcome,) = it.outcomes
    assert outcome.error is None
    assert outcome.closed
    assert outcome.closed.problem == ""
    assert it.faults() == [(direction, fault, 5, "")]


def test_what_was_late_does_not_make_a_regular_close_a_reset(relay: Make) -> None:
    it = relay(close_at=5, delay=5.0)
    it.send(it.client, b"01234")
    it.passes(4.0)
    it.send(it.target, b"late")
    it.passes(1.2)
    assert read_all(it.target) == b"01234"
    it.passes(1.0)
    assert at_end(it.target)
    assert at_end(it.client)
    assert it.target.failure() is it.client.failure() is None
    assert len(it.outcomes) == 1


def test_one_that_is_refused_is_reset_and_nobody_is_dialled(relay: Make) -> None:
    it = relay(refuse=1.0)
    assert was_reset(it.client)
    assert not it.dialled
    assert it.faults() == [("", Fault.REFUSED, 0, "")]
    (outcome,) = it.outcomes
    assert outcome.error is None


def test_one_that_is_not_refused_is_not_disturbed(relay: Make) -> None:
    it = relay(refuse=0.0001)
    it.send(it.client, b"hello")
    assert read_all(it.target) == b"hello"
    assert it.faults() == []


def test_a_client_without_an_address_is_named_in_records_as_its_connection_is(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _ = memory_pair(loop)
    there, _ = memory_pair(loop)
    there.local = lambda: HostPort("127.0.0.1", 5)  # type: ignore[method-assign]
    there.remote = HostPort("127.0.0.1", 80)
    kept = Kept()
    views = Views(loop, lambda _: None)
    views.add(kept)
    context = kit.context(loop)._replace(views=views)
    for transport, target, local in [("tcp", there, "127.0.0.1:5"), ("unix", near, "unix")]:
        asked = FaultOptions(delay=1.0, disturbed=Disturbed.SENT)
        faults = Faults(context, asked, 1, transport, "unix:/run/x")
        faults.disturb(near, target, lambda _: None)  # type: ignore[arg-type]
        assert isinstance(kept.records[-1], Injected)
        remote = "127.0.0.1:80" if target is there else "unix:/run/x"
        assert kept.records[-1].stream == Stream(1, transport, local, remote, dialled=True)


def test_ends_are_wrapped_only_where_they_are_disturbed(loop: Loop) -> None:
    near, _ = memory_pair(loop)
    there, _ = memory_pair(loop)
    cases = [({"refuse": 0.5}, (False, False)), ({"chunk": 1}, (True, True))]
    cases += [({"chunk": 1, "disturbed": Disturbed.SENT}, (True, False))]
    for options, wrapped in cases:
        asked = FaultOptions(**options)  # type: ignore[arg-type]
        faults = Faults(kit.context(loop), asked, 1, "tcp", "there:80")
        ends = faults.disturb(near, there, lambda _: None)  # type: ignore[arg-type]
        assert tuple(isinstance(end, DisturbedEnd) for end in ends) == wrapped
        faults.release(ends[0])
        faults.release(ends[1])
