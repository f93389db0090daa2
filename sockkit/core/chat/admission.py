"""Admission to a chat room: its password, and how many newcomers may wait to type it.

After a wrong password its address must wait before the next attempt, longer each time. Other
addresses are not affected.
"""

from __future__ import annotations

from collections import Counter

from sockkit.core.chat.protocol import PASSWORD_REQUIRED, TOO_MANY_WAITING
from sockkit.errors import UsageError

MAX_PASSWORD_BYTES = 4000  # `/password ` and the password are one line
MAX_PASSWORD_ATTEMPTS = 3  # of one newcomer
PASSWORD_SECONDS = 60.0  # after which a newcomer without the password is disconnected
MAX_WAITING = 64  # newcomers of one address who have not typed the password yet
MAX_WAITING_AFTER_FAILURE = 3  # the same, while a wrong password makes the address wait
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.5, 5.0  # after a wrong password; doubled each time
FORGET_SECONDS = 60.0  # after which a wrong password does not count any more
MAX_FAILED_ADDRESSES = 1024  # that are remembered; one more replaces the oldest


def check_password(password: str, encoding: str = "utf-8") -> str:
    """`password`, if a member can type it. Raises UsageError, whose text does not contain it."""
    if not password:
        raise UsageError("the password is empty", "give one, or leave it out for an open room")
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the password is not text in your encoding", "give another") from error
    if "\n" in password or "\r" in password:
        raise UsageError("the password contains a line end", "give one that is one line")
    if len(password.encode(encoding, "backslashreplace")) > MAX_PASSWORD_BYTES:
        raise UsageError(
            f"the password is longer than {MAX_PASSWORD_BYTES} bytes", "give a shorter one"
        )
    return password


class Admission:
    """Counts by address who waits for admission. Without a password everybody is admitted."""

    def __init__(self, password: str | None, encoding: str) -> None:
        self._check = PasswordCheck(password, encoding) if password else None
        self._waiting: Counter[str] = Counter()

    @property
    def needs_password(self) -> bool:
        return bool(self._check)

    @property
    def waiting(self) -> int:
        """How many are connected and not admitted."""
        return self._waiting.total()

    def address(self, peer: str) -> str:
        """The address that a wrong password of `peer` counts against."""
        return network_of(peer) if self._check else ""

    def add(self, address: str, now: float) -> str:
        """Count one more newcomer. Returns the line to send it: PASSWORD_REQUIRED,
        TOO_MANY_WAITING, or nothing if it can be admitted at once.
        """
        self._waiting[address] += 1
        if not self._check:
            return ""
        failed = self._check.retry_delay(address, now)
        max_waiting = MAX_WAITING_AFTER_FAILURE if failed else MAX_WAITING
        return TOO_MANY_WAITING if self._waiting[address] > max_waiting else PASSWORD_REQUIRED

    def remove(self, address: str) -> None:
        """A newcomer from `address` has been admitted, or has departed."""
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]

    def retry_delay(self, address: str, now: float) -> float:
        """Seconds until `address` may try a password; 0 for at once."""
        return self._check.retry_delay(address, now) if self._check else 0.0

    def accepts(self, line: bytes, address: str) -> bool:
        """Whether `line` is the password."""
        return bool(self._check and self._check.accepts(line, address))

    def record_failure(self, address: str, now: float) -> None:
        """`address` has tried a wrong password, and must wait."""
        if self._check:
            self._check.record_failure(address, now)


class PasswordCheck:
    """Compares lines with the password, in a time that does not show how much of it is right.

    `encoding` is the members'. A character that it lacks is typed as the backslash escape that
    `chat join` sends.
    """

    def __init__(self, password: str, encoding: str) -> None:
        self._password = password.encode(encoding, "backslashreplace")
        # How many wrong passwords in a row, and when the last; the oldest first.
        self._failures: dict[str, tuple[int, float]] = {}

    def retry_delay(self, address: str, now: float) -> float:
        """Seconds until `address`, as of `network_of`, may try again; 0 for at once."""
        count, at = self._failures.get(address, (0, 0.0))
        if not count:
            return 0.0
        growing = FIRST_RETRY_SECONDS * 2.0 ** min(count - 1, 10)
        return max(0.0, at + min(MAX_RETRY_SECONDS, growing) - now)

    def accepts(self, line: bytes, address: str) -> bool:
        """Whether `line` is the password, by itself or after `/password `."""
        from hmac import compare_digest

        plain = compare_digest(line, self._password)
        commanded = compare_digest(line.removeprefix(b"/password "), self._password)
        if plain or commanded:
            self._failures.pop(address, None)
        return plain or commanded

    def record_failure(self, address: str, now: float) -> None:
        """`address` has tried a wrong password, and must wait."""
        count, at = self._failures.pop(address, (0, now))
        self._failures[address] = (count + 1 if now - at < FORGET_SECONDS else 1, now)
        if len(self._failures) > MAX_FAILED_ADDRESSES:
            del self._failures[next(iter(self._failures))]


def network_of(peer: str) -> str:
    """A peer's address without its port; of an IPv6 address the network, its first 64 bits.

    Whoever has one address of such a network can have them all, RFC 4291.
    """
    if not peer.startswith("["):
        return peer.rpartition(":")[0]
    from ipaddress import IPv6Address

    host = peer[1:].partition("]")[0].partition("%")[0]
    return IPv6Address(host).packed[:8].hex()
