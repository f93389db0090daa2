"""Answers that come late, on a clock that stands still."""

from __future__ import annotations

import pytest

from sockkit.net.echo.delay import DelayQueue
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


class Case:
    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self._loop, self._clock = loop, kit.Clock(loop, patch)
        self.due: list[str] = []
        self.queue: DelayQueue[str] = DelayQueue(loop, 2.0, self.due.append)

    def passes(self, seconds: float) -> list[str]:
        """What is given back while so many seconds pass."""
        self.due.clear()
        self._clock.passes(seconds)
        kit.settle(self._loop)
        return list(self.due)


@pytest.fixture
def case(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(loop, monkeypatch)


def test_each_comes_so_long_after_it_was_put(case: Case) -> None:
    case.queue.put("a")
    assert case.passes(1.0) == []
    case.queue.put("b")
    case.queue.put("c")
    assert case.passes(0.9) == []
    assert case.passes(0.2) == ["a"]
    assert case.passes(0.8) == []
    assert case.passes(0.2) == ["b", "c"]
    assert case.passes(10.0) == []


def test_those_that_are_late_come_in_order(case: Case) -> None:
    for item in "abc":
        case.queue.put(item)
        case.passes(0.1)
    assert case.passes(100.0) == ["a", "b", "c"]


def test_how_many_wait_is_known(case: Case) -> None:
    assert len(case.queue) == 0
    case.queue.put("a")
    case.queue.put("b")
    assert len(case.queue) == 2
    case.passes(3.0)
    assert len(case.queue) == 0


def test_it_can_be_used_again_when_it_was_empty(case: Case) -> None:
    case.queue.put("a")
    assert case.passes(2.1) == ["a"]
    case.passes(50.0)
    case.queue.put("b")
    assert case.passes(1.9) == []
    assert case.passes(0.2) == ["b"]


def test_what_is_put_by_whom_it_gives_back_waits_its_own_time(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    due: list[int] = []

    def answer(item: int) -> None:
        due.append(item)
        queue.put(item + 1)

    queue = DelayQueue(loop, 2.0, answer)
    queue.put(1)
    for expected in ([1], [1, 2], [1, 2, 3]):
        clock.passes(1.9)
        kit.settle(loop)
        assert due == expected[:-1]
        clock.passes(0.1)
        kit.settle(loop)
        assert due == expected


def test_nothing_comes_after_a_stop(case: Case) -> None:
    case.queue.put("a")
    case.passes(1.0)
    case.queue.stop()
    case.queue.stop()
    assert len(case.queue) == 0
    assert case.passes(100.0) == []


def test_a_stop_within_an_answer_keeps_back_those_that_were_due(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    due: list[str] = []

    def answer(item: str) -> None:
        due.append(item)
        queue.stop()

    queue = DelayQueue(loop, 2.0, answer)
    queue.put("a")
    queue.put("b")
    clock.passes(10.0)
    kit.settle(loop)
    assert due == ["a"]
