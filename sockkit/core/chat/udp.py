"""The tutorials' chat room over UDP, without I/O: each message is signed, `name:text`.

A member is known by its address, and has the name that it first signed with. Sending a message
joins the room; sending only the quit word, or nothing for a while, leaves it. The others receive a
message as it was signed. The room's own lines begin with `* `, which no name does.
"""

from __future__ import annotations

from collections.abc import Hashable

from sockkit.core.chat import protocol
from sockkit.core.chat.actions import OPERATOR, Deliver
from sockkit.core.chat.commands import UDP_MEMBER, UDP_OPERATOR, plain_command
from sockkit.core.chat.names import MAX_NAME_LENGTH, RESERVED, Names, fold_name
from sockkit.core.chat.presence import Presence
from sockkit.core.printable import escape
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError

MAX_MEMBERS = 1024  # one more replaces a silent one
MAX_SILENCE_SECONDS = 300.0  # of a member, which then has departed
MAX_MESSAGE_CHARACTERS = 4096
MAX_DATAGRAM_BYTES = 4 * MAX_MESSAGE_CHARACTERS
MAX_WHO_BYTES = 1024  # of the line that lists who is here, as it may go to a forged address

# Whoever forges addresses can join as a thousand members, which must not push out the others. So
# newcomers are on trial if many join at once, until they send again after a while.
JOINS_PER_SECOND_WITHOUT_TRIAL = 10.0  # and five seconds' worth at once
MIN_TRIAL_SECONDS = 5.0  # after which a member that sends again is on trial no more
MAX_TRIAL_SECONDS = 60.0  # after which any member is
MIN_SILENCE_SECONDS = 60.0  # after which a newcomer may replace a member not on trial
MAX_JOINS_PER_SECOND = 1000.0  # datagrams of more strangers are ignored
TRIAL_RATE_FACTOR = 2.0  # all members on trial share the rate limit of this many members


class _Member:
    def __init__(self, name: str, bucket: TokenBucket, now: float, *, trial: bool) -> None:
        self.name, self.bucket, self._trial = name, bucket, trial
        self.joined_at = self.heard_at = now
        self.warned = False  # that it is too fast

    def on_trial(self, now: float) -> bool:
        sent_again = self.heard_at - self.joined_at >= MIN_TRIAL_SECONDS
        return self._trial and not sent_again and now - self.joined_at < MAX_TRIAL_SECONDS


