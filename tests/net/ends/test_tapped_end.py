"""What a tap at an end sees. What the end itself promises is tested in test_end.py."""

from __future__ import annotations

import socket

import pytest

from sockkit.core.frame_spec import parse_frame
from sockkit.core.records import Closed, Ended, Message, Opened, Record
from sockkit.errors import OutputError, ReceiveError, SendError, SockkitError
from sockkit.events import Event, FrameTotal
from sockkit.net.ends.end import Callback, Kind, PeerEnd
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.output_file import ReceivedBytes
from sockkit.net.loop import Loop
from sockkit.net.screen import MAX_WAITING_BYTES
from sockkit.net.views import Views
from tests.net import kit
from tests.support import reset

loop, stack = kit.loop, kit.stack


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def show(self, *records: Record) -> None:
        self.records += records

    def close(self) -> None:
        pass


def no_events(event: Event) -> None:
    pass


def test_a_tapped_end_shows_both_directions_their_ends_and_the_close(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=True)
    assert end.write(b"hello") == 5
    far.write(b"hi")
    far.half_close()
    buffer = memoryview(bytearray(10))
    assert end.read_into(buffer) == 2
    assert [end.read_into(buffer), end.read_into(buffer)] == [0, 0]
    end.half_close()
    end.close()
    assert [type(record) for record in kept.records] == [
        Opened, Message, Message, Ended, Ended, Closed
    ]  # fmt: skip
    assert kept.records[-1][2] == ""


def test_a_reset_is_told_once_with_who_has_reset(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=False)
    far.abort()
    with pytest.raises(SockkitError):
        end.read_into(memoryview(bytearray(10)))
    end.close()
    assert [record[2:] for record in kept.records[1:]] == [("received",)]

    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=False)
    end.abort()
    assert kept.records[-1][2] == "sent"


class Full:
    """A sink that is full, as a disk can be."""

    kind = Kind.OTHER

    def write(self, data: bytes | memoryview, /) -> int:
        raise OutputError("no space")

    def when_writable(self, callback: Callback | None) -> None:
        pass


def test_a_close_resets_if_what_arrived_cannot_be_written(loop: Loop) -> None:
    """Even if it comes in the turn in which the last bytes arrived."""
    views = Views(loop, no_events)
    views.show_on(Full(), ReceivedBytes(lambda: None))
    near, far = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=False)
    far.write(b"data")
    end.read_into(memoryview(bytearray(10)))
    end.close()
    with pytest.raises(ReceiveError):
        far.read_into(memoryview(bytearray(10)))


def test_how_many_frames_have_passed_is_told_at_the_close(loop: Loop) -> None:
    events: list[Event] = []
    views = Views(loop, events.append, parse_frame("line").framer)
    near, _ = memory_pair(loop)
    end = views.watch(near, "tcp", dialled=True)
    end.write(b"one\ntwo\nthree")
    end.close()
    assert events == [FrameTotal(near.peer, "sent", 3), FrameTotal(near.peer, "received", 0)]


def test_it_is_copied(loop: Loop) -> None:
    near, _ = memory_pair(loop)
    end = Views(loop, no_events).watch(near, "tcp", dialled=True)
    assert (end.kind, end.descriptor) == (Kind.OTHER, -1)
    near.kind = Kind.ENCRYPTED  # type: ignore[misc]
    end = Views(loop, no_events).watch(near, "tcp", dialled=True)
    assert end.kind is Kind.ENCRYPTED


