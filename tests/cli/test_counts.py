from __future__ import annotations

import pytest

from sockkit.cli import counts as module
from sockkit.cli.counts import Counts
from sockkit.core import limiter
from sockkit.net.loop import Loop


def test_counts_come_in_time_and_the_last_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "FIRST_COUNT", 0.01)
    lines: list[str] = []
    with Loop() as loop:
        counts = Counts(loop, lambda line: (lines.append(line), loop.stop())[0])
        assert [counts.passes("reset", 1.0) for _ in range(1239)].count(True) == 5
        loop.run()
        assert lines == ["* 1,234 more: reset"]
        assert not counts.passes("reset", 1.0)
        counts.finish()
        assert lines[1:] == ["* 1 more: reset"]
        counts.finish()
        assert len(lines) == 2
    assert module.Limiter is limiter.Limiter