class UdpRoom:
    """`flood` is the rate limit of a member in lines a second, 0 for none.

    With `max_members` one more newcomer is refused. `now` is in seconds of any one clock.
    """

    operator_rows = UDP_OPERATOR

    def __init__(
        self, quit_word: str = "q", max_members: int | None = None, flood: float = 0
    ) -> None:
        self._quit_word, self._max_members, self._flood = quit_word, max_members, flood
        self._members: dict[Hashable, _Member] = {}  # the longest silent first
        self._names = Names()
        self._guests = 0
        self._joins = TokenBucket(MAX_JOINS_PER_SECOND, 0.0)
        self._joins_without_trial = TokenBucket(JOINS_PER_SECOND_WITHOUT_TRIAL, 0.0)
        self._trial_bucket = TokenBucket(TRIAL_RATE_FACTOR * flood, 0.0)

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values())]

    def addresses(self) -> list[Hashable]:
        return list(self._members)

    def name(self, address: Hashable) -> str:
        """Safe from any thread."""
        member = self._members.get(address)
        return member.name if member else ""

    def receive(self, address: Hashable, message: str, now: float) -> list[Deliver]:
        """Handle a datagram. A signature without text joins the room and says nothing."""
        message = message.rstrip("\r\n")
        if len(message) > MAX_MESSAGE_CHARACTERS:
            return self.refuse_long(address)
        signature, colon, text = message[: MAX_NAME_LENGTH + 1].partition(":")
        text += message[MAX_NAME_LENGTH + 1 :]
        if not colon or not signature or any(map(str.isspace, signature)):
            signature, text = "", message.removeprefix(":")
        out: list[Deliver] = []
        member = self._members.pop(address, None)
        if not member:
            if not message or self._joins.wait(now):
                return []
            self._joins.spend(0)
            try:
                out, member = self._admit(address, signature, now)
            except UsageError as error:
                return [Deliver(protocol.refused(str(error)), to=address)]
        elif len(signature) > MAX_NAME_LENGTH or (
            signature and fold_name(signature) != fold_name(member.name)
        ):
            text = message
        member.heard_at = now
        self._members[address] = member
        text = escape(text.replace("\t", " ")).strip()
        return out + self._handle(address, member, text, now) if text else out

    def refuse_long(self, address: Hashable) -> list[Deliver]:
        """Handle a datagram that is too long."""
        return [Deliver(protocol.too_long(MAX_MESSAGE_CHARACTERS), to=address)]

    def announce(self, text: str) -> list[Deliver]:
        """Say `text` as the server."""
        return [Deliver(f"{RESERVED}:{escape(text)}")]

    def close(self) -> list[Deliver]:
        """Tell the members that the room closes."""
        return [Deliver(protocol.GOODBYE, to=address) for address in self._members]

    def kick(self, name: str) -> list[Deliver]:
        """Remove the member with that name. Raises UsageError if there is none."""
        address = self._called(name)
        return [Deliver(protocol.KICKED, to=address), *self._leave(address)]

    def whisper(self, name: str, text: str) -> list[Deliver]:
        """Say `text` as the server, to the member with that name alone. Raises UsageError if there
        is none. No member's line begins so: a name has no spaces.
        """
        address, text = self._called(name), escape(text)
        return [
            Deliver(f"{RESERVED} to you:{text}", to=address),
            Deliver(f"you to {self._members[address].name}:{text}", to=OPERATOR),
        ]

    def _called(self, name: str) -> Hashable:
        address = self._names.find(name)
        if address is None:
            raise UsageError(protocol.nobody_called(name), "/who lists who is here")
        return address

    def expire(self, now: float) -> list[Deliver]:
        """Remove the members that have been silent for too long."""
        out: list[Deliver] = []
        for address, member in list(self._members.items()):
            if now - member.heard_at < MAX_SILENCE_SECONDS:
                break
            out += self._leave(address)
        return out

    def _admit(self, address: Hashable, name: str, now: float) -> tuple[list[Deliver], _Member]:
        """Make `address` a member, called `name` if that is not empty. Raises UsageError."""
        if not name:
            self._guests += 1
            while self._names.in_use(name := f"guest-{self._guests}"):
                self._guests += 1
        self._names.check(name)
        out: list[Deliver] = []
        if len(self._members) >= (self._max_members or MAX_MEMBERS):
            if self._max_members:
                raise UsageError("the room is full")
            out = self._leave(self._replaceable(now))
        self._names.add(name, address)
        presence = Presence(address, True)
        out.append(Deliver(protocol.joined(name), author=address, presence=presence))
        trial = bool(self._joins_without_trial.wait(now))
        self._joins_without_trial.spend(0)
        return out, _Member(name, TokenBucket(self._flood, now), now, trial=trial)

    def _replaceable(self, now: float) -> Hashable:
        """The member that a newcomer replaces in a full room. Raises UsageError if none may be."""
        for address, member in self._members.items():
            if member.on_trial(now):
                return address
        address, member = next(iter(self._members.items()))
        if now - member.heard_at < MIN_SILENCE_SECONDS:
            raise UsageError("the room is full")
        return address

    def _handle(self, address: Hashable, member: _Member, text: str, now: float) -> list[Deliver]:
        plain = plain_command(text)
        if text == self._quit_word or plain == "/quit":
            return self._leave(address)
        text = plain
        spoken = not text.startswith("/") or text.startswith("//")
        buckets = [member.bucket]
        if spoken and member.on_trial(now):
            buckets.append(self._trial_bucket)
        if any(bucket.wait(now) for bucket in buckets):
            warned, member.warned = member.warned, True
            return [] if warned else [Deliver(protocol.TOO_FAST, to=address)]
        member.warned = False
        for bucket in buckets:
            bucket.spend(len(text))
        if spoken:
            return [Deliver(f"{member.name}:{text.removeprefix('/')}", author=address)]
        if text == "/who":
            return [Deliver(protocol.who(self.names(), MAX_WHO_BYTES), to=address)]
        if text != "/help":
            return [Deliver(protocol.unknown(text.partition(" ")[0]), to=address)]
        lines = protocol.help_notices(UDP_MEMBER, self._quit_word)
        return [Deliver("\n".join(lines), to=address)]

    def _leave(self, address: Hashable) -> list[Deliver]:
        member = self._members.pop(address)
        self._names.remove(member.name)
        presence = Presence(address, False)
        return [Deliver(protocol.departed(member.name), author=address, presence=presence)]
