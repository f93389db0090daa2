"""The screen writes all that is shown, without holding much."""

from __future__ import annotations

import os

import pytest

from sockkit.errors import OutputGone, TimedOut
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.views_kit import STREAM, Pipe, Raw

loop, stack = kit.loop, kit.stack


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


def test_the_end_waits_until_all_is_written(loop: Loop, stack: kit.Stack) -> None:
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


def test_a_reader_that_has_left_ends_the_run(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    os.close(pipe.out)
    pipe.out = os.open(os.devnull, os.O_RDONLY)
    pipe.views.tap(STREAM).passed("sent", b"a")
    with pytest.raises(OutputGone):
        loop.run()


def test_a_reader_that_reads_nothing_for_too_long_is_a_timeout(
    loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe(loop, stack, Raw())
    pipe.views._idle = 60.0
    kit.skip_time(loop, monkeypatch)
    pipe.views.tap(STREAM).passed("sent", bytes(500_000))
    with pytest.raises(TimedOut, match=r"stdout was not read for 60 s: [0-9,]+ bytes"):
        pipe.views.end()
