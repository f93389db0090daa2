"""With jobs of a real shell: tests/e2e/test_jobs.py."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator

import pytest

from sockkit.term import modes as module
from sockkit.term.modes import Modes

pytestmark = pytest.mark.process


@pytest.fixture
def terminal() -> Iterator[int]:
    person, child = os.openpty()
    yield child
    os.close(person)
    os.close(child)


@pytest.mark.parametrize("away", [False, True])
def test_settings_are_restored_unless_the_terminal_is_another_jobs(
    away: bool, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "in_background", lambda _: away)
    before = termios.tcgetattr(terminal)
    modes = Modes(terminal)
    modes.save()
    tty.setraw(terminal)
    raw = termios.tcgetattr(terminal)
    assert raw != before
    modes.restore()
    assert termios.tcgetattr(terminal) == (raw if away else before)


def test_what_was_not_saved_is_left_alone(terminal: int) -> None:
    tty.setraw(terminal)
    raw = termios.tcgetattr(terminal)
    Modes(terminal).restore()
    assert termios.tcgetattr(terminal) == raw


def test_a_terminal_that_has_gone_is_no_matter() -> None:
    person, child = os.openpty()
    modes = Modes(child)
    modes.save()
    os.close(child)
    os.close(person)
    modes.restore()
    with pytest.raises(termios.error):
        modes.save()
