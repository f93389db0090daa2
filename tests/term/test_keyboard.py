"""With jobs of a real shell: tests/e2e/test_jobs.py."""

from __future__ import annotations

import os
import termios

import pytest

from sockkit.term import keyboard


@pytest.mark.process
@pytest.mark.parametrize("away", [False, True])
def test_the_settings_of_another_jobs_terminal_are_left_alone(
    away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, child = os.openpty()
    try:
        before = termios.tcgetattr(child)
        monkeypatch.setattr(keyboard, "in_background", lambda _: away)
        with open(child, closefd=False) as stream, keyboard.keyboard(stream).raw_mode():
            raw = termios.tcgetattr(child)
            assert raw != before
        assert termios.tcgetattr(child) == (raw if away else before)
    finally:
        os.close(person)
        os.close(child)
