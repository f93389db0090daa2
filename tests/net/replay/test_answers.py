"""Standard output of a replay."""

from __future__ import annotations

import fcntl
import os

from sockkit.errors import Differs
from sockkit.events import Event
from sockkit.net.loop import Loop
from sockkit.net.replay.answers import Answers
from tests.net import kit
from tests.net.replay.kit import beside, shown

loop = kit.loop


def test_a_difference_is_written_to_its_end(loop: Loop) -> None:
    """Although the reader is slow."""
    events: list[Event] = []
    told: list[str] = []
    got: list[bytes] = []
    with shown(loop, events) as (context, out):
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
        answers = Answers(context)
        answers.on_room = lambda: told.append("room")
        error = Differs("it differs")
        error.dumps = "dump\n" * 10_000

        def read() -> None:
            while sum(map(len, got)) < 50_000:
                got.append(os.read(out, 65536))

        with beside(read):
            answers.show(error)
            assert answers.size
            answers.drain()
        answers.drain()
        answers.stop()
    assert b"".join(got) == b"dump\n" * 10_000
    assert told == []  # nobody is resumed any more
