"""Who is in a chat room, and by which name."""

from __future__ import annotations

from collections.abc import Hashable

from sockkit.core.chat.inbox import Inbox
from sockkit.core.chat.names import Names
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError


class Member:
    """`name` is empty until it is admitted; others know of it once it is introduced."""

    def __init__(self, key: Hashable, bucket: TokenBucket, address: str) -> None:
        self.key = key
        self.name = self.wanted = ""
        self.address = address  # whom a wrong password makes wait
        self.introduced = False
        self.attempts = 0  # at the password
        self.inbox = Inbox()
        self.bucket = bucket
        self.charged = False  # for more than its lines


class Members:
    """The members by key, those who are not admitted too, and the names of the others."""

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
        """Who that was; its name is free again."""
        departed = self._members.pop(key, None)
        if departed and departed.name:
            self._names.remove(departed.name)
        return departed

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values()) if member.name]

    def find(self, name: str) -> Hashable | None:
        """The member of that name, whatever its case and width."""
        return self._names.find(name)

    def objection(self, member: Member, name: str) -> str:
        """Why `member` cannot have `name`."""
        try:
            self._names.check(name, member.key)
        except UsageError as error:
            return str(error)
        return ""

    def call(self, member: Member, name: str) -> None:
        """Call `member` so from now on, to which there is no objection."""
        if member.name:
            self._names.remove(member.name)
        member.name = name
        self._names.add(name, member.key)

    def guest(self) -> str:
        """A name that nobody has."""
        self._guests += 1
        while self._names.taken(name := f"guest-{self._guests}"):
            self._guests += 1
        return name
