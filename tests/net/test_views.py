"""Views: what viewers are shown, who waits for them, and how a run ends."""

from __future__ import annotations

import os
import re

import pytest

from sockkit.core.records import Exit, Message, Opened
from sockkit.errors import OutputError, OutputGone, Stopped, TimedOut
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.stdio import Output
from sockkit.net.loop import Loop
from sockkit.net.screen import MAX_WAITING_BYTES
from sockkit.net.views import Views
from tests.net import kit
from tests.net.views_kit import STREAM, Kept, Pipe, Raw, no_events

loop, stack = kit.loop, kit.stack


def test_the_error_of_a_viewer_is_raised_by_the_loop_and_nothing_is_shown_after(loop: Loop) -> None:
    views, kept, failing = Views(loop, no_events), Kept(), Kept(fails=Message)
    views.add(failing)
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"a")
    tap.passed("sent", b"b")
    with pytest.raises(OutputError, match="no space") as raised:
        loop.run()
    assert [type(record) for record in failing.records] == [Opened]
    views.end(raised.value)
    assert failing.closed
    assert kept.closed


def test_an_error_at_the_very_end_is_raised_there(loop: Loop) -> None:
    views = Views(loop, no_events)
    views.add(Kept(fails=Exit))
    with pytest.raises(OutputError, match="no space"):
        views.end()
    with pytest.raises(OutputError):
        loop.run()  # it was planned, too


def test_a_slow_reader_stops_the_tapped_ends_and_little_is_held(
    loop: Loop, stack: kit.Stack
) -> None:
    pipe = Pipe(loop, stack, Raw())
    near, far = memory_pair(loop, capacity=MAX_WAITING_BYTES)
    end = pipe.views.watch(near, "tcp", dialled=True)
    buffer = memoryview(bytearray(65536))
    got = 0
    while not pipe.views.full:
        far.write(bytes(65536))
        got += end.read_into(buffer)
        kit.settle(loop)
    with pytest.raises(BlockingIOError):
        end.read_into(buffer)
    with pytest.raises(BlockingIOError):
        end.write(b"x")
    assert pipe.payload.write(b"x") == 1
    far.write(b"more")
    ready: list[str] = []
    end.when_readable(lambda: ready.append("read"))
    end.when_writable(lambda: ready.append("write"))
    kit.settle(loop)
    assert not ready
    assert got < 4 * MAX_WAITING_BYTES
    read = 0
    while data := pipe.read():
        read += len(data)
        kit.settle(loop)
    assert read == got
    assert {*ready} == {"read", "write"}
    end.when_readable(None)
    end.when_writable(None)


def test_without_a_view_the_payload_waits_for_a_slow_reader(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack)
    while not pipe.views.full:
        pipe.payload.write(bytes(65536))
    with pytest.raises(BlockingIOError):
        pipe.payload.write(b"x")
    ready: list[str] = []
    pipe.payload.when_writable(lambda: ready.append("payload"))
    kit.settle(loop)
    assert not ready
    while pipe.read():
        kit.settle(loop)
    assert ready
    pipe.payload.when_writable(None)


def test_a_file_that_is_read_slowly_stops_them_as_well(loop: Loop) -> None:
    views = Views(loop, no_events)
    out, into = os.pipe()
    os.set_blocking(into, False)
    file = Output(loop, into, edited=True)
    screen = views.show_on(file, Raw())
    screen.put(bytes(2 * MAX_WAITING_BYTES))
    assert views.full
    with pytest.raises(BlockingIOError):
        views.check_room()
    room: list[bool] = []
    views.when_room(lambda: room.append(True))
    while not room:
        assert os.read(out, 65536)
        kit.settle(loop)
    assert not views.full
    views.end(Stopped(15))
    os.close(out)
    os.close(into)


def test_what_is_kept_is_whole_although_the_reader_has_left(loop: Loop, stack: kit.Stack) -> None:
    pipe, kept = Pipe(loop, stack, Raw()), Kept()
    pipe.views.add(kept)
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    nobody = os.open(os.devnull, os.O_RDONLY)
    stack.callback(os.close, nobody)
    loop.later(0.01, lambda: os.dup2(nobody, pipe.out))
    with pytest.raises(OutputGone):
        pipe.views.end()
    assert kept.closed
    last = kept.records[-1]
    assert isinstance(last, Exit)
    assert last.status == 141


def test_a_viewer_that_fails_keeps_nothing_from_the_others(loop: Loop) -> None:
    views, failing, kept = Views(loop, no_events), Kept(fails=Message), Kept()
    views.add(failing)
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"a")
    tap.passed("sent", b"b")
    views.end(OutputError("could not write FILE"))
    assert [type(record) for record in kept.records] == [Opened, Message, Message, Exit]


def test_a_reader_that_leaves_after_a_viewer_has_failed_is_not_waited_for(
    loop: Loop, stack: kit.Stack
) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views.add(Kept(fails=Message))
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    with pytest.raises(OutputError) as raised:
        loop.run()
    nobody = os.open(os.devnull, os.O_RDONLY)
    stack.callback(os.close, nobody)
    loop.later(0.01, lambda: os.dup2(nobody, pipe.out))
    pipe.views.end(raised.value)


def test_a_file_that_cannot_be_closed_is_how_the_run_ended(loop: Loop, stack: kit.Stack) -> None:
    pipe, kept = Pipe(loop, stack, Raw()), Kept()

    def fail() -> None:
        raise OutputError("could not write FILE")

    pipe.views.show_on(pipe.output, Raw(), fail)
    pipe.views.add(kept)
    with pytest.raises(OutputError, match="FILE"):
        pipe.views.end()
    assert kept.closed
    assert kept.records[-1][1:] == (23, "could not write FILE")


def test_what_a_stop_leaves_unwritten_is_told(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    error = TimedOut("nothing was sent or received for 1 s")
    pipe.views.end(error)
    assert re.search(r"\([0-9,]+ bytes of output not written\)", str(error))


def test_after_a_signal_the_end_waits_for_nobody(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    pipe.views.end(Stopped(15))  # nobody reads
    assert pipe.read()
