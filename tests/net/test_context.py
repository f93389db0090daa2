"""Tests of sockkit.net.context."""

from __future__ import annotations

from sockkit.net.context import Context
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import loop as loop


def test_a_worker_has_a_loop_of_its_own(loop: Loop) -> None:
    context = kit.context(loop, environment={"HOME": "/home/alex"})
    with Loop() as other:
        worker: Context = context._replace(loop=other)
        assert (worker.loop, context.loop) == (other, loop)
        assert worker.environment is context.environment
