"""Tests of sockkit.net.delivery."""

from __future__ import annotations

from sockkit.net.delivery import Progress
from sockkit.net.ends.memory import memory_pair
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop


def test_progress_is_what_the_peer_takes(loop: Loop) -> None:
    end, peer = memory_pair(loop)
    progress = Progress(end, 0.0)
    assert progress.check(0, 1.0) == 0
    size = end.write(bytes(1_000_000))
    assert progress.check(size, 2.0) == size
    assert progress.check(size, 3.0) == size
    assert progress.acknowledged_at < 3.0
    peer.read_into(memoryview(bytearray(100)))
    assert progress.check(size, 4.0) == size - 100
    assert progress.acknowledged_at == 4.0
    assert progress.check(size, 5.0) == size - 100
    assert progress.acknowledged_at == 4.0


def test_what_is_acknowledged_at_once_is_no_progress(loop: Loop) -> None:
    """It never waited: the time it was sent says as much."""
    end, peer = memory_pair(loop)
    progress = Progress(end, 0.0)
    end.write(b"line")
    peer.read_into(memoryview(bytearray(100)))
    assert progress.check(4, 1.0) == 0
    assert progress.acknowledged_at == 0.0
