"""The members of a chat room and their names."""

from __future__ import annotations

from collections.abc import Hashable

from sockkit.core.chat.names import Names
from sockkit.core.chat.received import ReceivedLines
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError


class Member:
    """`name` is empty until it is admitted. Others know of it once it is `introduced`."""

    def __init__(self, key: Hashable, bucket: TokenBucket, address: str) -> None:
        self.key = key
        self.name = self.wanted_name = ""
        self.address = address  # that its wrong passwords count against
        self.introduced = False
        self.failed_passwords = 0
        self.received = ReceivedLines()
        self.bucket = bucket
        self.charged = False  # for more than its lines


class Members:
    """The members by key, including those not admitted yet, and the names of those admitted."""

    def __init__(self) -> None:
        self._members: dict[Hashable, Member] = {}
        self._names = Names()
        self._guests = 0

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: Hashable) -> Member:
        return self._members[key]

    def get(self, key: Hashable) -> Member | None:
        return self._members.get(key)

    def add(self, member: Member) -> None:
        self._members[member.key] = member

    def remove(self, key: Hashable) -> Member | None:
        """Remove a member and free its name. Returns the member, or None for an unknown key."""
        departed = self._members.pop(key, None)
        if departed and departed.name:
            self._names.remove(departed.name)
        return departed

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values()) if member.name]

    def find(self, name: str) -> Hashable | None:
        """The key of the member with that name, whatever its case and width."""
        return self._names.find(name)

    def why_refused(self, member: Member, name: str) -> str:
        """Why `member` cannot have `name`; empty if it can."""
        try:
            self._names.check(name, member.key)
        except UsageError as error:
            return str(error)
        return ""

    def rename(self, member: Member, name: str) -> None:
        """Set the name of `member`; `why_refused` must be empty for it."""
        if member.name:
            self._names.remove(member.name)
        member.name = name
        self._names.add(name, member.key)

    def new_guest_name(self) -> str:
        """A name that nobody has."""
        self._guests += 1
        while self._names.in_use(name := f"guest-{self._guests}"):
            self._guests += 1
        return name
