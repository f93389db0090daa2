"""Who comes and who goes in a chat room, told at a bounded rate however many they are."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from sockkit.core.token_bucket import TokenBucket
from sockkit.values import Value

LINES_PER_SECOND = 5.0  # and five seconds' worth at once; beyond, they are summed up
WINDOW_SECONDS = 1.0  # that are summed up in one line

Line = TypeVar("Line")


class Move(Value):
    """`who` came into the room, or left it."""

    who: Hashable
    came: bool


class Crowd(Generic[Line]):
    """Holds lines back while there are too many of them, for `sum_up` to give.

    `now` is in seconds of any one clock.
    """

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(LINES_PER_SECOND, now)
        self._held: dict[Move, Line] = {}  # in order
        self.holding = False  # until WINDOW_SECONDS has passed and `sum_up` is called

    def holds(self, line: Line, move: Move, now: float) -> bool:
        """Whether `line`, which says that, is held back."""
        if not self.holding and not self._bucket.wait(now):
            self._bucket.spend(0)
            return False
        self.holding = True
        if move.came or not self._held.pop(Move(move.who, True), None):
            self._held[move] = line  # of who comes and goes at once nobody hears
        return True

    def sum_up(self) -> tuple[list[Line], str]:
        """The lines held back if they are few, otherwise one in their place.

        After many the next are held back, too: `holding` tells.
        """
        held, self._held = self._held, {}
        self.holding = len(held) > LINES_PER_SECOND
        if not self.holding:
            return [*held.values()], ""
        came = sum(move.came for move in held)
        told = ((came, "joined"), (len(held) - came, "left"))
        return [], "* " + ", ".join(f"{count:,} more {what}" for count, what in told if count)
