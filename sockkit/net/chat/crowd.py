"""The clock for those who come to a chat room and leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sockkit.core.chat.presence import SUMMARY_SECONDS, Presence, PresenceLimiter
from sockkit.net.loop import Loop

Line = TypeVar("Line")


class CrowdClock(Generic[Line]):
    """Holds a room's lines back by the rules of `PresenceLimiter`, and says in time what was held.

    `say` takes lines to be said now, `sum_of` makes one of a text.
    """

    def __init__(
        self, loop: Loop, say: Callable[[list[Line]], None], sum_of: Callable[[str], Line]
    ) -> None:
        self._loop, self._say, self._sum_of = loop, say, sum_of
        self._crowd: PresenceLimiter[Line] = PresenceLimiter(loop.now)

    def holds(self, line: Line, presence: Presence) -> bool:
        """Whether `line` is not to be said now."""
        waits = self._crowd.holding
        held = self._crowd.holds(line, presence, self._loop.now)
        if held and not waits:
            self._loop.later(SUMMARY_SECONDS, self._sum_up)
        return held

    def _sum_up(self) -> None:
        lines, told = self._crowd.sum_up()
        if self._crowd.holding:
            lines = [self._sum_of(told)]
            self._loop.later(SUMMARY_SECONDS, self._sum_up)
        self._say(lines)
