from __future__ import annotations

from typing import Any

import pytest

from sockkit.core.probing import Result
from sockkit.errors import BindError
from sockkit.net.loop import Loop
from sockkit.net.probe import pool
from sockkit.net.probe import survey as module
from sockkit.net.probe.survey import Survey
from tests.net import kit
from tests.net.probe.site import REFUSED, Attempts, targets

loop = kit.loop


class Surveyed:
    def __init__(self, loop: Loop, words: str) -> None:
        self.loop, self.attempts = loop, Attempts()
        self.results: list[Result] = []
        self.done: list[Any] = []
        self.space = True
        self.survey = Survey(
            loop, targets(words), self.attempts, self.results.append, lambda: self.space,
            self.done.append,
        )  # fmt: skip
        kit.settle(loop)

    def end(self, port: int, outcome: Any = 0.5) -> None:
        self.attempts.end(port, outcome)
        kit.settle(self.loop)

    @property
    def shown(self) -> list[str]:
        return [result.line() for result in self.results]


def test_results_come_in_the_order_of_the_targets(loop: Loop) -> None:
    surveyed = Surveyed(loop, "a:1-3 b:4")
    surveyed.end(3)
    surveyed.end(2, REFUSED)
    assert surveyed.shown == []
    surveyed.end(1)
    assert surveyed.shown == ["a:1 open 500.0ms", "a:2 refused", "a:3 open 500.0ms"]
    assert surveyed.done == []
    surveyed.end(4)
    assert surveyed.shown[3:] == ["b:4 open 500.0ms"]
    assert surveyed.done == [None]


def test_results_that_wait_are_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AHEAD", 5)
    monkeypatch.setattr(pool, "MAX_AT_ONCE", 3)
    surveyed = Surveyed(loop, "a:1-100")
    for port in (2, 3, 4, 5):
        surveyed.end(port)
    assert surveyed.attempts.begun == [1, 2, 3, 4, 5]
    surveyed.end(1)
    assert len(surveyed.results) == 5
    assert surveyed.attempts.begun[5:] == [6, 7, 8]


def test_it_pauses_while_nobody_takes_the_results(loop: Loop) -> None:
    surveyed = Surveyed(loop, "a:1")
    surveyed.end(1)
    surveyed = Surveyed(loop, "a:1-300")
    surveyed.space = False
    surveyed.end(1)
    assert len(surveyed.attempts.begun) == pool.MAX_AT_ONCE
    surveyed.space = True
    surveyed.survey.resume()
    kit.settle(loop)
    assert len(surveyed.attempts.begun) == pool.MAX_AT_ONCE + 1


def test_an_error_of_ours_ends_it(loop: Loop) -> None:
    surveyed, error = Surveyed(loop, "a:1-2"), BindError("x")
    surveyed.end(2, error)
    assert surveyed.done == [error]
    assert surveyed.attempts.cancelled == [1]


def test_cancel(loop: Loop) -> None:
    surveyed = Surveyed(loop, "a:1-2")
    surveyed.survey.cancel()
    assert surveyed.attempts.cancelled == [1, 2]
