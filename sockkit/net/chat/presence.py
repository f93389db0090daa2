"""Times the lines about members who join and leave a chat room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sockkit.core.chat.presence import SUMMARY_SECONDS, Presence, PresenceLimiter
from sockkit.net.loop import Loop

Line = TypeVar("Line")


class PresenceClock(Generic[Line]):
    """Holds lines back by the rules of `PresenceLimiter`. Later it sends them, or a summary.

    `say` is called with the lines to send now. `sum_of` makes a line from the text of a summary.
    """

    def __init__(
        self, loop: Loop, say: Callable[[list[Line]], None], sum_of: Callable[[str], Line]
    ) -> None:
        self._loop, self._say, self._sum_of = loop, say, sum_of
        self._presence: PresenceLimiter[Line] = PresenceLimiter(loop.now)

    def hold_back(self, line: Line, presence: Presence) -> bool:
        """Hold `line` back if there are too many. Returns whether it was held back."""
        waits = self._presence.holding
        held = self._presence.holds(line, presence, self._loop.now)
        if held and not waits:
            self._loop.later(SUMMARY_SECONDS, self._sum_up)
        return held

    def _sum_up(self) -> None:
        lines, told = self._presence.sum_up()
        if self._presence.holding:
            lines = [self._sum_of(told)]
            self._loop.later(SUMMARY_SECONDS, self._sum_up)
        self._say(lines)
