"""The pump: who is told what, how often, and what it holds."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.hints import Glance
from sockkit.core.text import Crlf
from sockkit.errors import OutputGone, ReceiveError, SendError, SockkitError
from sockkit.net import pump as module
from sockkit.net.kernel import MAX_SPLICE_BYTES, PipedSplice
from sockkit.net.lanes import COPY_BUFFER_BYTES, Copy
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net.kit import Feeding, Gathering, Made, noise, run_for, run_until
from tests.support import reset

loop, stack = kit.loop, kit.stack


class Told:
    """A pump between two made ends, and what it told."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        source: Made,
        sink: Made,
        transform: Any,
        glance: Glance | None,
    ) -> None:
        self.progress, self.should_pause = 0, False
        self.told: list[str | SockkitError] = []
        self.pump = Pump(
            loop,
            source.end,
            sink.end,
            transform,
            None,
            on_progress=self._progress,
            on_end=lambda: self.told.append("end"),
            on_fail=self.told.append,
            should_pause=lambda _: self.should_pause,
            glance=glance,
        )
        stack.callback(self.pump.close)

    def _progress(self) -> None:
        assert not self.told, "progress after the end"
        self.progress += 1


Make = Callable[..., tuple[Told, Made, Made]]


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack, tmp_path: Path) -> Make:
    def make(
        source: str, sink: str, transform: Any = None, glance: Glance | None = None
    ) -> tuple[Told, Made, Made]:
        ends = kit.source(source, stack, tmp_path), kit.sink(sink, stack, tmp_path)
        return Told(loop, stack, *ends, transform, glance), *ends

    return make


LANES = pytest.mark.parametrize(
    ("source", "sink"),
    [("tcp", "unix"), ("pipe", "tcp"), ("file", "tcp"), ("socketpair", "tcp")],
    ids=["splice through a pipe", "splice", "sendfile", "copy"],
)


@LANES
def test_it_tells_of_progress_and_once_of_the_end(
    source: str, sink: str, make: Make, loop: Loop
) -> None:
    told, near, out = make(source, sink)
    near.far.give(b"some bytes")
    told.pump.start()
    run_until(loop, lambda: told.pump.bytes_written == 10)
    near.far.close()
    run_until(loop, lambda: bool(told.told))
    run_for(loop, 0.01)
    assert told.told == ["end"]
    assert told.progress == 1
    out.release()
    assert out.far.take() == b"some bytes"


@LANES
def test_an_empty_source_ends_without_progress(
    source: str, sink: str, make: Make, loop: Loop
) -> None:
    told, near, _ = make(source, sink)
    near.far.close()
    told.pump.start()
    run_until(loop, lambda: bool(told.told))
    assert (told.told, told.progress, told.pump.bytes_read) == (["end"], 0, 0)


@pytest.mark.parametrize(
    ("source", "sink", "kind"),
    [("tcp", "pipe", ReceiveError), ("tcp", "unix", ReceiveError), ("tcp", "socketpair", None)],
)
def test_it_tells_once_of_a_failure(
    source: str, sink: str, kind: type[SockkitError] | None, make: Make, loop: Loop
) -> None:
    told, near, out = make(source, sink)
    near.far.give(b"four")
    told.pump.start()
    run_until(loop, lambda: told.pump.bytes_written == 4)
    if kind is None:
        out.far.close()  # before it was read: a reset for the sink
        near.far.give(b"more")
    else:
        near.end.write(b"x")  # what is not read makes the far side's close a reset
        near.far.close()
    run_until(loop, lambda: bool(told.told))
    run_for(loop, 0.01)
    assert [type(each) for each in told.told] == [kind or OutputGone]
    assert told.progress == 1


def full(made: Made) -> bool:
    """Feed the far side; whether it takes no more."""
    try:
        os.write(made.far.descriptor, bytes(65536))
    except BlockingIOError:
        return True
    return False


BOUNDS = pytest.mark.parametrize(
    ("sink", "transform", "bound"),
    [
        ("unix", None, 2 * MAX_SPLICE_BYTES),
        ("pipe", None, 0),
        ("socketpair", None, COPY_BUFFER_BYTES),
        ("unix", Crlf(b"\r\n"), COPY_BUFFER_BYTES),
    ],
    ids=["splice through a pipe", "splice", "copy", "transform"],
)


def clog(told: Told, near: Made, bound: int, loop: Loop) -> None:
    """Feed the source until neither end moves, looking at what is held all the while."""
    os.set_blocking(near.far.descriptor, False)

    def stuck() -> bool:
        assert told.pump.lane.held <= bound
        before = told.pump.bytes_read
        return full(near) and told.pump.blocked and told.pump.bytes_read == before

    for _ in range(3):
        run_until(loop, stuck)


