"""The signals that end a command, and how to die of one.

A handler only records the signal and wakes the loop. It acquires no lock, prints nothing and raises
nothing, so it may interrupt anything, even another handler.
"""

from __future__ import annotations

# Part of the interpreter: importing `signal`, with its enums, takes a millisecond.
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

    Signals are handled from the beginning of its `with` block on, except ignored ones, as under
    nohup. Further signals change nothing. If the block has not ended MAX_CLEANUP_SECONDS after the
    first signal, the process calls `on_stuck` and dies of the signal.
    """

    def __init__(self, loop: Loop) -> None:
        self.number = 0
        self.on_stuck: Callable[[], None] = lambda: None
        self._loop = loop

    def __enter__(self) -> Self:
        # Python runs a handler between two of its instructions. If the signal comes just before the
        # loop waits, or to another thread, only this wake-up ends the wait.
        signal.set_wakeup_fd(self._loop.alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGALRM, self._stuck)
        # With `stty tostop` it would stop us when we write to the terminal from the background.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        # If our parent ignores it, we would lose the exit statuses of our children, waitpid(2).
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in STOPS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._came)
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(-1)
        if self.number:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def release(self) -> None:
        """Let signals kill from now on: nothing is left to clean up. `number` will not change."""
        for number in STOPS:
            if signal.getsignal(number) == self._came:
                signal.signal(number, signal.SIG_DFL)

    def stop(self, number: int) -> None:
        """Act as if signal `number` had arrived. Safe in any thread and any handler."""
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

    If the signal does not kill it, as it is process 1 of a container, it exits with 128 + `number`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # the old handlers must not run any more
    if number == signal.SIGQUIT:
        _prevent_core_dump()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    signal.raise_signal(number)
    os._exit(128 + number)


def _prevent_core_dump() -> None:
    """Set a core size of 0, core(5), and use prctl(2), as a program that gets cores ignores the
    size.
    """
    try:
        import ctypes
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # the system does not have one of them
