"""Who is read less often, and who never waits."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from sockkit.net.coalesce import (
    BURST_RECEIVES,
    MAX_GAP_SECONDS,
    MAX_VAIN_PAUSES,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    TINY_BYTES,
    Coalescer,
)
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net.kit import Gathering

loop, stack = kit.loop, kit.stack

STEP = MAX_GAP_SECONDS / 10


class Sender:
    """Asks a Coalescer after each of many receives, with a clock of its own."""

    def __init__(self) -> None:
        self.gather, self.now = Coalescer(), 100.0

    def pauses(
        self, sizes: list[int], *, answered: bool | None = False, gap: float = STEP
    ) -> list[bool]:
        out = []
        for index, size in enumerate(sizes):
            self.now += gap
            sent = {None: None, False: 0, True: index + 1}[answered]
            out.append(self.gather.should_pause(size, self.now, sent))
            self.now += PAUSE_SECONDS if out[-1] else 0
        return out


def test_pieces_that_nobody_answers_are_read_with_pauses() -> None:
    sender = Sender()
    sender.pauses([1])
    assert sender.pauses([1] * BURST_RECEIVES) == [False] * (BURST_RECEIVES - 1) + [True]
    assert all(sender.pauses([1, 200, 1, 1000] * 5))


@pytest.mark.parametrize(
    "change", [{"sizes": [TINY_BYTES]}, {"sizes": [1], "gap": MAX_GAP_SECONDS}]
)
def test_what_is_large_or_late_ends_it(change: dict[str, object]) -> None:
    sender = Sender()
    assert any(sender.pauses([1] * 2 * BURST_RECEIVES))
    assert sender.pauses(**change) == [False]  # type: ignore[arg-type]
    assert sender.pauses([1] * (BURST_RECEIVES - 1)) == [False] * (BURST_RECEIVES - 1)


@pytest.mark.parametrize("answered", [True, None], ids=["answered", "not known"])
def test_who_waits_for_answers_is_held_up_a_few_times_only(answered: bool | None) -> None:
    sender = Sender()
    count = int(RETRY_SECONDS / STEP) - 2 * BURST_RECEIVES
    assert sum(sender.pauses([64] * count, answered=answered)) == MAX_VAIN_PAUSES
    sender.pauses([64] * BURST_RECEIVES * 4, answered=answered)
    assert sum(sender.pauses([64] * count, answered=answered)) <= MAX_VAIN_PAUSES


def test_who_does_not_wait_for_answers_is_found_out() -> None:
    sender = Sender()
    sender.pauses([1] + [1] * BURST_RECEIVES, answered=True)
    assert all(sender.pauses([300] * 50, answered=True))
    assert all(sender.pauses([1] * (MAX_VAIN_PAUSES - 1) + [300], answered=True))
    assert sender.pauses([1] * MAX_VAIN_PAUSES, answered=True)[-1] is False


@pytest.mark.parametrize("sink", ["pipe", "file"])
def test_a_pump_takes_few_steps_for_many_pieces(
    sink: str,
    loop: Loop,
    stack: contextlib.ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    made, out = kit.source("tcp", stack, tmp_path), kit.sink(sink, stack, tmp_path)
    peer = stack.enter_context(socket.socket(fileno=made.far.descriptor))
    made.far.descriptor = -1
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    steps: list[int] = []
    coalescer = Coalescer()
    pump = Pump(
        loop,
        made.end,
        out.end,
        None,
        None,
        on_progress=lambda: steps.append(pump.bytes_written),
        on_end=loop.stop,
        on_fail=lambda _: loop.stop(),
        should_pause=lambda size: coalescer.should_pause(size, loop.now, 0),
    )
    stack.callback(pump.close)
    pump.start()

    def send() -> None:
        clock.passes(PAUSE_SECONDS / 10)
        if pump.bytes_read >= 500:
            peer.close()
        else:
            peer.send(b"x")
        loop.call_soon(send)  # a piece for each turn of the loop

    gathering = Gathering(out.far)  # a pipe is soon full of tiny pieces
    send()
    loop.run()
    out.release()
    assert len(gathering.result()) == pump.bytes_read >= 500
    assert len(steps) < 250
