"""Tests of sockkit.net.delivery."""

from __future__ import annotations

import contextlib
import os

from sockkit.net.delivery import Progress
from tests.net import kit
from tests.net.ends.test_socket_end import fill, pour
from tests.support import eventually

loop, stack = kit.loop, kit.stack


def test_progress_is_what_the_peer_takes(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    progress = Progress(made.end, 0.0)
    assert progress.look(0, 1.0) == 0
    size = fill(made.end)
    progress.look(size, 2.0)
    stuck = progress.look(size, 3.0)
    assert stuck > 0
    assert progress.moved_at < 3.0
    while progress.look(size, 4.0) == stuck:
        os.read(made.far.descriptor, 4096)
    assert progress.moved_at == 4.0


def test_what_is_acknowledged_at_once_is_no_progress(stack: contextlib.ExitStack) -> None:
    """It never waited: the time it was sent says as much."""
    made = kit.stream_end("tcp", stack)
    progress = Progress(made.end, 0.0)
    pour(made.end, b"line")
    eventually(lambda: made.end.undelivered() == 0)
    assert progress.look(4, 1.0) == 0
    assert progress.moved_at == 0.0
