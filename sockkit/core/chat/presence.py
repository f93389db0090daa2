"""Who joins a chat room and who departs: shown at a bounded rate, however many they are."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from sockkit.core.token_bucket import TokenBucket
from sockkit.values import Value

LINES_PER_SECOND = 5.0  # and five seconds' worth at once; more are summed up
SUMMARY_SECONDS = 1.0  # that one summary covers

Line = TypeVar("Line")


class Presence(Value):
    """`member` has joined the room, or has departed."""

    member: Hashable
    joined: bool


class PresenceLimiter(Generic[Line]):
    """Holds lines about presence back while there are too many, for `sum_up`.

    `now` is in seconds of any one clock.
    """

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(LINES_PER_SECOND, now)
        self._held: dict[Presence, Line] = {}  # in order
        self.holding = False  # until SUMMARY_SECONDS have passed and `sum_up` is called

    def holds(self, line: Line, presence: Presence, now: float) -> bool:
        """Whether `line`, which tells of `presence`, is held back."""
        if not self.holding and not self._bucket.wait(now):
            self._bucket.spend(0)
            return False
        self.holding = True
        # Neither line is shown of a member who joins and departs while lines are held.
        if presence.joined or not self._held.pop(Presence(presence.member, True), None):
            self._held[presence] = line
        return True

    def sum_up(self) -> tuple[list[Line], str]:
        """The lines held back if they are few, otherwise one line in their place.

        After many lines it goes on holding lines back: see `holding`.
        """
        held, self._held = self._held, {}
        self.holding = len(held) > LINES_PER_SECOND
        if not self.holding:
            return [*held.values()], ""
        joined = sum(presence.joined for presence in held)
        counts = ((joined, "joined"), (len(held) - joined, "left"))
        return [], "* " + ", ".join(f"{count:,} more {what}" for count, what in counts if count)
