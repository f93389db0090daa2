"""One direction of a peer, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.faults import Disturbed, FaultOptions, Held
from sockkit.errors import TextError
from sockkit.events import Event, Failure, Peer
from sockkit.net.loop import Loop
from sockkit.net.relay import datagram_way as module
from sockkit.net.relay.datagram_way import DATAGRAM_COST, HELD_SECONDS, Way, WayOptions
from sockkit.net.udp.datagrams import Received
from tests.net import kit
from tests.net.kit import of_kind

loop = kit.loop
PEER = Peer(7, "10.0.0.7:7000")


class Case:
    def __init__(
        self,
        loop: Loop,
        patch: pytest.MonkeyPatch,
        convert: Callable[[bytes], bytes] | None = None,
        direction: Any = "sent",
        **faults: Any,
    ) -> None:
        self._loop, self._clock = loop, kit.Clock(loop, patch)
        self.events: list[Event] = []
        self.put: list[tuple[bytes, int]] = []
        self.delayed = Held()
        options = WayOptions(
            loop, self.events.append, direction, convert, FaultOptions(**faults), self.delayed
        )
        self.told: list[tuple[str, str]] = []
        self.way = Way(
            options,
            PEER,
            lambda data, size: self.put.append((bytes(data), size)),
            lambda fault, detail: self.told.append((fault, detail)),
        )

    def get(self, data: bytes, size: int = 0) -> None:
        self.way.pass_on(Received(memoryview(data), size or len(data) or 1, None, len(data)))

    def passes(self, seconds: float) -> list[bytes]:
        """What is put while so many seconds pass."""
        self.put.clear()
        self._clock.passes(seconds)
        kit.settle(self._loop)
        return [data for data, _ in self.put]

    def failures(self) -> list[str]:
        return [event.text for event in of_kind(self.events, Failure)]


Make = Callable[..., Case]


@pytest.fixture
def make(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda **options: Case(loop, monkeypatch, **options)


def test_what_came_at_once_is_passed_on_at_once(make: Make) -> None:
    case = make()
    case.get(b"aabbc", 2)
    case.get(b"")
    assert case.put == [(b"aabbc", 2), (b"", 1)]
    assert case.way.size == 5


def test_each_datagram_is_converted_by_itself(make: Make) -> None:
    case = make(convert=lambda data: data + b"!")
    case.get(b"aabbc", 2)
    case.get(b"")
    assert case.put == [(b"aa!", 3), (b"bb!", 3), (b"c!", 2), (b"!", 1)]


def test_one_that_cannot_be_converted_is_dropped_and_told(make: Make) -> None:
    def convert(data: bytes) -> bytes:
        if data == b"bb":
            raise TextError("no such text")
        return data

    case = make(convert=convert)
    case.get(b"aabbc", 2)
    assert [data for data, _ in case.put] == [b"aa", b"c"]
    assert case.failures() == ["a datagram from 10.0.0.7:7000 was dropped: no such text"]


def test_each_fault_is_told(make: Make) -> None:
    case = make(drop=1.0)
    case.get(b"aabbc", 2)
    assert case.put == []
    assert case.told == [("dropped", "")] * 3


@pytest.mark.parametrize(
    ("disturbed", "direction", "dropped"),
    [
        (Disturbed.SENT, "sent", True),
        (Disturbed.SENT, "received", False),
        (Disturbed.RECEIVED, "sent", False),
        (Disturbed.RECEIVED, "received", True),
        (Disturbed.BOTH, "sent", True),
        (Disturbed.BOTH, "received", True),
    ],
)
def test_one_direction_can_be_disturbed(
    disturbed: Disturbed, direction: str, dropped: bool, make: Make
) -> None:
    case = make(direction=direction, disturbed=disturbed, drop=1.0)
    case.get(b"a")
    assert case.put == ([] if dropped else [(b"a", 1)])


def test_delayed_ones_come_when_they_are_due(make: Make) -> None:
    case = make(delay=2.0)
    assert case.told == [("shaped", "delay 2 s")]
    case.get(b"a")
    case.get(b"")
    assert case.put == []
    assert case.passes(1.9) == []
    case.get(b"b")
    assert case.passes(0.2) == [b"a", b""]
    assert case.put == [(b"a", 1), (b"", 1)]
    assert case.passes(1.9) == [b"b"]
    assert case.delayed.size == 0


def test_a_rate_holds_datagrams_up(make: Make) -> None:
    case = make(rate=10)
    case.get(b"x" * 50, 10)
    assert [len(case.passes(1.01)) for _ in range(6)] == [1, 1, 1, 1, 1, 0]


def test_a_held_one_goes_on_alone_after_a_while(make: Make) -> None:
    case = make(reorder=1.0)
    case.get(b"a")
    assert case.passes(HELD_SECONDS * 0.9) == []
    case.get(b"b")
    assert case.passes(HELD_SECONDS * 0.9) == []
    assert case.passes(HELD_SECONDS * 0.2) == [b"b", b"a"]
    assert case.told == [("reordered", "")]


@pytest.mark.parametrize("bound", ["MAX_DELAYED_BYTES", "MAX_ALL_DELAYED_BYTES"])
def test_what_does_not_fit_is_dropped_and_told(
    bound: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, 2 * (DATAGRAM_COST + 1))
    case = make(delay=1.0)
    case.get(b"abc", 1)
    assert case.failures() == [
        "lost 1 datagram from 10.0.0.7:7000: too many are waiting for --delay or --rate"
    ]
    assert case.passes(1.1) == [b"a", b"b"]
    case.get(b"d")
    assert case.passes(1.1) == [b"d"]
    assert case.delayed.size == 0


def test_what_waits_at_the_end_is_told(make: Make) -> None:
    case = make(delay=1.0)
    case.get(b"abc", 1)
    case.way.stop()
    assert case.passes(2.0) == []
    assert "lost 3 datagrams from 10.0.0.7:7000" in case.failures()[0]
    assert case.delayed.size == 0


def test_what_is_held_at_the_end_is_told(make: Make) -> None:
    case = make(reorder=1.0, direction="received")
    case.get(b"a")
    case.way.stop()
    assert case.passes(2.0) == []
    assert "lost 1 datagram for 10.0.0.7:7000" in case.failures()[0]
    case = make()
    case.way.stop()
    assert case.failures() == []
