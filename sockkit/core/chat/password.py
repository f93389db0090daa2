"""The password of a chat room: what may be one, and how often an address may try it.

After a wrong one its address waits, longer each time, before the next is looked at. Others
never wait for it.
"""

from __future__ import annotations

from sockkit.errors import UsageError

MAX_PASSWORD_BYTES = 4000  # with `/password ` before it still a line
FIRST_WAIT, MAX_WAIT = 0.5, 5.0  # seconds after a wrong one; doubled each time
FORGOTTEN = 60.0  # seconds after which a wrong one counts no more
MAX_ADDRESSES = 1024  # that are remembered; one more takes the place of the oldest


def check_password(password: str, encoding: str = "utf-8") -> str:
    """`password`, if a member can type it. Raises UsageError, which does not show it."""
    if not password:
        raise UsageError("the password is empty", "give one, or leave it out for an open room")
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the password is not text in your encoding", "give another") from error
    if "\n" in password or "\r" in password:
        raise UsageError("the password has a line end in it", "a typed line can never match it")
    if len(password.encode(encoding, "backslashreplace")) > MAX_PASSWORD_BYTES:
        raise UsageError(
            f"the password is longer than {MAX_PASSWORD_BYTES} bytes", "give a shorter one"
        )
    return password


class PasswordCheck:
    """Compares what members type with the password, in a time that does not tell how far it fits.

    `encoding` is what they type in. What it does not have is typed as `chat join` sends it, as a
    backslash escape.
    """

    def __init__(self, password: str, encoding: str) -> None:
        self._password = password.encode(encoding, "backslashreplace")
        self._wrong: dict[str, tuple[int, float]] = {}  # how often, and when last; oldest first

    def wait(self, address: str, now: float) -> float:
        """Seconds until `address`, of `whole_address`, may try again; 0 for at once."""
        count, at = self._wrong.get(address, (0, 0.0))
        if not count:
            return 0.0
        wait = MAX_WAIT if count > 10 else min(MAX_WAIT, FIRST_WAIT * 2.0 ** (count - 1))
        return max(0.0, at + wait - now)

    def opens(self, line: bytes, address: str) -> bool:
        """Whether `line` is the password, by itself or after `/password `."""
        from hmac import compare_digest

        plain = compare_digest(line, self._password)
        told = compare_digest(line.removeprefix(b"/password "), self._password)
        if plain or told:
            self._wrong.pop(address, None)
        return plain or told

    def refuse(self, address: str, now: float) -> None:
        """Let `address` wait: it has tried a wrong one."""
        count, at = self._wrong.pop(address, (0, now))
        self._wrong[address] = (count + 1 if now - at < FORGOTTEN else 1, now)
        if len(self._wrong) > MAX_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]


def whole_address(peer: str) -> str:
    """Whom a peer's address stands for: without its port, and of IPv6 the network, RFC 4291.

    For whoever has one address of a network of 64 bits can have them all.
    """
    if not peer.startswith("["):
        return peer.rpartition(":")[0]
    from ipaddress import IPv6Address

    host = peer[1:].partition("]")[0].partition("%")[0]
    return IPv6Address(host).packed[:8].hex()
