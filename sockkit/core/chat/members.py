"""The members of a chat room and their names."""

from __future__ import annotations

from collections.abc import Hashable

from sockkit.core.chat.names import Names
from sockkit.core.chat.received import ReceivedLines
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError


class Member:
    """`name` is empty until it is admitted. Others know of it once it is `introduced`.

    A newcomer first waits for the password, if there is one, and is not counted as a member.
    """

    def __init__(self, key: Hashable, bucket: TokenBucket, address: str) -> None:
        self.key = key
        self.name = self.wanted_name = ""
        self.address = address  # that its wrong passwords count against
        self.waiting = True  # it has not given the password
        self.guest_name = ""  # meant for it, from when it came
        self.history_end = 0  # how many lines had been said when it came
        self.introduced = False
        self.failed_passwords = 0
        self.received = ReceivedLines()
        self.bucket = bucket
        self.charged = False  # for more than its lines

    @property
    def arriving(self) -> bool:
        """Whether what it has sent admits it: a line, or more than a line may have."""
        return not (self.waiting or self.name) and self.received.begun


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

    def name(self, key: Hashable) -> str:
        """The name of a member; empty if it has none yet, or is not known. Safe from any thread."""
        member = self._members.get(key)
        return member.name if member else ""

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values()) if member.name]

    def find(self, name: str) -> Hashable | None:
        """The key of the member with that name; the case and width of letters do not matter."""
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

    def rename_guest(self, member: Member) -> None:
        """Give `member` the name of a guest: its own, if nobody has taken that meanwhile."""
        taken = member.guest_name and self._names.in_use(member.guest_name)
        name = "" if taken else member.guest_name
        self.rename(member, name or self.new_guest_name())

    def new_guest_name(self) -> str:
        """A name that nobody has."""
        self._guests += 1
        while self._names.in_use(name := f"guest-{self._guests}"):
            self._guests += 1
        return name
