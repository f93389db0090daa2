"""What a peer has acknowledged of the bytes written to it."""

from __future__ import annotations

from sockkit.net.ends.end import End

# Without any acknowledgement a peer is given up. One that steadily reads 20 KB/s acknowledges only
# once in 7 s: its system waits until much of the buffer is free.
MAX_STALL_SECONDS = 10.0


class Progress:
    """Tracks acknowledgements by polling: the system does not report them.

    `began` is when the connection did. `acknowledged_at` is when `check` last found more bytes
    acknowledged of those that waited.
    """

    __slots__ = ("_acknowledged", "_end", "_waited", "acknowledged_at", "began")

    def __init__(self, end: End, now: float) -> None:
        self._end = end
        self._acknowledged = self._waited = 0
        self.began = self.acknowledged_at = now

    def check(self, written: int, now: float) -> int:
        """Ask the system. Returns how many of the bytes `written` so far are not acknowledged."""
        queued = self._end.queued()
        acknowledged = written - queued
        if self._waited and acknowledged > self._acknowledged:
            self.acknowledged_at = now
        self._acknowledged, self._waited = acknowledged, queued
        return self._end.undelivered(queued)
