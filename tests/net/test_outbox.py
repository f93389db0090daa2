"""The outbox: order, size, and who is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest

from sockkit.errors import OutputError, SendError, SockkitError
from sockkit.net.ends.end import Kind
from sockkit.net.loop import Loop
from sockkit.net.outbox import LineOutbox, Outbox, ReceivedOutbox
from tests.net import kit
from tests.net.kit import Gathering, Made, noise, run_for, run_until

loop, stack = kit.loop, kit.stack


class Told:
    """An outbox for a Stream, and what it told."""

    def __init__(self, loop: Loop, made: Made) -> None:
        self.empty = 0
        self.failed: list[SockkitError] = []
        self.box = Outbox(made.end, on_empty=self._empty, on_fail=self.failed.append)

    def _empty(self) -> None:
        assert self.box.size == 0
        self.empty += 1


@pytest.fixture(params=["tcp", "unix"])
def made(request: pytest.FixtureRequest, stack: contextlib.ExitStack) -> Made:
    return kit.stream_end(request.param, stack, clogged=True)


def test_what_the_sink_takes_goes_at_once(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    told.box.put(b"one ")
    told.box.put(b"")
    told.box.put(b"two")
    assert (told.box.size, told.box.bytes_written) == (0, 7)
    made.release()
    assert made.far.take() == b"one two"
    assert told.empty == 0  # nothing had waited


def test_the_rest_waits_in_order(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    parts = [noise(size) for size in (500_000, 1, 300_000, 2, 7)]
    for part in parts:
        told.box.put(part)
    assert told.box.size > 0
    assert told.box.size + told.box.bytes_written == sum(map(len, parts))
    gathering = Gathering(made.far)
    run_until(loop, lambda: told.empty > 0)
    run_for(loop, 0.01)
    made.release()
    assert gathering.result() == b"".join(parts)
    assert (told.empty, told.box.size, told.box.bytes_written) == (1, 0, sum(map(len, parts)))
    assert told.failed == []


def test_a_buffer_may_be_used_again_at_once(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    buffer = bytearray(noise(500_000))
    for _ in range(2):
        told.box.put(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
    gathering = Gathering(made.far)
    run_until(loop, lambda: told.empty > 0)
    made.release()
    assert gathering.result() == noise(500_000) + bytes(500_000)


def test_it_can_be_used_again_once_empty(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    got = b""

    def read() -> None:
        nonlocal got
        got += os.read(made.far.descriptor, 65536)

    for number in (1, 2):
        told.box.put(noise(500_000))
        assert told.box.size > 0
        loop.when_readable(made.far.descriptor, read)
        run_until(loop, lambda number=number: len(got) == number * 500_000)  # type: ignore[misc]
        loop.when_readable(made.far.descriptor, None)
        assert told.empty == number
    assert got == noise(500_000) * 2


@pytest.mark.parametrize("waiting", [False, True])
def test_a_failure_is_told_once_and_the_rest_is_dropped(
    waiting: bool, made: Made, loop: Loop
) -> None:
    told = Told(loop, made)
    if waiting:
        told.box.put(bytes(10_000_000))
        assert told.box.size
    made.far.close()
    for _ in range(3):
        told.box.put(b"more")  # the first may still go through
        run_for(loop, 0.01)
    assert [type(error) for error in told.failed] == [SendError]
    assert told.failed[0].__traceback__ is None
    assert (told.box.size, told.empty) == (0, 0)


def test_the_loop_runs_until_nothing_waits(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    told.box.put(bytes(500_000))
    gathering = Gathering(made.far)
    told.box.run_until_empty(loop)
    assert (told.box.size, told.empty) == (0, 1)
    told.box.run_until_empty(loop)
    made.release()
    assert gathering.result() == bytes(500_000)


def test_the_loop_runs_no_longer_once_writing_has_failed(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    told.box.put(bytes(10_000_000))
    loop.call_soon(made.far.close)
    told.box.run_until_empty(loop)
    assert [type(error) for error in told.failed] == [SendError]
    assert told.empty == 0


def test_stop_drops_what_waits(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    told.box.put(bytes(500_000))
    given = told.box.bytes_written
    told.box.stop()
    told.box.put(b"late")
    gathering = Gathering(made.far)
    run_for(loop, 0.02)
    made.release()
    assert gathering.result() == bytes(given)
    assert (told.box.size, told.empty, told.failed) == (0, 0, [])


class Disk:
    """A sink with room for so many bytes; `waits` makes it take none for now."""

    descriptor, kind, name = -1, Kind.FILE, "disk"

    def __init__(self, room: int) -> None:
        self.room, self.got, self.waits = room, b"", False

    def write(self, data: bytes | memoryview, /) -> int:
        if self.waits:
            raise BlockingIOError
        if not self.room:
            raise OutputError("full")
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.got += taken
        return len(taken)

    def write_failed(self, error: OSError, /) -> SockkitError:
        raise NotImplementedError

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        self.ready = callback


@pytest.mark.parametrize(
    ("room", "unwritten"),
    [(0, 10), (7, 9), (11, 5), (12, 5), (18, 4), (22, 0)],
    ids=["nothing", "a byte", "the first", "half a label", "a byte of the next", "all"],
)
def test_what_was_received_and_is_not_written(room: int, unwritten: int) -> None:
    box = ReceivedOutbox(Disk(room), on_empty=id, on_fail=id)  # type: ignore[arg-type]
    box.put_received(b"", 0)
    box.put_received(b"[one] hello", 5)
    box.put_received(b"[two] hello", 5)
    box.put_received(b"\n", 0)
    # A piece that is written in part: its label is taken to be at the beginning.
    assert box.unwritten == unwritten
    told = f"{unwritten} bytes received but not written" if unwritten else ""
    assert box.lost() == told


def test_lines_that_nobody_takes_are_counted() -> None:
    disk = Disk(1000)
    box = LineOutbox(disk, 10, on_empty=lambda: None)  # type: ignore[arg-type]
    box.put_lines(lambda: b"first\n", 1)
    assert box.lost() == ""
    disk.waits = True
    box.put_lines(lambda: b"waits, and is long\n", 1)
    for count in (1, 2):
        box.put_lines(lambda: b"never made", count)
    assert box.lost() == "19 bytes and 3 lines of the chat not written"
    disk.waits = False
    assert disk.ready
    disk.ready()
    assert disk.got == b"first\nwaits, and is long\n* 3 lines not shown\n"
    assert box.lost() == ""
