"""What is done before a program replaces this process; tests/e2e/test_probe.py does replace it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from sockkit.cli.replace import replace
from sockkit.errors import CommandError


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    numbers = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTTOU)
    before = [signal.getsignal(number) for number in numbers]
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def replaced(monkeypatch: pytest.MonkeyPatch, error: OSError | None = None) -> list[Any]:
    """What execvpe(3) is called with, and the state of the signals then."""
    found: list[Any] = []

    def execvpe(*call: Any) -> None:
        numbers = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTTOU)
        found.append((*call, [signal.getsignal(number) for number in numbers],
                      signal.pthread_sigmask(signal.SIG_BLOCK, [])))  # fmt: skip
        raise error or OSError(errno.ENOENT, "none")

    monkeypatch.setattr(os, "execvpe", execvpe)
    with pytest.raises(CommandError):
        replace(("prog", "-x"), _signal.SIG_IGN)
    return found


def test_signals_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKKIT_PASSWORD", "secret")
    monkeypatch.setenv("KEPT", "yes")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    ((name, words, environment, signals, blocked),) = replaced(monkeypatch)
    assert (name, words) == ("prog", ["prog", "-x"])
    assert environment["KEPT"] == "yes"
    assert "SOCKKIT_PASSWORD" not in environment
    assert signals == [signal.SIG_DFL] * 3 + [signal.SIG_IGN]
    assert blocked == set()
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN  # we still have to say so


@pytest.mark.parametrize(
    ("code", "status"),
    [(errno.ENOENT, 127), (errno.ENOTDIR, 127), (errno.EACCES, 126), (errno.ENOEXEC, 126)],
)
def test_what_cannot_be_run(code: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def execvpe(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "execvpe", execvpe)
    with pytest.raises(CommandError, match="could not run prog: ") as raised:
        replace(("prog",), _signal.SIG_DFL)
    assert raised.value.status == status
