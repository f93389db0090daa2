"""Views: taps make records of what passes, and the screen shows them without holding much."""

from __future__ import annotations

import os
import re

import pytest

from sockkit.core.frames import parse_frame
from sockkit.core.records import Exit, Message, Opened, Record, Stream
from sockkit.errors import OutputError, OutputGone, Stopped, TimedOut
from sockkit.events import Event
from sockkit.net.ends.end import Callback
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.stdio import Output
from sockkit.net.loop import Loop
from sockkit.net.views import MAX_WAITING_BYTES, Gate, Views
from tests.net import kit

loop, stack = kit.loop, kit.stack

STREAM = Stream(1, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True)


def no_events(event: Event) -> None:
    pass


class Kept:
    """A viewer that keeps what it is shown, and fails on `fails`."""

    def __init__(self, fails: type | None = None) -> None:
        self.records: list[Record] = []
        self.closed = False
        self._fails = fails

    def show(self, *records: Record) -> None:
        for record in records:
            if self._fails and isinstance(record, self._fails):
                raise OutputError("could not write FILE: no space left on device")
            self.records.append(record)

    def close(self) -> None:
        self.closed = True

    @property
    def told(self) -> list[tuple[object, ...]]:
        """The records without times and streams."""
        fields = [record[1:] for record in self.records]
        return [
            (type(record).__name__, *(field for field in rest if field != STREAM))
            for record, rest in zip(self.records, fields, strict=True)
        ]


class Raw:
    """A view that shows the bytes of messages."""

    def show(self, record: Record, /) -> bytes:
        return record.data if isinstance(record, Message) else b""


def test_a_tap_tells_what_passes_and_when(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"ping")
    tap.passed("received", b"pong")
    tap.ended("received")
    tap.closed()
    assert kept.told == [
        ("Opened",),
        ("Message", "sent", b"ping", ""),
        ("Message", "received", b"pong", ""),
        ("Ended", "received"),
        ("Closed", ""),
    ]
    times = [record.time for record in kept.records]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000_000_000


def test_messages_are_the_frames_of_their_direction(loop: Loop) -> None:
    views, kept = Views(loop, no_events, parse_frame("fixed:3").framer), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"abcd")
    tap.passed("received", b"12")
    tap.passed("sent", b"ef")
    tap.passed("received", b"34")
    tap.ended("received")
    tap.closed()
    assert tap.frames == {"sent": 2, "received": 2}
    assert kept.told[1:-1] == [
        ("Message", "sent", b"abc", ""),
        ("Message", "sent", b"def", ""),
        ("Message", "received", b"123", ""),
        ("Message", "received", b"4", "cut"),
        ("Ended", "received"),
    ]


def test_a_silence_ends_a_frame(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    views, kept = Views(loop, no_events, parse_frame("gap:1").framer), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    kit.skip_time(loop, monkeypatch)
    tap.passed("sent", b"a")
    loop.later(0.5, lambda: tap.passed("sent", b"b"))
    loop.later(5, loop.stop)
    loop.run()
    assert kept.told[1:] == [("Message", "sent", b"ab", "")]


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


class Pipe:
    """A screen on a pipe that holds little."""

    def __init__(self, loop: Loop, stack: kit.Stack, view: Raw | None = None) -> None:
        self.out, into = os.pipe()
        os.set_blocking(self.out, False)
        stack.callback(os.close, self.out)
        stack.callback(os.close, into)
        self.output = Output(loop, into)
        stack.callback(lambda: os.close(self.output.descriptor))
        self.views = Views(loop, no_events)
        self.payload = self.views.take_output(self.output, view)
        self.loop = loop

    def read(self) -> bytes:
        try:
            return os.read(self.out, 1 << 20)
        except BlockingIOError:
            return b""


def test_what_is_shown_in_one_turn_is_written_once(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    tap.passed("sent", b"a")
    tap.passed("sent", b"b")
    assert pipe.read() == b""
    kit.settle(loop)
    assert pipe.read() == b"ab"


def test_while_a_view_has_standard_output_the_payload_goes_nowhere(
    loop: Loop, stack: kit.Stack
) -> None:
    pipe = Pipe(loop, stack, Raw())
    assert pipe.payload.write(b"payload") == 7
    kit.settle(loop)
    assert pipe.read() == b""
    assert pipe.views.screen
    pipe.views.screen.view = None
    assert pipe.payload.write(b"payload") == 7
    kit.settle(loop)
    assert pipe.read() == b"payload"


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


def test_the_end_waits_until_all_is_written_but_not_after_a_signal(
    loop: Loop, stack: kit.Stack
) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    tap.passed("sent", bytes(500_000))
    got = bytearray()

    def read() -> None:
        got.extend(os.read(pipe.out, 65536))

    loop.when_readable(pipe.out, read)
    pipe.views.end()
    loop.when_readable(pipe.out, None)
    assert len(got) + len(pipe.read()) == 500_000

    pipe = Pipe(loop, stack, Raw())
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    pipe.views.end(Stopped(15))  # nobody reads
    assert pipe.read()


def test_a_reader_that_has_left_ends_the_run(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    os.close(pipe.out)
    pipe.out = os.open(os.devnull, os.O_RDONLY)
    pipe.views.tap(STREAM).passed("sent", b"a")
    with pytest.raises(OutputGone):
        loop.run()


def test_a_gate_calls_back_again_when_there_is_room(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    while not pipe.views.full:
        tap.passed("sent", bytes(65536))
        kit.settle(loop)
    near, far = memory_pair(loop)
    gate, called = Gate(pipe.views, near.when_readable), []
    gate.when_ready(lambda: called.append(1))
    far.write(b"a")
    kit.settle(loop)
    assert not called
    gate.when_ready(None)
    while pipe.read():
        kit.settle(loop)
    assert not called
    gate.when_ready(lambda: called.append(1))
    kit.settle(loop)
    assert called
    gate.when_ready(None)


def test_a_gate_leaves_an_end_alone_that_was_closed_meanwhile(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    while not pipe.views.full:
        tap.passed("sent", bytes(65536))
        kit.settle(loop)
    near, far = memory_pair(loop)
    watched: list[object] = []

    def watch(callback: Callback | None) -> None:
        watched.append(callback)
        near.when_readable(callback)

    gate = Gate(pipe.views, watch)
    gate.when_ready(lambda: None)
    far.write(b"a")
    kit.settle(loop)
    gate.when_ready(None)
    watched.clear()
    while pipe.read():
        kit.settle(loop)
    assert not watched


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


def test_an_end_that_is_closed_waits_for_no_room(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    while not pipe.views.full:
        pipe.views.tap(STREAM).passed("sent", bytes(65536))
        kit.settle(loop)
    for _ in range(10):
        near, far = memory_pair(loop)
        gate = Gate(pipe.views, near.when_readable)
        gate.when_ready(lambda: None)
        far.write(b"x")
        kit.settle(loop)
        gate.when_ready(None)
    assert not pipe.views._waiting


def test_a_reader_that_reads_nothing_for_too_long_is_a_timeout(
    loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views._idle = 60.0
    kit.skip_time(loop, monkeypatch)
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    with pytest.raises(TimedOut, match=r"nobody has read standard output for 60 s: [0-9,]+ bytes"):
        pipe.views.end()


def test_what_a_stop_leaves_unwritten_is_told(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    error = TimedOut("nothing was sent or received for 1 s")
    pipe.views.end(error)
    assert re.search(r"\([0-9,]+ bytes of what was shown not written\)", str(error))
