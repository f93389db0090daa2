"""Tests of sockkit.net.echo.delay: each item in its time, in order."""

from __future__ import annotations

import pytest

from sockkit.net.echo.delay import DelayQueue
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


def test_each_item_comes_in_its_time(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, got = kit.Clock(loop, monkeypatch), list[str]()
    queue = DelayQueue[str](loop, 1.0, got.append)
    for item in ("one", "two", "three"):
        queue.put(item)
        clock.passes(0.4)
        kit.settle(loop)
    assert (got, len(queue)) == (["one"], 2)
    clock.passes(0.3)
    kit.settle(loop)
    assert (got, len(queue)) == (["one", "two"], 1)
    clock.passes(0.4)
    kit.settle(loop)
    assert (got, len(queue)) == (["one", "two", "three"], 0)


def test_what_is_stopped_gives_nothing_back(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, got = kit.Clock(loop, monkeypatch), list[str]()
    queue = DelayQueue[str](loop, 1.0, got.append)
    queue.put("one")
    queue.stop()
    clock.passes(2.0)
    kit.settle(loop)
    assert (got, len(queue)) == ([], 0)


def test_to_stop_amid_what_is_due_ends_it(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, got = kit.Clock(loop, monkeypatch), list[str]()

    def due(item: str) -> None:
        got.append(item)
        queue.stop()

    queue = DelayQueue[str](loop, 1.0, due)
    queue.put("one")
    queue.put("two")
    clock.passes(1.1)
    kit.settle(loop)
    assert got == ["one"]
