"""Lines on standard error, which may be a pipe that nobody reads or a terminal that is stopped.

Nothing here waits for it for long: what it does not take is kept, within a bound, then counted.
"""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING

from sockkit.core.units import show_count
from sockkit.errors import SockkitError

if TYPE_CHECKING:
    from sockkit.net.ends.stdio import Output
    from sockkit.net.loop import Loop

MOST = 64 * 1024  # bytes of lines that are kept for a standard error that takes none
PATIENCE = 0.5  # seconds at the end without any progress, after which the rest is lost


def say(line: str) -> None:
    """Write `line`, which must be safe to show, for a program that does nothing else."""
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    try:
        if sys.stderr and poll.poll(PATIENCE * 1000):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
    except OSError:
        pass  # there is nobody left to tell


class Talk:
    """Says lines to `sink`, which does not block, while the program works.

    It is used in the thread of `loop`, which writes lines that wait as soon as there is room. On
    a terminal a line does not begin within what has arrived there by `beside`.
    """

    def __init__(
        self, sink: Output, encoding: str, loop: Loop, beside: Output | None = None
    ) -> None:
        self._sink, self._encoding, self._beside, self._loop = sink, encoding, beside, loop
        # What else is written to the sink has the loop wait for the sink's own number.
        self._watched = os.dup(sink.descriptor)
        self._waiting = bytearray()
        self._dropped = 0

    def say(self, line: str) -> None:
        """Write `line`, which must be safe to show. Never blocks."""
        self._flush()
        data = f"{line}\n".encode(self._encoding, "backslashreplace")
        if self._waiting and len(self._waiting) + len(data) > MOST:
            self._dropped += 1
        else:
            self._count()
            self._waiting += data
            self._flush()

    def end_line(self) -> None:
        """End the line that has arrived, for what comes now is not of it."""
        if self._beside and self._beside.in_line:
            self._beside.in_line = False
            self.say("")

    def close(self) -> None:
        """Wait for room for what is left, as long as there is progress. No more is said."""
        self._flush()
        while self._waiting:
            began, left = time.monotonic(), len(self._waiting)
            select.select([], [self._sink.descriptor], [], PATIENCE)
            self._flush()
            if len(self._waiting) == left and time.monotonic() - began >= PATIENCE:
                break
        self._watch(False)
        os.close(self._watched)

    def _count(self) -> None:
        if self._dropped:
            lines = show_count(self._dropped, "line")
            self._waiting += f"* {lines} not shown: nobody took them\n".encode()
            self._dropped = 0

    def _flush(self) -> None:
        try:
            while self._waiting:
                self._write()
                if not self._waiting:
                    self._count()
        except BlockingIOError:
            self._watch(True)
            return
        except SockkitError:  # there is nobody left to tell
            self._waiting.clear()
            self._dropped = 0
        self._watch(False)

    def _write(self) -> None:
        """Write whole lines, of a size that a pipe takes at once or not at all, pipe(7)."""
        most = select.PIPE_BUF - 1
        piece = bytes(self._waiting[: self._waiting.rfind(b"\n", 0, most) + 1 or most])
        begin = b"\n" if self._beside and self._beside.in_line else b""
        size = self._sink.write(begin + piece)
        if self._beside:
            self._beside.in_line = False
        del self._waiting[: size - len(begin)]

    def _watch(self, wanted: bool) -> None:
        self._loop.when_writable(self._watched, self._flush if wanted else None)
