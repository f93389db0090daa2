"""How much is said in one turn of the loop, before everything else has its turn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

MAX_TURN_CHARACTERS = 128 * 1024  # that lines may become, of all members together
MAX_MEMBER_CHARACTERS = MAX_TURN_CHARACTERS // 16  # of each, however much the others say
LINE_CHARACTERS = 48  # as many as take the time of a line
COMMAND_CHARACTERS = 2048  # the same, of a command
TURN_PAUSE = 0.001  # seconds until a member's next turn


class Turn:
    """What the members have said at one time, in seconds of any one clock."""

    def __init__(self) -> None:
        self._at, self._characters = 0.0, 0

    def capacity(self, now: float) -> int:
        """Characters that one member may say now. The line that goes over it is said, too."""
        if now != self._at:
            self._at, self._characters = now, 0
        return max(MAX_TURN_CHARACTERS - self._characters, MAX_MEMBER_CHARACTERS)

    def spend(self, characters: int) -> None:
        self._characters += characters


def fitting(sizes: Sequence[int], capacity: int) -> int:
    """How many lines of these sizes `capacity` is for."""
    if sum(sizes) + len(sizes) * LINE_CHARACTERS <= capacity:
        return len(sizes)
    costs = accumulate(size + LINE_CHARACTERS for size in sizes)
    return bisect_left(list(costs), capacity) + 1
