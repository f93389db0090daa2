"""The outbox: order, size, and who is told."""

from __future__ import annotations

import contextlib
import os

import pytest

from sockkit.errors import SendError, SockkitError
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from tests.net import kit
from tests.net.kit import Gathering, Made, noise, run_for, run_until

loop, stack = kit.loop, kit.stack


class Told:
    """An outbox for a Stream, and what it told."""

    def __init__(self, loop: Loop, made: Made) -> None:
        self.empty = 0
        self.failed: list[SockkitError] = []
        self.box = Outbox(loop, made.end, on_empty=self._empty, on_fail=self.failed.append)

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
    assert (told.box.size, told.box.given) == (0, 7)
    made.release()
    assert made.far.take() == b"one two"
    assert told.empty == 0  # nothing had waited


def test_the_rest_waits_in_order(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    parts = [noise(size) for size in (500_000, 1, 300_000, 2, 7)]
    for part in parts:
        told.box.put(part)
    assert told.box.size > 0
    assert told.box.size + told.box.given == sum(map(len, parts))
    gathering = Gathering(made.far)
    run_until(loop, lambda: told.empty > 0)
    run_for(loop, 0.01)
    made.release()
    assert gathering.result() == b"".join(parts)
    assert (told.empty, told.box.size, told.box.given) == (1, 0, sum(map(len, parts)))
    assert told.failed == []


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
    assert (told.box.size, told.empty) == (0, 0)


def test_stop_drops_what_waits(made: Made, loop: Loop) -> None:
    told = Told(loop, made)
    told.box.put(bytes(500_000))
    given = told.box.given
    told.box.stop()
    told.box.put(b"late")
    gathering = Gathering(made.far)
    run_for(loop, 0.02)
    made.release()
    assert gathering.result() == bytes(given)
    assert (told.box.size, told.empty, told.failed) == (0, 0, [])
