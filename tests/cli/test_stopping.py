"""Signals in this process; whole programs that end by them are in tests/e2e/test_signals.py."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.cli.stopping import STOPS, Stopping
from sockkit.errors import Stopped
from sockkit.net.loop import Loop
from tests.net import kit
from tests.support import WAIT, eventually

loop = kit.loop


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    numbers = (*STOPS, signal.SIGALRM, signal.SIGTTOU, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_the_first_signal_counts_whenever_it_comes(loop: Loop) -> None:
    with Stopping(loop) as stopping:
        signal.raise_signal(signal.SIGHUP)
        for number in STOPS:
            signal.raise_signal(number)
        assert stopping.number == signal.SIGHUP
        with pytest.raises(Stopped) as stopped:
            loop.run()
        assert stopped.value.status == 129
        loop.later(0, loop.stop)
        loop.run()  # what cleans up is not disturbed again
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_end_of_our_processes_is_told_whatever_our_parent_ignored(loop: Loop) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with Stopping(loop):
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL


def test_once_it_is_released_signals_kill_again(loop: Loop) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stopping(loop) as stopping:
        stopping.release()
        handlers = [signal.getsignal(number) for number in STOPS]
    assert handlers == [signal.SIG_IGN, *[signal.SIG_DFL] * 3]


def test_one_that_is_ignored_stays_so(loop: Loop) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Stopping(loop) as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.number == 0
        stopping.stop(signal.SIGINT)  # but the key is somebody's will
        with pytest.raises(Stopped):
            loop.run()


def test_a_signal_that_does_not_interrupt_the_wait_ends_it(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that comes between the last look for signals and the wait, or to another thread."""
    main = threading.get_native_id()
    select, waits = loop._selector.select, threading.Event()
    woken: list[bool] = []

    def wait(patience: float | None) -> list[Any]:
        waits.set()
        ready = select(patience)
        woken.append(bool(ready))
        return ready

    def send() -> None:
        waits.wait(WAIT)
        try:
            eventually(lambda: sleeps(main))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    if not state(main):
        pytest.skip("the system does not tell which thread sleeps")
    monkeypatch.setattr(loop._selector, "select", wait)
    signals = {signal.SIGTERM}
    other = threading.Thread(target=send)
    with Stopping(loop):
        other.start()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # so that `other` gets it
        try:
            with pytest.raises(Stopped):
                loop.run()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            other.join()
    assert woken == [True]  # not by the next timer, which is far away


def state(thread: int) -> list[str]:
    """Of a thread of ours, and how often it was switched, proc(5); empty where nothing tells."""
    with contextlib.suppress(FileNotFoundError):
        status = Path(f"/proc/self/task/{thread}/status").read_text()
        return re.findall(r"^(?:State|.*_ctxt_switches):\s+(\S+)", status, re.MULTILINE)
    return []


def sleeps(thread: int) -> bool:
    """Whether it waits, and not for the interpreter, for which it would wake every 5 ms."""
    before = state(thread)
    time.sleep(0.05)
    return before[0] == "S" and before == state(thread)


def ended(code: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.process
@pytest.mark.parametrize("number", STOPS)
def test_dying(number: int) -> None:
    """Of the one that would leave a core it does not."""
    code = f"""
from sockkit.cli import stopping
no_core = stopping._prevent_core_dump
stopping._prevent_core_dump = lambda: (print("no core", flush=True), no_core())
stopping.die({number})
"""
    assert ended(code) == (-number, "no core\n" if number == signal.SIGQUIT else "")


@pytest.mark.process
def test_what_hangs_is_ended() -> None:
    code = """
import signal, threading
from sockkit.cli import stopping
from sockkit.net.loop import Loop
stopping.MAX_CLEANUP_SECONDS = 0.1
with Loop() as loop, stopping.Stopping(loop) as it:
    it.on_stuck = lambda: print("in order", flush=True)
    signal.raise_signal(signal.SIGTERM)
    threading.Event().wait()
"""
    assert ended(code) == (-signal.SIGTERM, "in order\n")
