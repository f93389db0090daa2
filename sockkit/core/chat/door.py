"""Who waits to be let into a chat room, and by which password."""

from __future__ import annotations

from collections import Counter

from sockkit.core.chat.lines import CROWDED, LOCKED
from sockkit.core.chat.password import PasswordCheck, whole_address

MAX_ATTEMPTS = 3  # at the password
MAX_WAITING = 64  # newcomers of one address who have not said the password yet
MAX_GUESSING = 3  # the same, while that address waits after a wrong one
PASSWORD_SECONDS = 60.0  # until who has not said it is let go


class Door:
    """Counts by address who is not admitted. Without a password everybody may come in at once."""

    def __init__(self, password: str | None, encoding: str) -> None:
        self._check = PasswordCheck(password, encoding) if password else None
        self._waiting: Counter[str] = Counter()

    @property
    def locked(self) -> bool:
        return bool(self._check)

    @property
    def waiting(self) -> int:
        """How many are not admitted."""
        return self._waiting.total()

    def address(self, peer: str) -> str:
        """Whom a wrong password of `peer` makes wait."""
        return whole_address(peer) if self._check else ""

    def come(self, address: str, now: float) -> str:
        """What one more newcomer is told: LOCKED, CROWDED, or nothing."""
        self._waiting[address] += 1
        if not self._check:
            return ""
        most = MAX_GUESSING if self._check.wait(address, now) else MAX_WAITING
        return CROWDED if self._waiting[address] > most else LOCKED

    def go(self, address: str) -> None:
        """One from there has been admitted, or has gone."""
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]

    def wait(self, address: str, now: float) -> float:
        """Seconds until one from there may try a password."""
        return self._check.wait(address, now) if self._check else 0.0

    def opens(self, line: bytes, address: str) -> bool:
        """Whether `line` is the password."""
        return bool(self._check and self._check.opens(line, address))

    def refuse(self, address: str, now: float) -> None:
        """Let `address` wait: it has tried a wrong one."""
        if self._check:
            self._check.refuse(address, now)
