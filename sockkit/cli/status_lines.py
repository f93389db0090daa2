"""Lines on standard error, which may be a pipe that nobody reads or a terminal that is stopped.

Writing never blocks for long. Lines that cannot be written are kept, up to a bound; further lines
are counted. On a terminal one more line may be drawn below them, and redrawn in place.
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

MAX_WAITING_BYTES = 64 * 1024  # kept while standard error cannot be written
_ERASE = b"\r\x1b[K"
MAX_STALL_SECONDS = 0.5  # without progress at the end; then the remaining lines are lost


def write_stderr(line: str) -> None:
    """Write `line`, which must be safe to show. Blocks for MAX_STALL_SECONDS at most."""
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    try:
        if sys.stderr and poll.poll(MAX_STALL_SECONDS * 1000):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
    except OSError:
        pass  # nobody reads it


class StatusLines:
    """Writes lines to `sink`, which does not block, while the program runs.

    Use it in the thread of `loop`, which writes waiting lines once the sink is writable. `beside`
    is standard output if both are one terminal: an unfinished line there is ended first.
    """

    def __init__(
        self, sink: Output, encoding: str, loop: Loop, beside: Output | None = None
    ) -> None:
        self._sink, self._encoding, self._beside, self._loop = sink, encoding, beside, loop
        # A copy, as the loop may watch the sink's descriptor for another writer.
        self._watched = os.dup(sink.descriptor)
        self._waiting = bytearray()
        self._dropped = 0
        self._drawn = self._paused = False
        if beside and beside is not sink:
            beside.before_write = self._give_way

    def say(self, line: str) -> None:
        """Write `line`, which must be safe to show. Never blocks."""
        self.erase()
        data = f"{line}\n".encode(self._encoding, "backslashreplace")
        if self._waiting and len(self._waiting) + len(data) > MAX_WAITING_BYTES:
            self._dropped += 1
        else:
            self._count()
            self._waiting += data
            self._flush()

    def draw(self, line: str) -> None:
        """Draw `line` over the one drawn before, unless other lines are waiting.

        It must fit the terminal's width. The next write erases it. An unfinished line of standard
        output is ended first, if nothing was added to it since the last call.
        """
        self._flush()
        if self._beside and self._beside.in_line and not self._paused:
            self._paused = True
        elif not self._waiting:
            self._waiting += b"\r" + line.encode(self._encoding, "replace") + b"\x1b[K"
            self._drawn = True
            self._flush()

    def erase(self) -> None:
        """Erase the drawn line."""
        if self._drawn:
            self._waiting += _ERASE
            self._drawn = False
        self._flush()

    def _give_way(self) -> None:
        """Erase the drawn line, as standard output is about to be written."""
        self._paused = False
        if self._drawn:
            self.erase()

    def end_line(self) -> None:
        """End an unfinished line of standard output, before an error is shown."""
        if self._beside and self._beside.in_line:
            self._beside.in_line = False
            self.say("")

    def close(self) -> None:
        """Write the waiting lines, while there is progress. Say nothing after that."""
        self.erase()
        while self._waiting:
            began, remaining = time.monotonic(), len(self._waiting)
            select.select([], [self._sink.descriptor], [], MAX_STALL_SECONDS)
            self._flush()
            if len(self._waiting) == remaining and time.monotonic() - began >= MAX_STALL_SECONDS:
                break
        self._watch(False)
        os.close(self._watched)

    def _count(self) -> None:
        if self._dropped:
            lines = show_count(self._dropped, "line")
            self._waiting += f"* {lines} not shown: stderr was not read\n".encode()
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
        except SockkitError:  # nobody reads it
            self._waiting.clear()
            self._dropped = 0
        self._watch(False)

    def _write(self) -> None:
        """Write whole lines, few enough that a pipe accepts all of them or none, pipe(7)."""
        limit = select.PIPE_BUF - 1
        piece = bytes(self._waiting[: self._waiting.rfind(b"\n", 0, limit) + 1 or limit])
        begin = b"\n" if self._beside and self._beside.in_line else b""
        size = self._sink.write(begin + piece)
        if self._beside:
            self._beside.in_line = False
        del self._waiting[: size - len(begin)]

    def _watch(self, wanted: bool) -> None:
        self._loop.when_writable(self._watched, self._flush if wanted else None)
