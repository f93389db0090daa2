"""A real shell's jobs are in tests/e2e/test_jobs.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sockkit.cli import foreground
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_until

loop = kit.loop


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether the terminal is another job's."""
    away = [True]
    monkeypatch.setattr(foreground, "in_background", lambda _: away[-1])
    before = signal.getsignal(signal.SIGCONT)
    yield away
    signal.signal(signal.SIGCONT, before)


@pytest.mark.process
@pytest.mark.parametrize("told", [False, True], ids=["silent", "told"])
def test_the_terminal_is_read_in_the_foreground_alone(
    loop: Loop, away: list[bool], told: bool
) -> None:
    person, child = os.openpty()
    terminal = foreground.TerminalInput(child, loop)
    buffer = memoryview(bytearray(100))
    got: list[bytes] = []
    loop.when_readable(terminal.descriptor, lambda: got.append(bytes(buffer[: read()])))

    def read() -> int:
        return terminal.read_into(buffer)

    os.write(person, b"for the shell\n")
    loop.later(foreground.FOREGROUND_CHECK_SECONDS * 1.5, loop.stop)
    loop.run()
    assert got == []
    with pytest.raises(BlockingIOError):
        read()
    away.append(False)
    if told:
        signal.raise_signal(signal.SIGCONT)
    run_until(loop, lambda: bool(got))
    assert got == [b"for the shell\n"]
    loop.when_readable(terminal.descriptor, None)
    for descriptor in {person, child, terminal.descriptor}:
        os.close(descriptor)
