"""What comes through the pipe; on a real terminal: tests/e2e/test_terminal_client.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from sockkit.term import arrivals as module
from sockkit.term.arrivals import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Arrivals
from tests.support import WAIT


class Screen:
    """Shows nothing, and fails on the text it is told to."""

    def __init__(self, fails_on: str = "\0") -> None:
        self.shown: list[str] = []
        self.ended = 0
        self._fails_on = fails_on

    def show(self, text: str) -> None:
        if self._fails_on in text:
            raise OSError("the terminal has gone")
        self.shown.append(text)

    def end(self) -> None:
        self.ended += 1


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def write(self, *pieces: bytes) -> None:
        for piece in pieces:
            os.write(self.writer, piece)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.writer)


def show_all(arrivals: Arrivals) -> None:
    """Until it has ended."""

    async def wait() -> None:
        arrivals.listen()
        await asyncio.wait_for(arrivals.ended.wait(), WAIT)

    asyncio.run(wait())
    arrivals.close()


def test_what_arrives_is_shown_to_its_end(pipe: Pipe) -> None:
    screen = Screen()
    arrivals = Arrivals(pipe.reader, "utf-8", screen)
    assert not arrivals.more_waits()
    pipe.write("你好\n".encode(), b"\xff\n")
    assert arrivals.more_waits()
    os.close(pipe.writer)
    show_all(arrivals)
    pipe.writer = os.open(os.devnull, os.O_WRONLY)
    assert ("".join(screen.shown), screen.ended) == ("你好\n\ufffd\n", 1)


def test_a_character_may_be_cut_in_two(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_CHUNK_BYTES", 1)
    monkeypatch.setattr(module, "MAX_CHUNK_BYTES", 1)
    screen = Screen()
    arrivals = Arrivals(pipe.reader, "gbk", screen)
    pipe.write("你\0".encode("gbk"))  # its end is a terminal that goes
    show_all(arrivals)
    assert (screen.shown, screen.ended) == (["", "你"], 1)


def test_a_terminal_that_has_gone_is_the_end(pipe: Pipe) -> None:
    screen = Screen(fails_on="x")
    arrivals = Arrivals(pipe.reader, "utf-8", screen)
    pipe.write(b"x")  # and the pipe goes on
    show_all(arrivals)
    assert (screen.shown, screen.ended) == ([], 1)


def test_a_slow_terminal_gets_less_at_a_time(pipe: Pipe) -> None:
    arrivals = Arrivals(pipe.reader, "utf-8", Screen())
    assert arrivals._chunk == MIN_CHUNK_BYTES
    sizes = []
    for seconds in [0.0] * 8 + [1.0] * 9:
        arrivals._adapt(seconds)
        sizes.append(arrivals._chunk)
    assert sizes[:3] == [2 * MIN_CHUNK_BYTES, 4 * MIN_CHUNK_BYTES, 8 * MIN_CHUNK_BYTES]
    assert sizes[6:8] == [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES]
    assert sizes[8:10] == [MAX_CHUNK_BYTES // 2, MAX_CHUNK_BYTES // 4]
    assert sizes[-2:] == [MIN_CHUNK_BYTES, MIN_CHUNK_BYTES]
    arrivals.close()
