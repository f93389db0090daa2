"""The signals that ask for an end, and how to die of one.

A handler notes the signal and wakes the loop, and does nothing else: it takes no lock, prints
nothing and raises nothing, so that it may interrupt anything, another handler too.
"""

from __future__ import annotations

# Part of the interpreter: to import `signal`, with its enums, takes a millisecond.
import _signal as signal  # type: ignore[import-not-found]
import os
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, Self

from sockkit.errors import Stopped

if TYPE_CHECKING:
    from sockkit.net.loop import Loop

STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
MAX_CLEANUP_SECONDS = 1.5  # after the first signal
_PR_SET_DUMPABLE = 4  # prctl(2)


class Stopping:
    """Raises Stopped in `loop` for the first signal; `number` is that signal, or 0.

    From the beginning of its `with` block signals are handled, except those that are ignored,
    as under nohup. Further signals change nothing. A block that has not ended MAX_CLEANUP_SECONDS
    after the first is cut short: the process calls `on_stuck` and dies of the signal.
    """

    def __init__(self, loop: Loop) -> None:
        self.number = 0
        self.on_stuck: Callable[[], None] = lambda: None
        self._loop = loop

    def __enter__(self) -> Self:
        # Python runs a handler between two of its instructions. For a signal that comes just
        # before the loop's wait, or to another thread, this is what ends the wait.
        signal.set_wakeup_fd(self._loop.alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGALRM, self._stuck)
        # It would stop us when we write to a terminal from the background, stty(1) tostop.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        for number in STOPS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._came)
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(-1)
        if self.number:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def stop(self, number: int) -> None:
        """Behave as if signal `number` had come. Safe in any thread and any handler."""
        if not self.number:
            self.number = number
            signal.setitimer(signal.ITIMER_REAL, MAX_CLEANUP_SECONDS)
            self._loop.call_soon(self._end)

    def _came(self, number: int, _: FrameType | None) -> None:
        self.stop(number)

    def _end(self) -> None:
        raise Stopped(self.number)

    def _stuck(self, _number: int, _: FrameType | None) -> None:
        self.on_stuck()
        die(self.number or signal.SIGALRM)


def die(number: int) -> NoReturn:
    """End this process by signal `number`, without a core dump.

    Where the signal does not kill, as process 1 of a container, the status is 128 + `number`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # what comes now must find no old handler
    if number == signal.SIGQUIT:
        _leave_no_core()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    signal.raise_signal(number)
    os._exit(128 + number)


def _leave_no_core() -> None:
    """By its size, core(5), and where a program takes cores, which ignores that, by prctl(2)."""
    try:
        import ctypes
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # a system without one of them
