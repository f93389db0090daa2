"""Tracks how many of the bytes written to a peer it has acknowledged."""

from __future__ import annotations

from sockkit.net.ends.end import End

# After so long without any acknowledgement we give up on a peer. A peer that reads a steady 20 KB/s
# acknowledges only once in 7 s, because its system waits until much of the buffer is free.
MAX_STALL_SECONDS = 10.0


class Progress:
    """Polls for acknowledgements, as the system does not report them.

    `began` is the time when the connection began. `acknowledged_at` is the time when `check` last
    found that the peer had acknowledged more.
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
