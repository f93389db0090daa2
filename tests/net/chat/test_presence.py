from __future__ import annotations

import contextlib

import pytest

from sockkit.core.chat.presence import LINES_PER_SECOND, Presence
from sockkit.core.token_bucket import BURST_SECONDS
from sockkit.net.chat import presence as module
from sockkit.net.chat.presence import PresenceClock
from sockkit.net.loop import Loop
from tests.net import kit

loop, stack = kit.loop, kit.stack


def test_what_is_held_is_said_in_time(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUMMARY_SECONDS", 0.01)
    said: list[str] = []
    clock = PresenceClock[str](loop, said.extend, str.upper)
    calm = int(LINES_PER_SECOND * BURST_SECONDS)
    for who in range(calm):
        assert not clock.hold_back("came", Presence(who, True))
    for who in range(40):
        assert clock.hold_back(f"{who} came", Presence(calm + who, True))
    kit.run_until(loop, lambda: len(said) == 1)
    assert said == ["* 40 MORE JOINED"]
    for who in range(2):
        clock.hold_back(f"{who} left", Presence(who, False))
    kit.run_until(loop, lambda: len(said) == 3)
    assert said[1:] == ["0 left", "1 left"]
