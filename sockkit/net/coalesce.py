"""Coalescing: we read a peer that sends tiny pieces less often.

Receiving one byte costs as much as receiving many. So while a peer sends a burst of tiny pieces, we
read it once in PAUSE_SECONDS, and one receive returns all the pieces of that time.

If we answer the peer, it may wait for each answer before it sends more, and a pause would only slow
it down. So we try a few pauses: as long as several pieces have arrived after a pause, we go on.
After MAX_VAIN_PAUSES pauses that gathered nothing, we try no more for RETRY_SECONDS.
"""

from __future__ import annotations

PAUSE_SECONDS = 0.001  # of one pause; together with a turn of the loop it stays under 2 ms
TINY_BYTES = 4096  # a receive of so many bytes or more is not tiny
MAX_GAP_SECONDS = 0.005  # between two receives of one burst
BURST_RECEIVES = 16  # tiny receives in a row before the first pause
GATHERED_RATIO = 2  # a receive of so many times the burst's average means that pieces gathered
MAX_VAIN_PAUSES = 4  # pauses in a row in which nothing gathered
RETRY_SECONDS = 2.0  # before pauses are tried again


class Coalescer:
    """Decides for one source when to pause reading."""

    __slots__ = (
        "_burst",
        "_burst_bytes",
        "_bytes_sent",
        "_received_at",
        "_retry_at",
        "_vain_pauses",
    )

    def __init__(self) -> None:
        self._burst = self._burst_bytes = self._vain_pauses = 0
        self._received_at = self._retry_at = 0.0
        self._bytes_sent: int | None = 0

    def should_pause(self, size: int, now: float, bytes_sent: int | None = None) -> bool:
        """Whether to wait PAUSE_SECONDS before the next receive. Call it after each receive.

        `size` is how many bytes were received, `now` the loop's time, and `bytes_sent` how many
        bytes have been sent to the peer in all. None means unknown, and counts as answered.
        """
        in_burst, self._received_at = now - self._received_at < MAX_GAP_SECONDS, now
        answered, self._bytes_sent = (
            bytes_sent is None or bytes_sent != self._bytes_sent,
            bytes_sent,
        )
        if not (in_burst and 0 < size < TINY_BYTES) or (answered and now < self._retry_at):
            self._burst = 0
            return False
        if self._burst < BURST_RECEIVES:
            self._burst_bytes = size + (self._burst_bytes if self._burst else 0)
            self._vain_pauses = 0
            self._burst += 1
        elif answered and size * BURST_RECEIVES <= GATHERED_RATIO * self._burst_bytes:
            self._vain_pauses += 1
            if self._vain_pauses == MAX_VAIN_PAUSES:
                self._retry_at = now + RETRY_SECONDS
                self._burst = 0
        else:
            self._vain_pauses = 0
        return self._burst == BURST_RECEIVES
