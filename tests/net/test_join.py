"""A connection joined to another end, both in memory; sessions have tests of their own."""

from __future__ import annotations

import pytest

from sockkit.core.ending import EndOptions, HalfClose, Until
from sockkit.core.records import Record
from sockkit.core.text import TextOptions
from sockkit.errors import SockkitError, TimedOut
from sockkit.events import Event, HalfClosed, InputEnded, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.connection import Result
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.join import Join, JoinOptions
from sockkit.net.loop import Loop
from sockkit.net.screen import MAX_WAITING_BYTES
from sockkit.net.views import Views
from tests.net import kit
from tests.net.site import at_end, read_all, turn

loop = kit.loop

BOTH = EndOptions()


class Nothing:
    """A view that shows nothing."""

    def show(self, record: Record, /) -> bytes:
        return b""


class Pair(Join):
    """Joins `peer` with `program`, the far sides, and keeps how it ended."""

    def __init__(self, loop: Loop, options: JoinOptions, clock: kit.Clock) -> None:
        self.loop, self.clock = loop, clock
        self.events: list[Event] = []
        end, self.peer = memory_pair(loop, capacity=100)
        self.other, self.program = memory_pair(loop, capacity=100)
        self.result: Result | None = None
        context = kit.context(loop, emit=self.events.append)
        super().__init__(context, end, (self.other, self.other), Closer(loop), options)
        self.start()
        turn(loop)

    def end_sink(self) -> None:
        self.other.half_close()

    def closing(self) -> None:
        super().closing()
        self.other.close()

    def closed(self, result: Result) -> None:
        assert self.result is None
        self.result = result

    def passes(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            self.clock.passes(0.1)
            turn(self.loop)

    @property
    def error(self) -> SockkitError | None:
        assert self.result, "it is open"
        return self.result.error

    def send(self, end: MemoryEnd, data: bytes) -> None:
        assert end.write(data) == len(data)
        turn(self.loop)

    def half_close(self, end: MemoryEnd) -> None:
        end.half_close()
        turn(self.loop)

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]


@pytest.fixture
def clock(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> kit.Clock:
    clock = kit.Clock(loop, monkeypatch)
    for timer in loop._timers:
        timer.cancel()
    return clock


def test_each_gets_what_the_other_sends_until_both_have_ended(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(BOTH), clock)
    pair.send(pair.peer, b"question")
    assert read_all(pair.program) == b"question"
    pair.send(pair.program, b"answer")
    assert read_all(pair.peer) == b"answer"
    pair.half_close(pair.peer)
    assert at_end(pair.program)
    pair.send(pair.program, b"more")
    assert read_all(pair.peer) == b"more"
    assert pair.result is None
    pair.half_close(pair.program)
    pair.passes(0.5)
    assert at_end(pair.peer)
    assert pair.error is None
    assert pair.other.closed
    assert pair.kinds() == [PeerEnded, InputEnded, StreamTotal, StreamTotal]
    totals = kit.of_kind(pair.events, StreamTotal)
    assert [(total.direction, total.size) for total in totals] == [("sent", 10), ("received", 8)]


def test_the_end_of_the_source_is_told_to_the_peer(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(BOTH), clock)
    pair.half_close(pair.program)
    assert at_end(pair.peer)
    pair.send(pair.peer, b"late")
    assert read_all(pair.program) == b"late"
    assert pair.result is None


def test_the_opening_comes_first_and_is_not_transformed(loop: Loop, clock: kit.Clock) -> None:
    text = TextOptions(encoding="gbk")
    options = JoinOptions(BOTH, text.outbound("utf-8", "x"), text.inbound("utf-8"), "é 你".encode())
    pair = Pair(loop, options, clock)
    pair.send(pair.program, "你".encode())
    assert read_all(pair.peer) == "é 你".encode() + "你".encode("gbk")
    pair.send(pair.peer, "好".encode("gbk"))
    assert read_all(pair.program) == "好".encode()


def test_an_opening_that_waits_holds_the_source_back(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(BOTH, opening=b"o" * 150), clock)
    pair.send(pair.program, b"after")
    assert read_all(pair.peer) == b"o" * 100
    turn(loop)
    turn(loop)
    assert read_all(pair.peer) == b"o" * 50 + b"after"


def test_a_reset_of_either_closes_both(loop: Loop, clock: kit.Clock) -> None:
    for name in ("peer", "program"):
        pair = Pair(loop, JoinOptions(BOTH), clock)
        getattr(pair, name).abort()
        turn(loop)
        pair.passes(1)
        assert "reset" in str(pair.error)
        assert pair.other.closed


def test_a_peer_that_has_ended_is_left_after_a_silence(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(BOTH), clock)
    pair.half_close(pair.peer)
    pair.passes(4.5)
    assert pair.result is None
    pair.passes(1)
    assert pair.error is None
    (notice,) = kit.of_kind(pair.events, Notice)
    assert notice.kind
    assert "there:1 is silent: closing" in notice.text


def test_a_patient_one_waits_for_its_source(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(EndOptions(patient=True)), clock)
    pair.half_close(pair.peer)
    pair.passes(60)
    assert pair.result is None
    pair = Pair(loop, JoinOptions(EndOptions(linger=1, patient=True)), clock)
    pair.half_close(pair.peer)
    pair.passes(2)
    assert pair.error is None


def test_a_silence_of_both_ends_it(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(EndOptions(idle=3)), clock)
    pair.passes(2)
    pair.send(pair.program, b"x")
    pair.passes(2)
    assert pair.result is None
    pair.passes(2)
    assert isinstance(pair.error, TimedOut)


def test_until_says_whose_end_ends_it(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(EndOptions(Until.STDIN)), clock)
    pair.half_close(pair.program)
    pair.passes(0.5)
    assert pair.error is None


def test_the_half_close_may_wait_for_the_answer(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(EndOptions(half_close=HalfClose.AUTO)), clock)
    pair.half_close(pair.program)
    assert not at_end(pair.peer)
    pair.send(pair.peer, b"answer")
    pair.passes(3)
    assert at_end(pair.peer)
    assert HalfClosed in pair.kinds()


def test_a_silence_that_a_stuck_view_causes_ends_nothing(loop: Loop, clock: kit.Clock) -> None:
    """Nothing is read of the peer meanwhile, so nobody knows whether it is silent."""
    pair = Pair(loop, JoinOptions(EndOptions(linger=1.0, idle=9.0)), clock)
    pair._views = views = Views(loop, pair.events.append)
    sink, reader = memory_pair(loop)
    views.show_on(sink, Nothing()).put(bytes(2 * MAX_WAITING_BYTES))
    pair.half_close(pair.program)
    pair.passes(5)
    assert pair.result is None
    while reader.has_bytes():
        read_all(reader)
        turn(loop)
    pair.passes(0.5)
    assert pair.result


def test_idle_timeout_ends_it_although_a_view_is_stuck(loop: Loop, clock: kit.Clock) -> None:
    pair = Pair(loop, JoinOptions(EndOptions(idle=3.0)), clock)
    pair._views = views = Views(loop, pair.events.append)
    views.show_on(memory_pair(loop)[0], Nothing()).put(bytes(2 * MAX_WAITING_BYTES))
    pair.passes(5)
    assert isinstance(pair.error, TimedOut)
