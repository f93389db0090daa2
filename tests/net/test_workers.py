"""Workers on a loop of their own: begun, replaced, and never left behind."""

from __future__ import annotations

import errno
import os
import signal
import struct
import time
from collections.abc import Callable

import pytest

from sockkit.errors import UsageError
from sockkit.events import Emit, Event, Failure, Notice
from sockkit.net import workers as module
from sockkit.net.loop import Loop
from sockkit.net.workers import MAX_EVENT_BYTES, Workers
from tests.net import kit

loop, stack = kit.loop, kit.stack


class Enough(Exception):  # noqa: N818
    """Leaves the loop, as a signal does."""


class Crew:
    """Workers that say who they are, each time one begins."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.events: list[Event] = []
        self.begun: list[tuple[int, int]] = []  # number, process
        self.on_begin: Callable[[], None] = lambda: None
        self._out, self._into = os.pipe()

    def run(self, count: int, then: Callable[[Loop], None] = Loop.run) -> None:
        """Until `on_begin`, called whenever a worker has begun, raises Enough."""

        def work(number: int, own: Loop, _: Emit) -> None:
            os.write(self._into, struct.pack("ii", number, os.getpid()))
            then(own)

        self.loop.when_readable(self._out, self._hear)
        try:
            with pytest.raises(Enough):
                Workers(self.loop, count, work, self.events.append).run()
        finally:
            self.loop.when_readable(self._out, None)
            os.close(self._out)
            os.close(self._into)

    def _hear(self) -> None:
        self.begun.append(struct.unpack("ii", os.read(self._out, 8)))
        self.on_begin()

    def enough(self, count: int) -> None:
        if len(self.begun) == count:
            raise Enough

    def is_gone(self) -> bool:
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return True


@pytest.fixture
def crew(loop: Loop) -> Crew:
    return Crew(loop)


def ended(event: Event) -> str:
    assert isinstance(event, Failure)
    return event.text


@pytest.mark.process
def test_each_number_has_a_process_and_none_is_left(crew: Crew) -> None:
    crew.on_begin = lambda: crew.enough(3)
    crew.run(3)
    assert sorted(number for number, _ in crew.begun) == [1, 2, 3]
    processes = {process for _, process in crew.begun}
    assert len(processes - {os.getpid()}) == 3
    assert crew.events == []
    assert crew.is_gone()


@pytest.mark.process
def test_one_that_is_killed_is_named_and_replaced(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.0)

    def kill() -> None:
        if len(crew.begun) == 2:
            os.kill(dict(crew.begun)[2], signal.SIGKILL)
        crew.enough(3)

    crew.on_begin = kill
    crew.run(2)
    killed = dict(crew.begun[:2])[2]
    assert crew.begun[2][0] == 2
    assert crew.begun[2][1] not in dict(crew.begun[:2]).values()
    assert [ended(event) for event in crew.events] == [
        f"worker 2 (process {killed}) was killed by SIGKILL: replacing it"
    ]
    assert crew.is_gone()


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGRTMIN + 1, signal.SIGTERM])
def test_any_signal_may_end_one(number: int, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.0)

    def kill() -> None:
        crew.enough(2)
        os.kill(crew.begun[0][1], number)

    crew.on_begin = kill
    crew.run(1)
    assert f"(process {crew.begun[0][1]}) was killed by" in ended(crew.events[0])
    assert crew.is_gone()


@pytest.mark.process
def test_one_that_ends_at_once_is_not_replaced_at_once(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.2)
    began = time.monotonic()
    crew.on_begin = lambda: crew.enough(4)
    crew.run(1, lambda _: os._exit(3))
    assert time.monotonic() - began >= 0.6
    assert "exited with 3" in ended(crew.events[0])
    assert crew.is_gone()


@pytest.mark.process
def test_a_fault_in_one_ends_it_alone(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.0)

    def fail(_: Loop) -> None:
        raise LookupError

    crew.on_begin = lambda: crew.enough(2)
    crew.run(1, fail)
    assert "LookupError" in ended(crew.events[0])
    assert "exited with 1" in ended(crew.events[1])
    assert crew.is_gone()


@pytest.mark.process
def test_one_ends_when_who_began_it_has_gone(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the lifeline is the news: here it comes by hand."""
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.0)
    real = os.pipe

    def pipe() -> tuple[int, int]:
        ends.append(real())
        return ends[-1]

    ends: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "pipe", pipe)

    def cut() -> None:
        crew.enough(2)
        spare = os.open(os.devnull, os.O_WRONLY)
        os.dup2(spare, ends[0][1])  # closes it, and leaves a number to close
        os.close(spare)

    crew.on_begin = cut
    crew.run(1)
    assert "was killed by SIGTERM" in ended(crew.events[0])
    assert crew.is_gone()


@pytest.mark.process
@pytest.mark.parametrize("by_signal", [False, True])
def test_what_it_was_doing_is_cleaned_up(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, *, by_signal: bool
) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.0)
    out, into = os.pipe()

    def clean_up(own: Loop) -> None:
        try:
            own.run()
        finally:
            os.write(into, b"!")

    def begun() -> None:
        crew.enough(2)
        if by_signal:
            os.kill(crew.begun[0][1], signal.SIGTERM)

    crew.on_begin = begun
    crew.run(1 if by_signal else 2, clean_up)
    assert os.read(out, 8) == b"!!"
    os.close(out)
    os.close(into)
    assert len(crew.events) == by_signal


@pytest.mark.process
def test_one_that_does_not_end_is_killed(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.1)
    crew.on_begin = lambda: crew.enough(2)
    crew.run(2, lambda _: time.sleep(kit.WAIT))
    assert crew.is_gone()


@pytest.mark.process
def test_a_replacement_that_cannot_be_made_is_tried_again(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSE_SECONDS", 0.1)
    kit.fail_nth(monkeypatch, os, "fork", 2, OSError(errno.EAGAIN, "no room"))

    def kill() -> None:
        crew.enough(2)
        os.kill(crew.begun[0][1], signal.SIGKILL)

    crew.on_begin = kill
    crew.run(1)
    assert crew.is_gone()


def test_a_system_without_pidfds(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(UsageError, match="--workers needs Linux"):
        Workers(loop, 2, lambda *_: None, lambda _: None)


@pytest.mark.process
def test_what_workers_tell_is_emitted_by_the_one_process(loop: Loop) -> None:
    events: list[Event] = []

    def work(number: int, own: Loop, tell: Emit) -> None:
        for _ in range(3):
            tell(Notice(f"worker {number}", "a kind"))
            tell(Notice("x" * MAX_EVENT_BYTES))  # which is too long
        own.run()

    def look() -> None:
        if len(events) == 6:
            raise Enough
        loop.later(0.01, look)

    loop.call_soon(look)
    with pytest.raises(Enough):
        Workers(loop, 2, work, events.append).run()
    assert sorted(events) == sorted(3 * [Notice(f"worker {n}", "a kind") for n in (1, 2)])
