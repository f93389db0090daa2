"""How far a peer has got with what is written to it."""

from __future__ import annotations

from sockkit.net.ends.end import End

# Seconds without any acknowledgement before a peer is given up. One that reads 20 KB/s without a
# pause acknowledges once in 7 s: its system waits until much of the buffer is free.
STALL = 10.0


class Progress:
    """Whether a peer takes what is written to it.

    The system tells of no acknowledgement: it has to be asked, now and then. `moved_at` is
    when one was last seen of bytes that had waited.
    """

    def __init__(self, end: End, now: float) -> None:
        self._end = end
        self._acknowledged = self._waited = 0
        self.moved_at = now

    def look(self, written: int, now: float) -> int:
        """How many of the bytes `written` so far are not acknowledged."""
        queued = self._end.queued()
        acknowledged = written - queued
        if self._waited and acknowledged > self._acknowledged:
            self.moved_at = now
        self._acknowledged, self._waited = acknowledged, queued
        return self._end.undelivered(queued)
