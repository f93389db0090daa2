"""What the kernel's own moves leave to a copy: urgent data. More is in test_lanes.py."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from sockkit.errors import ReceiveError, SockkitError
from sockkit.net.kernel import MAX_STEPS
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net.kit import Gathering, run_until
from tests.support import reset

loop, stack = kit.loop, kit.stack

URGENT = object()  # one byte of it is sent
RESET = object()
# What a peer sends before its end. Only the last of several urgent bytes is left out, tcp(7).
STREAMS: dict[str, list[Any]] = {
    "in the middle": [b"abc", URGENT, b"def", b"ghi"],
    "first": [URGENT, b"abc"],
    "last": [b"abc", URGENT],
    "alone": [URGENT],
    "several": [b"abc", URGENT, b"def", URGENT, b"ghi", URGENT, b"jkl"],
    "two together": [b"abc", URGENT, URGENT, b"def"],
    "much": [bytes(300_000), URGENT, b"x" * 300_000],
    "before a reset": [b"abc", URGENT, b"def", RESET],
}


class _Counted(Pump):
    steps = 0

    def _step(self) -> None:
        self.steps += 1
        super()._step()


class Moving:
    """A pump from a stream to a sink of the kind `name`, counting its wake-ups."""

    def __init__(
        self, loop: Loop, stack: contextlib.ExitStack, path: Path, source: str, name: str
    ) -> None:
        self.loop = loop
        made, self._sink = kit.source(source, stack, path), kit.sink(name, stack, path)
        self.peer = stack.enter_context(socket.socket(fileno=made.far.descriptor))
        made.far.descriptor = -1
        self.ended = False
        self.error: SockkitError | None = None
        self.pump = _Counted(
            loop,
            made.end,
            self._sink.end,
            None,
            None,
            on_progress=lambda: None,
            on_end=self._end,
            on_fail=self._end,
        )
        stack.callback(self.pump.close)
        self._gathering = Gathering(self._sink.far)
        self.pump.start()

    @property
    def steps(self) -> int:
        return self.pump.steps

    def _end(self, error: SockkitError | None = None) -> None:
        self.error, self.ended = error, True

    def send(self, piece: Any) -> bytes:
        """Send `piece` and wait until it is moved; what should come of it."""
        if piece is URGENT:
            self.peer.send(b"!", socket.MSG_OOB)
            return b""
        before = self.pump.bytes_written
        self.peer.sendall(piece)
        run_until(self.loop, lambda: self.pump.bytes_written >= before + len(piece))
        return bytes(piece)

    def result(self) -> bytes:
        run_until(self.loop, lambda: self.ended)
        self._sink.release()
        return self._gathering.result()


KINDS = pytest.mark.parametrize(
    ("source", "sink"), [("tcp", "pipe"), ("tcp", "file"), ("tcp", "tcp"), ("unix", "pipe")]
)


@pytest.mark.parametrize("stream", STREAMS)
@KINDS
def test_what_is_not_urgent_arrives_in_order(
    source: str, sink: str, stream: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """All that was sent at once, which is what splice(2) stops in."""
    moving = Moving(loop, stack, tmp_path, source, sink)
    pieces = STREAMS[stream]

    def send() -> None:
        for piece in pieces:
            if piece is URGENT:
                moving.peer.send(b"!", socket.MSG_OOB)
            elif piece is RESET:
                reset(moving.peer)
            else:
                moving.peer.sendall(piece)
        if RESET not in pieces:
            moving.peer.shutdown(socket.SHUT_WR)

    sending = threading.Thread(target=send)
    sending.start()
    got = moving.result()
    sending.join()
    assert got.replace(b"!", b"") == b"".join(each for each in pieces if isinstance(each, bytes))
    assert got.count(b"!") < max(pieces.count(URGENT), 1)
    reset_seen = RESET in pieces and source == "tcp"
    assert type(moving.error) is (ReceiveError if reset_seen else type(None))
    assert moving.pump.bytes_read == moving.pump.bytes_written == len(got)


@KINDS
def test_nothing_turns_while_it_waits(
    source: str, sink: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """Neither after an urgent byte that is alone, nor after what follows it."""
    moving = Moving(loop, stack, tmp_path, source, sink)
    expected = b"".join(moving.send(piece) for piece in (b"abc", URGENT, b"def", URGENT, b"ghi"))
    before = moving.steps
    kit.run_for(loop, 0.05)
    assert moving.steps - before < MAX_STEPS
    moving.peer.shutdown(socket.SHUT_WR)
    assert moving.result().replace(b"!", b"") == expected


def test_a_full_sink_leaves_the_kernel_its_lane(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made, full = kit.source("tcp", stack, tmp_path), kit.sink("pipe", stack, tmp_path)
    pump = Pump(
        loop,
        made.end,
        full.end,
        None,
        None,
        on_progress=lambda: None,
        on_end=loop.stop,
        on_fail=lambda _: loop.stop(),
    )
    stack.callback(pump.close)
    pump.start()
    data = bytes(32_000_000)  # a pipe of 1 MiB holds more where it holds parts of packets
    feeding = kit.Feeding(made.far, data)
    run_until(loop, lambda: pump.blocked)
    kit.run_for(loop, 0.02)
    gathering = Gathering(full.far)
    loop.run()
    full.release()
    feeding.join()
    assert gathering.result() == data
    assert pump.lane.name == "splice"
