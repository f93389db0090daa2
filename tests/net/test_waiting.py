"""Work whose outcome is told to a callback: waited for, in steps, cancelled."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from sockkit.errors import ConnectError, Stopped, TimedOut
from sockkit.events import Event, Waiting
from sockkit.net.loop import Loop
from sockkit.net.waiting import (
    WONDER_SECONDS,
    Done,
    OnDone,
    Pending,
    Silence,
    Start,
    Steps,
    wait_for,
)
from tests.net import kit

loop = kit.loop


class Work(Pending):
    """Is done when a test says so, with `outcome` at once if there is one."""

    def __init__(self, outcome: object = None) -> None:
        self._outcome = outcome
        self.done: Any = None
        self.cancelled = 0

    def start(self, on_done: OnDone[Any]) -> Pending:
        self.done = on_done
        if self._outcome is not None:
            on_done(self._outcome)
        return self

    def cancel(self) -> None:
        self.cancelled += 1


def test_a_result_that_is_there_at_once(loop: Loop) -> None:
    work = Work("result")
    assert wait_for(loop, work.start) == "result"
    assert not work.cancelled


def test_a_result_that_comes_later(loop: Loop) -> None:
    work = Work()
    loop.call_soon(lambda: work.done("result"))
    assert wait_for(loop, work.start) == "result"
    assert not work.cancelled


def test_somebody_else_who_stops_the_loop_ends_no_wait(loop: Loop) -> None:
    work = Work()
    loop.call_soon(loop.stop)
    loop.later(0.01, lambda: work.done("result"))
    assert wait_for(loop, work.start) == "result"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_failure_is_raised(at_once: bool, loop: Loop) -> None:
    failure = ConnectError("nobody")
    work = Work(failure if at_once else None)
    if not at_once:
        loop.call_soon(lambda: work.done(failure))
    with pytest.raises(ConnectError) as caught:
        wait_for(loop, work.start)
    assert caught.value is failure
    assert not work.cancelled


@pytest.mark.parametrize("error", [Stopped(15), ZeroDivisionError()])
def test_whatever_else_is_raised_cancels_it(error: Exception, loop: Loop) -> None:
    work = Work()

    def fail() -> None:
        raise error

    loop.call_soon(fail)
    with pytest.raises(type(error)):
        wait_for(loop, work.start)
    assert work.cancelled == 1


class Stages:
    """Two steps, of which the first may fail; what they were sent, and how they ended."""

    def __init__(self, *work: Work) -> None:
        self._work = work
        self.sent: list[object] = []
        self.told: list[object] = []
        self.closed = 0
        self.steps = Steps(self._steps(), self.told.append)

    def _steps(self) -> Generator[Start[Any], Any, str]:
        try:
            for work in self._work:
                try:
                    self.sent.append((yield work.start))
                except TimedOut as error:
                    self.sent.append(error)
            return "all"
        finally:
            self.closed += 1


def test_steps_follow_each_other() -> None:
    first, second = Work(), Work()
    stages = Stages(first, second)
    assert (first.done is not None, second.done) == (True, None)
    first.done(1)
    assert stages.told == []
    second.done(2)
    assert (stages.sent, stages.told, stages.closed) == ([1, 2], ["all"], 1)


def test_steps_may_be_done_at_once() -> None:
    stages = Stages(Work(1), Work(2), Work(3))
    assert (stages.sent, stages.told, stages.closed) == ([1, 2, 3], ["all"], 1)


def test_a_step_that_failed_is_an_error_in_them() -> None:
    late, refused = TimedOut("late"), ConnectError("refused")
    stages = Stages(Work(late), Work(2))
    assert (stages.sent, stages.told) == ([late, 2], ["all"])
    second = Work(2)
    stages = Stages(Work(refused), second)
    assert (stages.sent, stages.told, stages.closed) == ([], [refused], 1)
    assert second.done is None


def test_what_is_no_failure_of_ours_is_raised() -> None:
    def broken() -> Generator[Start[Any], Any, str]:
        yield Work(1).start
        raise ZeroDivisionError

    told: list[object] = []
    with pytest.raises(ZeroDivisionError):
        Steps(broken(), told.append)
    assert told == []


def test_steps_that_are_cancelled_close_what_they_hold_and_tell_nobody() -> None:
    first, second = Work(1), Work()
    stages = Stages(first, second)
    stages.steps.cancel()
    stages.steps.cancel()
    assert second.cancelled
    second.done(2)
    assert (stages.told, stages.closed) == ([], 1)


def test_steps_that_are_done_may_be_cancelled() -> None:
    stages = Stages(Work(1))
    stages.steps.cancel()
    assert stages.told == ["all"]


def test_what_is_done_may_be_cancelled() -> None:
    Done().cancel()


class Watched:
    """A silence, and what it is told of."""

    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self._loop, self._clock = loop, kit.Clock(loop, patch)
        self.events: list[Event] = []
        self.received: int | None = 7
        self.silence = Silence(loop, self.events.append, "still here", lambda: self.received)

    def passes(self, seconds: float) -> None:
        self._clock.passes(seconds)
        kit.do(self._loop, kit.turns(), self._loop.stop)
        self._loop.run()


@pytest.fixture
def watched(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(loop, monkeypatch)


def test_a_silence_is_explained_once(watched: Watched) -> None:
    watched.silence.start()
    watched.passes(WONDER_SECONDS - 0.1)
    assert watched.events == []
    watched.passes(0.2)
    watched.passes(10 * WONDER_SECONDS)
    assert watched.events == [Waiting("still here")]


def test_what_is_received_is_no_silence(watched: Watched) -> None:
    watched.silence.start()
    for _ in range(3):
        watched.received = (watched.received or 0) + 1
        watched.passes(WONDER_SECONDS + 0.1)
    assert watched.events == []
    watched.passes(WONDER_SECONDS + 0.1)
    assert watched.events == [Waiting("still here")]


def test_a_wait_for_something_else_is_no_silence(watched: Watched) -> None:
    watched.received = None
    watched.silence.start()
    watched.passes(10 * WONDER_SECONDS)
    assert watched.events == []


def test_after_its_end_nothing_is_said(watched: Watched) -> None:
    watched.silence.stop()
    watched.silence.start()
    watched.silence.stop()
    watched.passes(2 * WONDER_SECONDS)
    assert watched.events == []
