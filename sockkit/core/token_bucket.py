"""A rate limit: how many lines somebody may send, as a token bucket."""

from __future__ import annotations

from collections.abc import Sequence

BURST_SECONDS = 5.0  # of the rate that may be used at once
CHARACTERS_PER_TOKEN = 1024  # of a line


class TokenBucket:
    """`rate` tokens a second, 0 for no limit. A line costs one, a long one more.

    `now` is in seconds of any one clock.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._capacity = rate, max(rate * BURST_SECONDS, 1.0)
        self._tokens, self._at = self._capacity, now

    def wait(self, now: float, tokens: int = 1) -> float:
        """Seconds until there are `tokens`; with 0, until what was charged is paid."""
        if not self._rate:
            return 0.0
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._capacity)
        self._at = now
        lacking = tokens - self._tokens
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def spend(self, size: int) -> None:
        """Pay for a line, of which `size` characters came."""
        self._tokens -= max(size / CHARACTERS_PER_TOKEN, 1.0)

    def spend_lines(self, sizes: Sequence[int], now: float) -> int:
        """Pay for lines of these sizes, each if there is a token for it; how many those were."""
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
        """Pay for `size` bytes that were no line."""
        self._tokens -= size / CHARACTERS_PER_TOKEN
