from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sockkit.cli import status_lines as module
from sockkit.cli.status_lines import MAX_WAITING_BYTES, StatusLines, write_stderr
from sockkit.net.ends.stdio import Output
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_until

loop = kit.loop


class Pipe:
    """A pipe without waiting at either end, and what has been read of it."""

    def __init__(self, loop: Loop) -> None:
        self.reader, writer = os.pipe2(os.O_NONBLOCK)
        self.output = Output(loop, writer, edited=True)
        self.got = b""

    def fill(self) -> None:
        with suppress(BlockingIOError):
            while True:
                os.write(self.output.descriptor, b"\n" * 4096)

    def read(self) -> list[str]:
        with suppress(BlockingIOError):
            while data := os.read(self.reader, 65536):
                self.got += data
        return [line for line in self.got.decode().split("\n") if line]

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.output.descriptor)


@pytest.fixture
def pipe(loop: Loop) -> Iterator[Pipe]:
    pipe = Pipe(loop)
    yield pipe
    pipe.close()


def test_lines_are_said_at_once(pipe: Pipe, loop: Loop) -> None:
    status = StatusLines(pipe.output, "gbk", loop)
    status.say("* 你好")
    status.say("* \N{WAVING HAND SIGN}")
    assert os.read(pipe.reader, 100).decode("gbk") == "* 你好\n* \\U0001f44b\n"
    status.close()


def test_what_is_not_taken_waits_and_then_is_counted(pipe: Pipe, loop: Loop) -> None:
    status = StatusLines(pipe.output, "utf-8", loop)
    pipe.fill()
    lines = [f"{number:09}" for number in range(MAX_WAITING_BYTES // 10 + 100)]
    for line in lines:
        status.say(line)
    pipe.read()
    status.say("last")
    pipe.read()
    status.close()
    fit = MAX_WAITING_BYTES // 10
    assert pipe.read() == [*lines[:fit], "* 100 lines not shown: stderr was not read", "last"]


def test_the_loop_writes_what_waits(pipe: Pipe, loop: Loop) -> None:
    status = StatusLines(pipe.output, "utf-8", loop)
    pipe.fill()
    status.say("one")
    status.say("two " * 2000)
    run_until(loop, lambda: len(pipe.read()) == 2)
    assert pipe.read() == ["one", "two " * 2000]
    status.close()
    loop.later(0.01, loop.stop)
    loop.run()


def test_a_line_that_has_arrived_is_ended_first(pipe: Pipe, loop: Loop) -> None:
    pipe.output.write(b"login: ")
    status = StatusLines(pipe.output, "utf-8", loop, pipe.output)
    status.say("* peer 2 connected")
    assert pipe.read() == ["login: ", "* peer 2 connected"]
    pipe.output.write(b"login: ")
    status.end_line()
    status.end_line()
    pipe.read()
    assert pipe.got.endswith(b"connected\nlogin: \n")
    status.close()


def test_the_end_waits_for_a_reader_that_takes_nothing_but_not_long(
    pipe: Pipe, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STALL_SECONDS", 0.1)
    status = StatusLines(pipe.output, "utf-8", loop)
    pipe.fill()
    status.say("lost")
    status.close()
    assert "lost" not in pipe.read()


def test_a_reader_that_has_left_is_no_matter(loop: Loop) -> None:
    pipe = Pipe(loop)
    status = StatusLines(pipe.output, "utf-8", loop)
    os.close(pipe.reader)
    status.say("x")
    status.say("x" * 2 * MAX_WAITING_BYTES)
    status.close()
    os.close(pipe.output.descriptor)


def drawn(pipe: Pipe) -> bytes:
    """What was written since the last call."""
    with suppress(BlockingIOError):
        return os.read(pipe.reader, 65536)
    return b""


def test_a_line_is_drawn_in_the_place_of_the_one_before(pipe: Pipe, loop: Loop) -> None:
    status = StatusLines(pipe.output, "utf-8", loop)
    status.draw("one")
    status.draw("two")
    assert drawn(pipe) == b"\rone\x1b[K\rtwo\x1b[K"
    status.close()


def test_a_drawn_line_is_erased_once_by_what_comes_next_and_at_the_end(
    pipe: Pipe, loop: Loop
) -> None:
    status = StatusLines(pipe.output, "utf-8", loop)
    status.draw("bar")
    status.say("* said")
    status.say("* more")
    assert drawn(pipe) == b"\rbar\x1b[K\r\x1b[K* said\n* more\n"
    status.draw("bar")
    status.close()
    assert drawn(pipe) == b"\rbar\x1b[K\r\x1b[K"


def test_standard_output_erases_it_and_its_unfinished_line_is_ended_in_a_pause(
    pipe: Pipe, loop: Loop
) -> None:
    beside = Output(loop, pipe.output.descriptor, edited=True)
    status = StatusLines(pipe.output, "utf-8", loop, beside)
    status.draw("bar")
    beside.write(b"log")
    assert drawn(pipe) == b"\rbar\x1b[K\r\x1b[Klog"
    status.draw("bar")
    beside.write(b"in: ")
    status.draw("bar")
    assert drawn(pipe) == b"in: "
    status.draw("bar")
    assert drawn(pipe) == b"\n\rbar\x1b[K"
    beside.write(b"x\n")
    status.draw("bar")
    assert drawn(pipe) == b"\r\x1b[Kx\n\rbar\x1b[K"
    status.close()


def test_while_nobody_takes_lines_none_is_drawn(pipe: Pipe, loop: Loop) -> None:
    status = StatusLines(pipe.output, "utf-8", loop)
    pipe.fill()
    for number in range(100_000):
        status.draw(f"bar {number}")
    pipe.read()
    pipe.got = b""
    status.say("last")
    assert drawn(pipe) == b"\rbar 0\x1b[K\r\x1b[Klast\n"
    status.close()


def test_write_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    write_stderr("sockkit: no")
    assert capsys.readouterr() == ("", "sockkit: no\n")
