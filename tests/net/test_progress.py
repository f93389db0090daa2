from __future__ import annotations

from pathlib import Path

import pytest

from sockkit.core.progress import LOOK_SECONDS, Progress
from sockkit.errors import OutputGone
from sockkit.events import Event, Transferred
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.progress import ProgressWatch
from tests.net import kit

loop, stack = kit.loop, kit.stack


class Case:
    """A watch over counters that a test sets; time passes as soon as the loop runs."""

    def __init__(self, loop: Loop, stack: kit.Stack, path: Path) -> None:
        self.loop, self.moved = loop, (0, 0)
        self.events: list[Event] = []
        self.shown: list[Progress] = []
        (path / "file").write_bytes(bytes(1000))
        self.file = stack.enter_context((path / "file").open("rb", buffering=0))
        stdio = Stdio(Input(loop, self.file.fileno()), Output(loop, 1), "utf-8")
        context = kit.context(loop, stdio, self.events.append)
        self.watch = ProgressWatch(context, self.shown.append, lambda: self.moved)

    def wait(self, looks: int) -> None:
        # A timer of the same time that was made earlier comes first.
        self.loop.later((looks + 0.5) * LOOK_SECONDS, self.loop.stop)
        self.loop.run()


@pytest.fixture
def case(loop: Loop, stack: kit.Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    kit.skip_time(loop, monkeypatch)
    return Case(loop, stack, tmp_path)


def test_nothing_is_shown_before_the_first_byte(case: Case) -> None:
    with case.watch:
        case.wait(100)
        assert case.shown == []
        case.moved = (0, 1)
        case.wait(3)
    assert {progress.received for progress in case.shown} == {1}
    assert len(case.shown) >= 3


def test_it_tells_how_far_the_file_is_read_by_whatever_lane(case: Case) -> None:
    with case.watch:
        case.file.read(250)  # as sendfile(2) moves the position, and read(2)
        case.moved = (240, 0)
        case.wait(1)
    (progress,) = case.shown
    assert (progress.sent, progress.read, progress.size) == (240, 250, 1000)


def test_the_end_is_an_event_and_stops_it(case: Case) -> None:
    with case.watch:
        case.moved = (5, 6)
    assert case.events == [Transferred(5, 6, 0.0, 0.0, 0.0)]
    case.wait(10)
    assert case.shown == []


def test_an_output_that_is_gone_is_left_in_silence(case: Case) -> None:
    with pytest.raises(OutputGone), case.watch:
        raise OutputGone("")
    assert case.events == []


def test_an_error_ends_it_as_well(case: Case) -> None:
    case.moved = (5, 6)
    with pytest.raises(ZeroDivisionError), case.watch:
        raise ZeroDivisionError
    assert [event[:2] for event in case.events] == [(5, 6)]
