"""A token bucket: a rate limit that allows a burst."""

from __future__ import annotations

from collections.abc import Sequence

BURST_SECONDS = 5.0  # the capacity is the tokens of this time
CHARACTERS_PER_TOKEN = 1024  # of a long line


class TokenBucket:
    """Fills at `rate` tokens a second; 0 means no limit. A line costs one token, a long line more.
    A new bucket is full. `now` is in seconds of any one clock.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._capacity = rate, max(rate * BURST_SECONDS, 1.0)
        self._tokens, self._at = self._capacity, now

    def wait(self, now: float, tokens: int = 1) -> float:
        """Seconds until the bucket has `tokens`; with 0, until it is no longer in debt."""
        if not self._rate:
            return 0.0
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._capacity)
        self._at = now
        lacking = tokens - self._tokens
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def spend(self, size: int) -> None:
        """Take the tokens of a line with `size` characters, in debt if need be."""
        self._tokens -= max(size / CHARACTERS_PER_TOKEN, 1.0)

    def spend_lines(self, sizes: Sequence[int], now: float) -> int:
        """Take the tokens of lines with these sizes, until there is none for the next line.

        Returns how many lines that was.
        """
        if not self._rate:
            return len(sizes)
        count = 0
        for size in sizes:
            if self.wait(now):
                break
            self.spend(size)
            count += 1
        return count

    def charge(self, size: int) -> None:
        """Take the tokens of `size` bytes that were not a line."""
        self._tokens -= size / CHARACTERS_PER_TOKEN
