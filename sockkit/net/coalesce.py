"""Reading a sender of tiny pieces less often: a receive of one byte costs what one of many costs.

Who sends tiny pieces one after the other, and is not answered in between, is read once in PAUSE.
Who is answered may be waiting for that before it sends more. So it is tried: if more is there
after the pause than a piece, it does not wait, and is read so from then on. If not, it has been
held up for a few pauses, and will not be again for a while.
"""

from __future__ import annotations

PAUSE = 0.001  # seconds in which pieces gather; with what a turn of the loop takes it is under 2 ms
TINY = 4096  # bytes: a larger receive is worth its cost
SOON = 0.005  # seconds: a receive that comes later does not belong to the row before it
ROW = 16  # tiny receives in a row before the first pause
MORE = 2  # times what they were on average: then they have gathered
TRIES = 4  # pauses in a row without that, and it is left
PATIENCE = 2.0  # seconds before it is tried again


class Coalescer:
    """For one source."""

    __slots__ = ("_at", "_bytes", "_not_before", "_row", "_sent", "_vain")

    def __init__(self) -> None:
        self._row = self._bytes = self._vain = 0
        self._at = self._not_before = 0.0
        self._sent: int | None = 0

    def due(self, size: int, now: float, sent: int | None = None) -> bool:
        """Whether to read on only after PAUSE; to be asked after each receive.

        `size` is how many bytes it gave, `now` the loop's time, and `sent` how many bytes the
        peer has been sent in all, None where that is not known.
        """
        soon, self._at = now - self._at < SOON, now
        answered, self._sent = sent is None or sent != self._sent, sent
        if not (soon and 0 < size < TINY) or (answered and now < self._not_before):
            self._row = 0
            return False
        if self._row < ROW:
            self._bytes = size + (self._bytes if self._row else 0)
            self._vain = 0
            self._row += 1
        elif answered and size * ROW <= MORE * self._bytes:
            self._vain += 1
            if self._vain == TRIES:
                self._not_before = now + PATIENCE
                self._row = 0
        else:
            self._vain = 0
        return self._row == ROW
