"""What a pair in memory does beyond what every end promises (test_end.py)."""

from __future__ import annotations

import pytest

from sockkit.errors import ReceiveError, SendError
from sockkit.net.ends.end import Kind
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


def read(end: MemoryEnd, size: int = 100) -> bytes:
    buffer = memoryview(bytearray(size))
    return bytes(buffer[: end.read_into(buffer)])


def test_a_pair_is_two_ends_that_call_each_other_by_name(loop: Loop) -> None:
    first, second = memory_pair(loop)
    assert (first.name, second.name) == ("there:1", "here:2")
    assert (first.other, second.other) == (second, first)
    assert (first.kind, first.descriptor) == (Kind.OTHER, -1)


def test_each_direction_holds_its_capacity(loop: Loop) -> None:
    first, second = memory_pair(loop, capacity=3)
    assert (first.write(b"abcd"), second.write(b"xyz")) == (3, 3)
    assert (first.queued(), first.undelivered(), second.queued()) == (3, 3, 3)
    with pytest.raises(BlockingIOError):
        first.write(b"d")
    assert read(second, 1) == b"a"
    assert (first.queued(), first.write(b"de")) == (2, 1)
    assert (read(second), read(first)) == (b"bcd", b"xyz")


def test_a_reset_destroys_what_was_not_read_and_the_end_after_it(loop: Loop) -> None:
    first, second = memory_pair(loop)
    first.write(b"lost")
    first.half_close()
    first.abort()
    first.close()
    with pytest.raises(ReceiveError, match="connection reset"):
        read(second)
    assert read(second) == b""


def test_an_end_that_was_read_is_not_taken_back(loop: Loop) -> None:
    first, second = memory_pair(loop)
    first.half_close()
    assert read(second) == b""
    first.abort()
    assert read(second) == b""
    with pytest.raises(SendError, match="the peer has closed"):
        second.write(b"x")


def test_it_knows_whether_somebody_is_called(loop: Loop) -> None:
    first, _ = memory_pair(loop)
    assert not first.watched
    for when in (first.when_readable, first.when_writable):
        when(lambda: None)
        assert first.watched
        when(None)
        assert not first.watched


def test_nobody_is_called_once_it_is_closed(loop: Loop) -> None:
    first, second = memory_pair(loop)
    called: list[str] = []
    first.when_readable(lambda: called.append("readable"))
    first.when_writable(lambda: called.append("writable"))
    second.write(b"x")
    first.close()
    kit.settle(loop)
    assert called == []
    assert not loop._soon


def test_what_a_callback_raises_does_not_end_the_calls(loop: Loop) -> None:
    first, second = memory_pair(loop)
    second.write(b"x")

    def fail() -> None:
        raise ValueError

    first.when_readable(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            loop.run()
    first.when_readable(None)


def test_who_does_not_read_is_told_of_a_reset(loop: Loop) -> None:
    first, second = memory_pair(loop)
    told: list[str] = []
    first.when_reset(lambda error: told.append(str(error)))
    second.write(b"x")
    second.half_close()
    kit.settle(loop)
    assert told == []
    second.abort()
    kit.settle(loop)
    assert "connection reset" in told[0]
    assert len(told) > 1  # in each turn
    first.when_reset(None)
    told.clear()
    kit.settle(loop)
    assert told == []
