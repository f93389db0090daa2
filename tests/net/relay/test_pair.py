"""A pair over ends in memory: the test is the client on one side and the target on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.text import TextOptions
from sockkit.errors import BROKEN_OFF, ConnectError, ReceiveError, TimedOut
from sockkit.events import Event, HalfClosed, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.delivery import MAX_STALL_SECONDS
from sockkit.net.ends.end import Kind, PeerEnd
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.relay.pair import RESET_SECONDS, Outcome, Pair, Shared
from sockkit.net.waiting import Done, OnDone, Pending
from tests.net import kit
from tests.net.site import at_end, read_all, turn

loop = kit.loop

CAPACITY = 100  # bytes that each direction of each connection holds


class Dialling:
    """A connection that is being made, until the test says how that ends."""

    def __init__(self, on_done: OnDone[PeerEnd]) -> None:
        self.done, self.cancelled = on_done, False

    def cancel(self) -> None:
        self.cancelled = True


class Relayed:
    """A pair, whose far ends are `client` and `target`. `dialling` waits for the test."""

    def __init__(self, loop: Loop, clock: kit.Clock, *, alone: bool, **options: Any) -> None:
        self.loop, self.clock = loop, clock
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.near, self.client = memory_pair(loop, capacity=CAPACITY)
        self.there, self.target = memory_pair(loop, capacity=CAPACITY)
        self.dialling: Dialling | None = None
        context = kit.context(loop, emit=self.events.append)
        closer = Closer(loop, alone=alone, polite=True)
        self.pair = Pair(Shared(context, closer, self._dial, **options), self.near, self._over)
        self.pair.start()

    def _dial(self, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        assert client is self.near
        self.dialling = Dialling(on_done)
        return self.dialling

    def _over(self, pair: Pair, outcome: Outcome) -> None:
        assert pair is self.pair
        self.outcomes.append(outcome)

    def connect(self) -> Relayed:
        assert self.dialling
        self.dialling.done(self.there)
        turn(self.loop)
        return self

    def far(self, name: str) -> tuple[MemoryEnd, MemoryEnd]:
        """The end of that name, and the other one."""
        ends = (self.client, self.target)
        return ends if name == "client" else ends[::-1]

    def send(self, end: MemoryEnd, data: bytes) -> None:
        assert end.write(data) == len(data)
        turn(self.loop)

    def half_close(self, end: MemoryEnd) -> None:
        end.half_close()
        turn(self.loop)

    def reset(self, end: MemoryEnd) -> None:
        end.abort()
        turn(self.loop)

    def fill(self, end: MemoryEnd) -> int:
        """Send until nothing more is taken; how many bytes that were."""
        sent = 0
        while True:
            try:
                sent += end.write(b"f" * CAPACITY)
            except BlockingIOError:
                return sent
            turn(self.loop)

    def drain(self, end: MemoryEnd) -> bytes:
        """Everything that arrives until nothing more does."""
        got = bytearray()
        while data := read_all(end):
            got += data
            turn(self.loop)
        return bytes(got)

    def passes(self, seconds: float, step: float = 0.1) -> None:
        for _ in range(round(seconds / step)):
            self.clock.passes(step)
            turn(self.loop)

    @property
    def outcome(self) -> Outcome:
        assert len(self.outcomes) == 1, self.outcomes
        assert self.near.closed
        assert self.there.closed or not self.there._read_watch.callback
        return self.outcomes[0]

    def totals(self) -> tuple[int, int]:
        """What the client is said to have been sent, and what it has sent."""
        assert self.outcome.closed
        return self.outcome.closed.received, self.outcome.closed.sent


Make = Callable[..., Relayed]


@pytest.fixture
def relay(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    clock = kit.Clock(loop, monkeypatch)
    for timer in loop._timers:
        timer.cancel()

    def make(*, alone: bool = False, connect: bool = True, **options: Any) -> Relayed:
        made = Relayed(loop, clock, alone=alone, **options)
        turn(loop)
        return made.connect() if connect else made

    return make


def was_reset(end: MemoryEnd) -> bool:
    """Whether reading meets a reset instead of a clean end."""
    try:
        end.read_into(memoryview(bytearray(1)))
    except ReceiveError as error:
        return "connection reset" in str(error)
    except BlockingIOError:
        return False
    return False


both = pytest.mark.parametrize("name", ["client", "target"])


def test_each_gets_what_the_other_sends(relay: Make) -> None:
    it = relay()
    it.send(it.client, b"question")
    assert read_all(it.target) == b"question"
    it.send(it.target, b"answer")
    assert read_all(it.client) == b"answer"
    assert not at_end(it.target)
    assert not at_end(it.client)
    assert not it.outcomes


@both
def test_a_half_close_passes_and_the_other_direction_lives_on(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    it.send(first, b"all of it")
    it.half_close(first)
    assert read_all(last) == b"all of it"
    assert at_end(last)
    it.passes(1000, step=5)
    assert not it.outcomes
    it.send(last, b"late")
    assert read_all(first) == b"late"
    it.half_close(last)
    assert at_end(first)
    it.passes(0.5)
    assert it.outcome.error is None
    assert it.totals() == ((4, 9) if name == "client" else (9, 4))
    assert [event.peer for event in kit.of_kind(it.events, PeerEnded)] == [
        end.peer for end in (first.other, last.other)
    ]
    assert {total.size for total in kit.of_kind(it.events, StreamTotal)} == {9, 4}


@both
def test_a_reset_passes_after_what_was_sent_before_it(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    it.send(first, b"four")
    it.reset(first)
    it.passes(0.2)
    assert not it.outcomes, "the other has not got everything"
    assert read_all(last) == b"four"
    it.passes(0.2)
    assert was_reset(last)
    assert "connection reset" in str(it.outcome.error)
    assert it.outcome.closed
    assert it.outcome.closed.problem == "receiving failed: connection reset by peer"
    assert it.outcome.closed.kind == BROKEN_OFF


@both
def test_a_reset_while_the_other_direction_moves(relay: Make, name: str) -> None:
    """A write meets the error then, and reading only ends: that is no half-close to pass on."""
    it = relay()
    first, last = it.far(name)
    it.fill(last)  # nobody reads it
    first.abort()
    it.passes(RESET_SECONDS + 1)
    assert was_reset(last)
    assert it.outcome.error


@both
def test_a_write_that_meets_the_reset(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    last.write(b"x")  # first: in the turn that follows it is written before the other is read
    first.abort()
    it.passes(RESET_SECONDS + 1)
    assert was_reset(last)
    assert it.outcome.error


@both
def test_no_timer_keeps_what_is_closed(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    last.write(b"x")
    it.reset(first)
    it.passes(1.0)
    assert it.outcome.error
    assert [timer for timer in it.loop._timers if timer.callback] == []


@both
def test_a_reset_is_noticed_behind_a_sink_that_is_blocked(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    assert it.fill(first) >= 2 * CAPACITY
    it.reset(first)
    it.passes(RESET_SECONDS - 1)
    assert not it.outcomes
    it.passes(1.5)
    it.passes(MAX_STALL_SECONDS)
    assert "connection reset" in str(it.outcome.error)
    assert was_reset(last)


@both
def test_a_reset_is_noticed_before_the_sink_is_blocked(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    it.send(first, b"f" * CAPACITY)
    assert first.write(b"more") == 4
    it.reset(first)
    it.passes(3 * RESET_SECONDS + MAX_STALL_SECONDS)
    assert it.outcome.error
    assert was_reset(last)


@both
def test_what_was_read_before_a_reset_is_still_passed_on(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    sent = it.fill(first)
    it.reset(first)
    got = it.drain(last)
    it.passes(1)
    # What waited in the first's own buffer is lost, as TCP may lose it.
    assert len(got) == sent - CAPACITY
    assert last._reset
    assert it.outcome.error


@both
def test_a_reset_after_the_half_close(relay: Make, name: str) -> None:
    it = relay()
    first, last = it.far(name)
    it.half_close(first)
    assert at_end(last)
    it.reset(first)
    it.passes(1)
    assert last._reset
    assert it.outcome.error


@both
def test_a_full_sink_holds_its_source_back(relay: Make, name: str) -> None:
    it = relay(buffer_size=64)
    first, last = it.far(name)
    assert it.fill(first) <= 2 * CAPACITY + 64
    it.send(last, b"unhindered")
    assert read_all(first) == b"unhindered"
    it.passes(100)
    assert not it.outcomes
    assert it.drain(last).strip(b"f") == b""
    assert first.queued() == 0


def test_the_client_is_not_read_before_the_target_is_there(relay: Make) -> None:
    it = relay(connect=False)
    it.send(it.client, b"early")
    it.half_close(it.client)
    assert it.client.queued() == len(b"early")
    it.connect()
    assert read_all(it.target) == b"early"
    assert at_end(it.target)


def test_a_target_that_is_not_reached(relay: Make) -> None:
    it = relay(connect=False)
    error = ConnectError("could not connect")
    it.dialling.done(error)
    turn(it.loop)
    assert it.outcome == Outcome(error)
    assert at_end(it.client)


def test_the_target_is_not_reached_at_once(relay: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialling may report before it returns."""

    def dial(it: Relayed, client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        on_done(ConnectError("no"))
        return Done()

    monkeypatch.setattr(Relayed, "_dial", dial)
    it = relay(connect=False)
    assert not it.outcome.closed


def test_a_client_that_resets_while_the_target_is_dialled(relay: Make) -> None:
    it = relay(connect=False)
    it.reset(it.client)
    assert it.dialling.cancelled
    assert "connection reset" in str(it.outcome.error)
    assert it.outcome.closed
    assert it.totals() == (0, 0)


def test_a_silence_of_both_ends_the_pair(relay: Make) -> None:
    it = relay(idle=3)
    for name in ("client", "target") * 2:
        first, last = it.far(name)
        it.passes(2)
        it.send(first, b"x")
        assert read_all(last) == b"x"
    it.passes(2)
    assert not it.outcomes
    it.passes(2)
    assert isinstance(it.outcome.error, TimedOut)
    assert it.totals() == (2, 2)
    assert at_end(it.client)
    assert at_end(it.target)


@both
def test_half_closed_it_may_be_silent_only_for_so_long(relay: Make, name: str) -> None:
    it = relay(idle=3)
    it.half_close(it.far(name)[0])
    it.passes(2.5)
    assert not it.outcomes
    it.passes(1)
    assert isinstance(it.outcome.error, TimedOut)


@both
def test_who_takes_what_waits_is_not_silent(relay: Make, name: str) -> None:
    it = relay(idle=3)
    first, last = it.far(name)
    it.send(first, b"x" * CAPACITY)  # all of which the relay has written
    for _ in range(20):
        it.passes(1)
        assert not it.outcomes
        assert last.read_into(memoryview(bytearray(1))) == 1
    it.passes(4)
    assert isinstance(it.outcome.error, TimedOut)
    assert read_all(last) == b"x" * (CAPACITY - 20)
    assert at_end(last)


@both
def test_who_takes_nothing_for_so_long_gets_no_clean_end(relay: Make, name: str) -> None:
    it = relay(idle=3)
    first, last = it.far(name)
    it.fill(first)
    it.passes(4)
    assert isinstance(it.outcome.error, TimedOut)
    assert last._reset
    assert first._reset  # part of what it sent was not even read


def test_what_was_sent_before_the_silence_is_delivered(relay: Make) -> None:
    it = relay(idle=3)
    it.send(it.client, b"to be read")
    it.passes(4)
    assert isinstance(it.outcome.error, TimedOut)
    assert read_all(it.target) == b"to be read"
    assert at_end(it.target)


def test_text_is_converted_on_its_way(relay: Make) -> None:
    text = TextOptions(encoding="gbk")
    it = relay(
        to_target=lambda: text.outbound("utf-8", "what the client sent"),
        to_client=lambda: text.inbound("utf-8"),
    )
    for byte in "你好".encode():
        it.send(it.client, bytes([byte]))
    assert read_all(it.target) == "你好".encode("gbk")
    for byte in "再见".encode("gbk"):
        it.send(it.target, bytes([byte]))
    assert read_all(it.client) == "再见".encode()


def test_text_that_cannot_be_converted_ends_the_pair(relay: Make) -> None:
    text = TextOptions(encoding="gbk")
    it = relay(to_target=lambda: text.outbound("utf-8", "what the client sent"))
    it.send(it.client, b"ab\xff\xff")
    assert read_all(it.target) == b"ab"
    it.passes(0.2)
    assert "what the client sent" in str(it.outcome.error)
    assert it.target._reset
    assert it.client._reset


def test_an_encrypted_target_is_told_the_end_once_it_has_answered(relay: Make) -> None:
    it = relay(connect=False)
    it.there.kind = Kind.ENCRYPTED
    it.connect()
    it.half_close(it.client)
    assert not at_end(it.target)
    it.send(it.target, b"answer")
    it.passes(2)
    assert at_end(it.target)
    assert HalfClosed in [type(event) for event in it.events]
    assert read_all(it.client) == b"answer"
    it.half_close(it.target)
    it.passes(1)
    assert it.outcome.error is None


def test_an_end_that_is_cut_off_becomes_a_reset(
    relay: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TLS without close_notify: the other must not take it for a clean end."""
    it = relay()

    def truncated(_: memoryview) -> int:
        raise ReceiveError("truncated", kind="truncated")

    monkeypatch.setattr(it.there, "read_into", truncated)
    it.send(it.target, b"x")
    it.passes(2)
    assert was_reset(it.client)
    assert str(it.outcome.error) == "truncated"


@pytest.mark.parametrize("connect", [False, True])
def test_closing_it_reports_nothing(relay: Make, *, connect: bool) -> None:
    it = relay(connect=connect)
    it.pair.close()
    turn(it.loop)
    assert not it.outcomes
    assert it.dialling.cancelled is not connect
    assert was_reset(it.client)  # neither has ended, and a regular close would say so
    assert not connect or was_reset(it.target)


@both
def test_closing_it_passes_on_an_end(relay: Make, name: str) -> None:
    it = relay()
    far, other = it.far(name)
    far.half_close()
    turn(it.loop)
    it.pair.close()
    turn(it.loop)
    assert at_end(other)
    assert was_reset(far)


@both
def test_nothing_waits_once_it_is_over(relay: Make, name: str) -> None:
    it = relay(idle=5)
    it.reset(it.far(name)[0])
    it.passes(20)
    assert it.outcome.error
    assert not it.near.watched
    assert not it.there.watched
    assert not [timer for timer in it.loop._timers if timer.callback is not kit.too_late]
