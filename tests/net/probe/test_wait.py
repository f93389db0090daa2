from __future__ import annotations

from typing import Any

import pytest

from sockkit.core.probing import Result, Rules
from sockkit.errors import BindError
from sockkit.net.loop import Loop
from sockkit.net.probe.wait import FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, WaitForTargets
from tests.net import kit
from tests.net.probe.site import REFUSED, Attempts, targets

loop = kit.loop


class Kept:
    """A wait, whose time is skipped."""

    def __init__(
        self, loop: Loop, patch: pytest.MonkeyPatch, words: str, rules: Rules, at_once: Any = None
    ) -> None:
        kit.skip_time(loop, patch)
        self.loop, self.attempts = loop, Attempts(at_once)
        self.times: list[float] = []
        self.done: list[Any] = []
        self.began = loop.now

        def attempt(*more: Any) -> Any:
            self.times.append(loop.now - self.began)
            return self.attempts(*more)

        WaitForTargets(loop, [*targets(words)], attempt, rules, self._done)

    def _done(self, outcome: Any) -> None:
        self.done.append(outcome)
        self.loop.stop()

    def run(self) -> list[str]:
        self.loop.run()
        assert self.attempts.under_way == {}
        return [result.line() for result in self.results]

    @property
    def results(self) -> list[Result]:
        assert len(self.done) == 1
        found: list[Result] = self.done[0]
        return found


def test_one_round_without_a_wait(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(loop, monkeypatch, "a:1-3", Rules(any_one=True), dict.fromkeys((1, 2, 3), REFUSED))
    assert kept.run() == ["a:1 refused", "a:2 refused", "a:3 refused"]
    assert kept.attempts.begun == [1, 2, 3]


def test_one_that_is_open_is_enough(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(loop, monkeypatch, "a:1-3", Rules(any_one=True), {2: 0.001})
    assert kept.run() == ["a:1 no answer", "a:2 open 1.0ms", "a:3 no answer"]


def test_how_often_it_tries(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(loop, monkeypatch, "a:1", Rules(wait=6.0), {1: REFUSED})
    assert kept.run() == ["a:1 refused"]
    pauses = [b - a for a, b in zip(kept.times, kept.times[1:], strict=False)]
    assert pauses[0] == pytest.approx(FIRST_RETRY_SECONDS)
    assert pauses[1] == pytest.approx(2 * FIRST_RETRY_SECONDS)
    assert pauses[-1] == pytest.approx(MAX_RETRY_SECONDS)
    assert kept.times[-1] < 6.0
    assert kept.loop.now - kept.began == pytest.approx(6.0)


def test_it_waits_until_all_are_open(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {1: 0.001, 2: REFUSED}
    kept = Kept(loop, monkeypatch, "a:1-2", Rules(wait=30.0), outcomes)
    loop.later(3.0, lambda: outcomes.update({2: 0.002}))
    assert kept.run() == ["a:1 open 1.0ms", "a:2 open 2.0ms"]
    assert kept.attempts.begun.count(1) == 1
    assert 3.0 <= kept.loop.now - kept.began <= 4.1


def test_one_that_hangs_delays_no_other(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: dict[int, Any] = {2: REFUSED}
    kept = Kept(loop, monkeypatch, "a:1-2", Rules(any_one=True, wait=30.0), outcomes)
    loop.later(3.0, lambda: outcomes.update({2: 0.002}))
    assert kept.run() == ["a:1 no answer", "a:2 open 2.0ms"]
    assert kept.attempts.begun.count(1) == 1
    assert kept.loop.now - kept.began <= 4.1


def test_an_error_of_ours_ends_it(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(loop, monkeypatch, "a:1-2", Rules(wait=30.0), {2: BindError("x")})
    loop.run()
    assert [str(error) for error in kept.done] == ["x"]
    assert kept.attempts.cancelled == [1]