@BOUNDS
def test_a_sink_that_takes_nothing_bounds_what_is_held(
    sink: str, transform: Any, bound: int, make: Make, loop: Loop
) -> None:
    told, near, out = make("tcp", sink, transform)
    told.pump.start()
    clog(told, near, bound, loop)
    assert told.pump.bytes_read == told.pump.bytes_written + told.pump.lane.held
    gathering = Gathering(out.far)  # from here on it moves again
    near.far.close()
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert told.told == ["end"]
    assert len(gathering.result()) == told.pump.bytes_read == told.pump.bytes_written


@BOUNDS
def test_finish_gives_what_is_held_and_takes_no_more(
    sink: str, transform: Any, bound: int, make: Make, loop: Loop
) -> None:
    told, near, out = make("tcp", sink, transform)
    told.pump.start()
    clog(told, near, bound, loop)
    taken = told.pump.bytes_read
    told.pump.finish()
    gathering = Gathering(out.far)
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert told.told == ["end"]
    assert len(gathering.result()) == told.pump.bytes_written == told.pump.bytes_read == taken


def test_finish_holds_when_the_lane_is_left(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, near, out = make("tcp", "unix")
    told.pump.lane = PipedSplice(near.end, out.end, None, loop.pools)
    told.pump.start()
    clog(told, near, 2 * MAX_SPLICE_BYTES, loop)
    taken = told.pump.bytes_read
    told.pump.finish()
    kit.fail_nth(monkeypatch, os, "splice", 1, OSError(errno.EINVAL, ""))
    gathering = Gathering(out.far)
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert told.pump.lane.name == "copy"
    assert told.told == ["end"]
    assert len(gathering.result()) == told.pump.bytes_written == told.pump.bytes_read == taken


@LANES
def test_finish_before_anything_came_is_the_end(
    source: str, sink: str, make: Make, loop: Loop
) -> None:
    told, _, _ = make(source, sink)
    told.pump.start()
    told.pump.finish()
    told.pump.finish()
    run_until(loop, lambda: bool(told.told))
    run_for(loop, 0.01)
    assert told.told == ["end"]


@LANES
def test_stop_leaves_both_ends_alone(source: str, sink: str, make: Make, loop: Loop) -> None:
    told, near, _ = make(source, sink)
    told.pump.start()
    told.pump.stop()
    told.pump.finish()
    near.far.give(b"for somebody else")
    run_for(loop, 0.02)
    assert (told.told, told.pump.bytes_read) == ([], 0)
    buffer = bytearray(100)
    assert near.end.read_into(memoryview(buffer)) == 17


def test_a_lane_that_is_left_counts_on(make: Make, loop: Loop) -> None:
    """A file opened for appending takes no splice: the bytes held are copied."""
    told, near, out = make("tcp", "append")
    data = noise(300_000)
    feeding = Feeding(near.far, data)
    told.pump.start()
    run_until(loop, lambda: bool(told.told))
    feeding.join()
    assert told.pump.lane.name == "copy"
    assert told.pump.bytes_read == told.pump.bytes_written == len(data)
    assert told.progress > 0
    assert out.far.take() == data


@LANES
def test_progress_is_told_while_it_looks(source: str, sink: str, make: Make, loop: Loop) -> None:
    told, near, out = make(source, sink, None, Glance(lambda data: len(data) > 5 or None))
    near.far.give(b"some")
    told.pump.start()
    run_until(loop, lambda: told.pump.bytes_written == 4)
    assert told.progress == 1
    near.far.give(b" bytes")
    run_until(loop, lambda: told.pump.bytes_written == 10)
    near.far.close()
    run_until(loop, lambda: bool(told.told))
    assert (told.told, told.progress) == (["end"], 2)
    out.release()
    assert out.far.take() == b"some bytes"


@pytest.mark.parametrize("looks", [False, True], ids=["seen", "looking"])
def test_finish_while_it_looks_takes_no_more(looks: bool, make: Make, loop: Loop) -> None:
    told, near, out = make("tcp", "unix", None, Glance(lambda _: None if looks else True))
    near.far.give(b"four")
    told.pump.start()
    run_until(loop, lambda: told.pump.bytes_written == 4)
    told.pump.finish()
    near.far.give(b"more")
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert out.far.take() == b"four"


def test_what_a_sink_takes_late_is_not_lost_with_the_look(make: Make, loop: Loop) -> None:
    told, near, out = make("tcp", "pipe", None, Glance(lambda _: True))
    filled = kit.fill(out.shared)
    near.far.give(b"late")
    told.pump.start()
    run_until(loop, lambda: told.pump.blocked)
    gathering = Gathering(out.far)
    near.far.close()
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert gathering.result()[filled:] == b"late"


def test_a_transform_sees_every_byte_once(make: Make, loop: Loop) -> None:
    """The first through the glance, which applies it, and the others by itself."""
    crlf, looked = Crlf(b"\r\n"), []
    glance = Glance(lambda data: looked.append(data) is None, crlf, after=True)
    told, near, out = make("tcp", "pipe", crlf, glance)
    near.far.give(b"one\r")
    told.pump.start()
    run_until(loop, lambda: told.pump.bytes_read == 4)
    near.far.give(b"\ntwo\n")
    near.far.close()
    run_until(loop, lambda: bool(told.told))
    out.release()
    assert out.far.take() == b"one\r\ntwo\r\n"
    assert looked == [b"one\r"]


def test_seconds_are_those_from_start_to_end(make: Make, loop: Loop) -> None:
    told, near, _ = make("tcp", "pipe")
    run_for(loop, 0.05)
    told.pump.start()
    loop.later(0.02, near.far.close)
    before = loop.now
    run_until(loop, lambda: bool(told.told))
    assert 0.02 <= told.pump.seconds <= loop.now - before


def test_a_source_that_is_to_rest_is_read_less_often(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When that is due: tests/net/test_coalesce.py."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.1)
    told, source, _ = make("tcp", "pipe")
    told.should_pause = True
    told.pump.start()
    kit.give_tiny_pieces(loop, source.far, 50)
    run_until(loop, lambda: told.pump.bytes_written == 50)
    assert told.progress <= 10


def test_after_an_error_it_keeps_no_buffer(make: Make, loop: Loop) -> None:
    told, near, _ = make("tcp", "unix", Crlf(b"\r\n"))
    assert isinstance(told.pump.lane, Copy)
    told.pump.start()
    reset_peer(near.far)
    run_until(loop, lambda: bool(told.told))
    told.pump.close()
    assert not told.pump.lane._buffer
    (error,) = told.told
    assert isinstance(error, ReceiveError)
    assert isinstance(error.__cause__, ConnectionResetError)


def reset_peer(far: kit.Far) -> None:
    reset(socket.socket(fileno=far.descriptor))
    far.descriptor = -1


class Quiet:
    """A pump between two TCP sockets that tells nobody of progress: it has a short way."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.source, self.sink = (make("tcp", stack, Path()) for make in (kit.source, kit.sink))
        self.told: list[str | SockkitError] = []
        self.pump = Pump(
            loop,
            self.source.end,
            self.sink.end,
            None,
            None,
            on_progress=None,
            on_end=lambda: self.told.append("end"),
            on_fail=self.told.append,
        )
        stack.callback(self.pump.close)
        self.pump.start()
        self.source.far.give(b"four")
        run_until(loop, lambda: self.pump.bytes_written == 4)


def test_a_small_message_goes_the_short_way_and_the_end_is_told_once(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    step = Pump._step
    monkeypatch.setattr(Pump, "_step", lambda pump: (steps.append(""), step(pump)))
    quiet = Quiet(loop, stack)
    assert steps == []
    quiet.source.far.close()
    run_until(loop, lambda: bool(quiet.told))
    run_for(loop, 0.01)
    assert quiet.told == ["end"]
    quiet.sink.release()
    assert quiet.sink.far.take() == b"four"


@pytest.mark.parametrize("failing", ["source", "sink"])
def test_an_error_on_the_short_way_is_told_once(
    failing: str, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Quiet(loop, stack)
    if failing == "source":
        reset_peer(quiet.source.far)
    else:
        reset_peer(quiet.sink.far)
        quiet.source.far.give(b"lost")
    run_until(loop, lambda: bool(quiet.told))
    run_for(loop, 0.01)
    (error,) = quiet.told
    assert isinstance(error, ReceiveError if failing == "source" else SendError)
    assert isinstance(error.__cause__, ConnectionResetError)
    assert quiet.pump.lane.held == (0 if failing == "source" else 4)  # it was not passed on


def test_a_full_sink_is_waited_for_after_the_short_way(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    quiet = Quiet(loop, stack)
    data = noise(8_000_000)
    feeding = Feeding(quiet.source.far, data)
    run_until(loop, lambda: quiet.pump.blocked)
    gathering = Gathering(quiet.sink.far)
    run_until(loop, lambda: bool(quiet.told))
    feeding.join()
    quiet.sink.release()
    assert quiet.told == ["end"]
    assert gathering.result() == b"four" + data


def test_after_finish_the_short_way_takes_no_more(loop: Loop, stack: contextlib.ExitStack) -> None:
    quiet = Quiet(loop, stack)
    quiet.source.far.give(b"more")
    quiet.pump.finish()
    run_until(loop, lambda: bool(quiet.told))
    assert (quiet.told, quiet.pump.bytes_read) == (["end"], 4)


def test_after_a_little_it_does_not_ask_for_more(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, near, _ = make("tcp", "file")
    splice, calls = os.splice, 0

    def counted(*arguments: Any, **more: Any) -> int:
        nonlocal calls
        calls += 1
        return splice(*arguments, **more)

    monkeypatch.setattr(os, "splice", counted)
    told.pump.start()
    near.far.give(b"hello")
    run_until(loop, lambda: told.pump.bytes_written == 5)
    assert calls == 2  # into the pipe, and out of it
