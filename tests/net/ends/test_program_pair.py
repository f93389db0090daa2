"""The pair of datagram sockets that a program reads and writes."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from sockkit.errors import ReceiveError, SendError
from sockkit.net.ends.program_pair import ProgramPair
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


@pytest.fixture
def pair(loop: Loop) -> Iterator[ProgramPair]:
    pair = ProgramPair(loop)
    yield pair
    pair.close()


def read(pair: ProgramPair) -> bytes:
    buffer = memoryview(bytearray(70_000))
    return bytes(buffer[: pair.read_into(buffer)])


@pytest.mark.parametrize("size", [0, 1, 1472, 65_507])
def test_a_datagram_stays_whole_in_both_directions(size: int, pair: ProgramPair) -> None:
    with socket.socket(fileno=os.dup(pair.theirs)) as theirs:
        for data in (b"a" * size, b"b" * size):
            pair.write(data)
            theirs.send(data)
    assert [os.read(pair.theirs, 70_000) for _ in range(2)] == [b"a" * size, b"b" * size]
    assert [read(pair) for _ in range(2)] == [b"a" * size, b"b" * size]


def fill(pair: ProgramPair) -> None:
    for _ in range(10_000):
        pair.write(b"x" * 1000)


def test_it_never_waits(pair: ProgramPair) -> None:
    with pytest.raises(BlockingIOError):
        read(pair)
    with pytest.raises(BlockingIOError):
        fill(pair)
    assert os.get_blocking(pair.theirs)  # a program may wait


def test_it_tells_when_it_is_readable(pair: ProgramPair, loop: Loop) -> None:
    got: list[bytes] = []
    pair.when_readable(lambda: got.append(read(pair)))
    os.write(pair.theirs, b"a")
    kit.run_until(loop, lambda: got == [b"a"])
    pair.when_readable(None)
    os.write(pair.theirs, b"b")
    kit.run_for(loop, 0.02)
    assert got == [b"a"]


def test_a_program_that_has_closed_it_is_an_error_to_write_to(pair: ProgramPair) -> None:
    pair.release()
    with pytest.raises(SendError, match="the program has closed its input"):
        pair.write(b"x")


def test_what_was_written_before_is_read_after_the_program_has_closed(pair: ProgramPair) -> None:
    os.write(pair.theirs, b"last")
    pair.release()
    assert read(pair) == b"last"


def test_a_closed_one_can_be_closed_again(pair: ProgramPair) -> None:
    pair.close()
    pair.close()
    with pytest.raises(ReceiveError):
        read(pair)


def test_a_system_without_descriptors_is_an_error(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", full)
    with pytest.raises(SendError, match="too many open files"):
        ProgramPair(loop)
