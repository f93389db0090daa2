"""How much one member of a chat room may say."""

from __future__ import annotations

BURST = 5.0  # seconds of an allowance that may be used at once
SHARE = 1024  # characters of a line that count as one line


class Allowance:
    """`rate` lines a second, 0 for no limit; a line of several SHARE counts as so many.

    `now` is in seconds of any one clock.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most = rate, max(rate * BURST, 1.0)
        self._left, self._at = self._most, now

    def wait(self, now: float, lines: int = 1) -> float:
        """Seconds until `lines` may be said; with 0, until what was charged is paid."""
        if not self._rate:
            return 0.0
        self._left = min(self._left + (now - self._at) * self._rate, self._most)
        self._at = now
        lacking = lines - self._left
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def spend(self, size: int) -> None:
        """Count what came of a line, `size` characters."""
        self._left -= max(size / SHARE, 1.0)

    def charge(self, size: int) -> None:
        """Count `size` bytes that were no line."""
        self._left -= size / SHARE
