"""How a disturbed end is late, stops and is released. What every end promises is in test_end.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.faults import Fault, FaultOptions, Held
from sockkit.core.stream_faults import MAX_HELD_BYTES_OF_ALL, MIN_HELD_BYTES, StreamFaults
from sockkit.errors import ReceiveError, SendError, SockkitError
from sockkit.net.ends.disturbed_end import DisturbedEnd
from sockkit.net.ends.end import Kind
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.site import turn

loop = kit.loop

CAPACITY = 1_000_000


class Disturbed:
    """A disturbed end with its far side, and a reader that reads what it is called for."""

    def __init__(self, loop: Loop, clock: kit.Clock, options: FaultOptions) -> None:
        self.loop, self.clock, self.held = loop, clock, Held()
        self.below, self.far = memory_pair(loop, capacity=CAPACITY)
        faults = StreamFaults(options, "1 1 sent", self.held)
        self.stops: list[tuple[Fault, int]] = []
        self.end = DisturbedEnd(
            loop, reset_aware(self.below), faults, lambda *stop: self.stops.append(stop)
        )
        self.got: list[bytes | SockkitError] = []
        self.calls = 0
        self.end.when_readable(self._read)
        turn(loop)

    def _read(self) -> None:
        self.calls += 1
        buffer = memoryview(bytearray(100_000))
        try:
            self.got.append(bytes(buffer[: self.end.read_into(buffer)]))
        except BlockingIOError:
            return
        except SockkitError as error:
            self.got.append(error)
        if self.got[-1] == b"" or isinstance(self.got[-1], SockkitError):
            self.end.when_readable(None)

    def send(self, data: bytes) -> None:
        assert self.far.write(data) == len(data)
        turn(self.loop)

    def passes(self, seconds: float) -> list[bytes | SockkitError]:
        self.clock.passes(seconds)
        turn(self.loop)
        return self.got

    def wakes_nobody(self) -> bool:
        """Whether nothing is to be called before more comes, but for the bound of the test."""
        timers = [
            timer for timer in self.loop._timers if timer.callback not in (None, kit.too_late)
        ]
        return not (timers or self.loop._soon)


def reset_aware(end: MemoryEnd) -> Any:
    """An end in memory tells of a reset only by reading; here the test tells."""
    end.when_reset = lambda callback: setattr(end, "on_reset", callback)  # type: ignore[attr-defined]
    return end


Make = Callable[..., Disturbed]


@pytest.fixture
def make(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    clock = kit.Clock(loop, monkeypatch)
    return lambda **options: Disturbed(loop, clock, FaultOptions(**options))


def test_bytes_and_their_end_are_late(make: Make) -> None:
    it = make(delay=0.2)
    it.send(b"hello")
    it.far.half_close()
    turn(it.loop)
    assert it.passes(0.19) == []
    assert not it.end.has_bytes()
    assert it.passes(0.02) == [b"hello", b""]


def test_an_idle_end_waits_for_no_timer(make: Make) -> None:
    it = make(delay=0.2, jitter=0.1, rate=1000, chunk=3)
    assert it.wakes_nobody()
    it.send(b"hello")
    assert not it.wakes_nobody()
    it.passes(1.0)
    it.passes(1.0)
    assert b"".join(it.got) == b"hello"  # type: ignore[arg-type]
    assert it.wakes_nobody()


def test_each_read_is_one_piece_in_a_turn_of_its_own(make: Make) -> None:
    it = make(chunk=7)
    it.send(b"0123456789abcdef")
    assert it.passes(0.1) == [b"0123456", b"789abcd", b"ef"]


def test_a_failure_is_late_and_comes_after_the_bytes(make: Make) -> None:
    it = make(delay=0.2)
    it.send(b"last words")
    it.passes(0.1)
    it.far.abort()
    turn(it.loop)
    (words,) = it.passes(0.15)
    assert words == b"last words"
    _, error = it.passes(0.1)
    assert isinstance(error, ReceiveError)
    assert it.end.failure() is None
    assert it.end.read_into(memoryview(bytearray(9))) == 0


def test_a_failure_that_nobody_has_read_is_told_by_asking(make: Make) -> None:
    it = make(delay=0.2)
    it.end.write(b"unread")
    it.far.abort()
    turn(it.loop)
    assert isinstance(it.end.failure(), SendError)
    assert it.end.failure() is None
    assert it.passes(1.0) == [b""]


def test_a_reader_that_waits_has_what_came_meanwhile_in_time(make: Make) -> None:
    it = make(delay=0.2)
    it.end.when_readable(None)
    it.send(b"hello")
    assert it.passes(0.3) == []
    it.end.when_readable(it._read)
    turn(it.loop)
    assert it.got == [b"hello"]


def test_it_reads_no_further_than_it_may_hold(make: Make) -> None:
    it = make(chunk=1)
    it.end.when_readable(None)
    it.send(bytes(CAPACITY))
    turn(it.loop)
    assert CAPACITY - it.below.other.queued() <= MIN_HELD_BYTES
    assert it.held.size <= 2 * MIN_HELD_BYTES


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"stall_at": 5}, Fault.STALLED),
        ({"reset_at": 5}, Fault.RESET),
        ({"close_at": 5}, Fault.CLOSED),
    ],
)
def test_a_stop_is_told_once_when_the_reader_comes_for_more(
    make: Make, options: dict[str, int], fault: Fault
) -> None:
    it = make(**options, chunk=2)
    it.send(b"0123456789")
    it.far.half_close()
    turn(it.loop)
    assert it.got == [b"01", b"23", b"4"]
    assert it.stops == [(fault, 5)]
    calls = it.calls
    it.passes(100.0)
    assert it.calls == calls
    assert it.got == [b"01", b"23", b"4"]
    assert it.far.queued() == 5  # which are not read: the peer is held up
    assert it.wakes_nobody()


def test_a_stop_is_not_told_before_what_came_before_is_passed_on(make: Make) -> None:
    it = make(reset_at=5)
    it.end.when_readable(None)
    it.send(b"0123456789")
    assert it.end.read_into(memoryview(bytearray(100))) == 5
    turn(it.loop)
    assert it.stops == []
    with pytest.raises(BlockingIOError):
        it.end.read_into(memoryview(bytearray(100)))
    turn(it.loop)
    assert it.stops == [(Fault.RESET, 5)]


def test_a_stalled_end_still_tells_of_a_reset(make: Make) -> None:
    it = make(stall_at=5, delay=0.2)
    told: list[SockkitError] = []
    it.end.when_reset(told.append)
    it.send(b"0123456789")
    it.passes(0.3)
    error = ReceiveError("connection reset")
    it.below.on_reset(error)  # type: ignore[attr-defined]
    assert it.passes(0.1) == [b"01234"]
    assert told == []
    assert it.passes(0.2) == [b"01234", error]
    assert told == [error]


def test_a_reset_is_not_told_to_who_has_stopped_waiting(make: Make) -> None:
    it = make(delay=0.2)
    told: list[SockkitError] = []
    it.end.when_reset(told.append)
    it.below.on_reset(ReceiveError("connection reset"))  # type: ignore[attr-defined]
    it.end.when_reset(None)
    it.passes(1.0)
    assert told == []
    assert it.below.on_reset is None  # type: ignore[attr-defined]


def test_a_released_end_drops_what_is_late_and_reads_on_at_once(make: Make) -> None:
    it = make(delay=100.0)
    it.send(b"late")
    it.end.release()
    it.end.release()
    assert it.held.size == 0
    it.send(b"at once")
    assert it.got == [b"at once"]
    assert it.wakes_nobody()


def test_a_stalled_end_reads_on_when_it_is_released(make: Make) -> None:
    it = make(stall_at=2)
    it.send(b"0123")
    it.end.release()
    turn(it.loop)
    assert it.got == [b"01", b"23"]


@pytest.mark.parametrize("close", [DisturbedEnd.close, DisturbedEnd.abort])
def test_a_closed_end_holds_nothing(make: Make, close: Callable[[DisturbedEnd], None]) -> None:
    it = make(delay=100.0)
    it.send(b"late")
    assert it.held.size
    close(it.end)
    assert it.held.size == 0
    assert it.wakes_nobody()
    assert not it.below.watched


def test_what_was_held_makes_a_close_a_reset_but_an_end_does_not(make: Make) -> None:
    it = make(delay=100.0)
    it.send(b"never read")
    it.end.close()
    with pytest.raises(ReceiveError):
        it.far.read_into(memoryview(bytearray(9)))
    it = make(delay=100.0)
    it.far.half_close()
    turn(it.loop)
    it.end.close()
    assert it.far.read_into(memoryview(bytearray(9))) == 0


def test_it_is_copied(make: Make) -> None:
    it = make(delay=1.0)
    assert (it.end.kind, it.end.descriptor) == (Kind.OTHER, -1)


def test_space_that_others_have_filled_meanwhile_is_no_end(make: Make) -> None:
    it = make(delay=0.2)
    first = b"a" * (MIN_HELD_BYTES + 1)
    it.send(first)
    it.held.size += MAX_HELD_BYTES_OF_ALL
    it.send(b"more")
    it.passes(0.3)
    it.held.size -= MAX_HELD_BYTES_OF_ALL
    it.passes(0.1)
    it.passes(0.3)
    assert b"".join(it.got) == first + b"more"  # type: ignore[arg-type]
    assert b"" not in it.got
