"""Reads a terminal without line editing, as a job of a shell must."""

from __future__ import annotations

import signal

from sockkit.net.ends.stdio import Input
from sockkit.net.loop import Loop, Timer
from sockkit.term.foreground import FOREGROUND_CHECK_SECONDS, in_background


class TerminalInput(Input):
    """A terminal as standard input. In the background it is not read, as reading would stop the
    program, tty(4).
    """

    def __init__(self, descriptor: int, loop: Loop) -> None:
        super().__init__(loop, descriptor)
        self._timer: Timer | None = None
        signal.signal(signal.SIGCONT, lambda *_: loop.call_soon(self._look))
        self._look()

    def read_into(self, buffer: memoryview, /) -> int:
        if in_background(self.descriptor):
            raise BlockingIOError
        return super().read_into(buffer)

    def _look(self) -> None:
        if self._timer:
            self._timer.cancel()
        away = in_background(self.descriptor)
        self._loop.hold(self.descriptor, away)
        if away:
            self._timer = self._loop.later(FOREGROUND_CHECK_SECONDS, self._look)
