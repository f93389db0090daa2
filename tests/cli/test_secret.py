from __future__ import annotations

import os
import signal

import pytest

from sockkit.cli.secret import ask_secret
from tests.cli import Tty


def state() -> object:
    """What the question must leave as it was."""
    return os.listdir("/proc/self/fd"), signal.getsignal(signal.SIGINT)


def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tty, before = Tty(monkeypatch), state()
    assert (ask_secret("What? "), tty.asked) == ("h\udcff", ["What? "])
    assert state() == before


@pytest.mark.parametrize("tty", [{"there": False}, {"ours": False}])
def test_nobody_is_asked_who_could_not_answer(
    tty: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job in the background would be stopped by the question."""
    asked, before = Tty(monkeypatch, **tty).asked, state()
    assert (ask_secret("What? "), asked) == (None, [])
    assert state() == before


def test_a_person_need_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tty, before = Tty(monkeypatch, answer=None), state()
    assert (ask_secret("What? "), tty.asked) == (None, ["What? "])
    assert state() == before