def test_a_write_that_is_cut_is_seen_as_far_as_it_went(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    near, _ = memory_pair(loop, capacity=3)
    end = views.watch(near, "tcp", dialled=True)
    assert end.write(memoryview(b"hello")) == 3
    with pytest.raises(BlockingIOError):
        end.write(b"lo")
    assert [record.data for record in kept.records if isinstance(record, Message)] == [b"hel"]


class Stuck:
    """Views whose standard output takes nothing until `read`."""

    def __init__(self, loop: Loop) -> None:
        self.views, self.kept, self._loop = Views(loop, no_events), Kept(), loop
        self.views.add(self.kept)
        sink, self._reader = memory_pair(loop)
        screen = self.views.show_on(sink, Nothing())
        screen.put(bytes(2 * MAX_WAITING_BYTES))
        assert self.views.full

    def read(self) -> None:
        buffer = memoryview(bytearray(65536))
        while self._reader.has_bytes():
            self._reader.read_into(buffer)
            kit.settle(self._loop)


class Nothing:
    def show(self, record: Record, /) -> bytes:
        return b""


class Reading:
    """Reads `end` whenever it is readable, until it fails or has ended."""

    def __init__(self, end: PeerEnd) -> None:
        self._end, self.data, self.error = end, b"", ""
        end.when_readable(self._read)

    def _read(self) -> None:
        buffer = memoryview(bytearray(100))
        try:
            self.data += bytes(buffer[: self._end.read_into(buffer)])
        except BlockingIOError:
            pass
        except SockkitError as error:
            self.error = str(error)
            self._end.when_readable(None)
            self._end.close()


def test_a_reset_is_met_although_nobody_reads_the_view(loop: Loop) -> None:
    stuck = Stuck(loop)
    near, far = memory_pair(loop)
    reading = Reading(stuck.views.watch(near, "tcp", dialled=False))
    kit.settle(loop)
    far.abort()
    kit.settle(loop)
    assert "reset" in reading.error
    last = stuck.kept.records[-1]
    assert isinstance(last, Closed)
    assert last.reset == "received"
    assert not stuck.views._waiting


def test_what_came_before_a_reset_is_shown_before_it_is_met(loop: Loop, stack: kit.Stack) -> None:
    stuck = Stuck(loop)
    made = kit.stream_end("tcp", stack)
    reading = Reading(stuck.views.watch(made.end, "tcp", dialled=False))
    made.far.give(b"last words")
    far = socket.socket(fileno=made.far.descriptor)
    made.far.descriptor = -1
    reset(far)
    kit.run_for(loop, 0.1)
    assert (reading.data, reading.error) == (b"", "")
    stuck.read()
    kit.settle(loop)
    assert reading.data == b"last words"
    assert "reset" in reading.error


def test_whoever_only_writes_meets_a_reset_too(loop: Loop) -> None:
    stuck = Stuck(loop)
    near, far = memory_pair(loop)
    end = stuck.views.watch(near, "tcp", dialled=False)
    failed: list[str] = []

    def write() -> None:
        try:
            end.write(b"more")
        except BlockingIOError:
            return
        except SendError as error:
            failed.append(str(error))
            end.when_writable(None)

    end.when_writable(write)
    kit.settle(loop)
    assert not failed
    far.abort()
    kit.settle(loop)
    assert len(failed) == 1
    end.close()


def test_a_reset_is_told_once_while_nobody_reads_the_view(loop: Loop) -> None:
    """Otherwise the loop would turn and turn until there is room."""
    stuck = Stuck(loop)
    near, far = memory_pair(loop)
    end = stuck.views.watch(near, "tcp", dialled=False)
    told: list[SockkitError] = []
    end.when_reset(told.append)
    far.abort()
    kit.settle(loop)
    kit.settle(loop)
    assert len(told) == 1
    stuck.read()
    kit.settle(loop)
    assert len(told) > 1  # as PeerEnd has it
    end.close()


def test_an_end_that_is_closed_is_not_watched_again_when_there_is_room(loop: Loop) -> None:
    stuck = Stuck(loop)
    near, far = memory_pair(loop)
    end = stuck.views.watch(near, "tcp", dialled=False)
    told: list[SockkitError] = []
    end.when_reset(told.append)
    far.abort()
    kit.settle(loop)
    end.close()
    assert not stuck.views._waiting
    told.clear()
    stuck.read()
    kit.settle(loop)
    assert not told
