"""The tutorials' chat room over UDP, without I/O: each message is signed, `name:text`.

Members are known by their address, and have the name they first signed with. Whoever sends is
in; whoever says only the quit word, or nothing for a while, is out. Others get a message as it
was signed; what the room says begins with `* `, which no name does.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from sockkit.core.chat import answers
from sockkit.core.chat import lines as chat_lines
from sockkit.core.chat.crowd import Move
from sockkit.core.chat.names import MAX_NAME_LENGTH, RESERVED, Names, key
from sockkit.core.printable import escape
from sockkit.core.token_bucket import TokenBucket
from sockkit.errors import UsageError

MAX_MEMBERS = 1024  # one more takes the place of one that is silent
MAX_SILENCE = 300.0  # seconds
MAX_MESSAGE_CHARACTERS = 4096
MAX_DATAGRAM_BYTES = 4 * MAX_MESSAGE_CHARACTERS
MAX_WHO_BYTES = 1024  # of the line that says who is here, as it may go to a forged address

# Whoever can forge addresses can come as a thousand members. That must not be at the expense of
# those who are here: when many come at once they are on trial until heard again after a while.
CALM_JOINS_PER_SECOND = 10.0  # and five seconds' worth at once, who are not on trial
PROVEN = 5.0  # seconds
TRIAL = 60.0  # seconds after which it stays without
QUIET = 60.0  # seconds without a word after which one that is not on trial makes room
MAX_JOINS_PER_SECOND = 1000.0  # of more strangers nothing is heard
TRIAL_RATE_FACTOR = 2.0  # times as much as one member may say is said by all on trial together

HELP = "a message is name:text; /who tells who is here, /quit leaves, //TEXT says /TEXT"


class Delivery(NamedTuple):
    """A line for one address, or for everybody but `author` where `to` is None.

    `move` is who the line says came or left.
    """

    line: str
    to: Hashable | None = None
    author: Hashable | None = None
    move: Move | None = None


class _Member:
    def __init__(self, name: str, bucket: TokenBucket, now: float, *, trial: bool) -> None:
        self.name, self.bucket, self._trial = name, bucket, trial
        self.came_at = self.heard_at = now
        self.told = False  # that it is too fast

    def on_trial(self, now: float) -> bool:
        proven = self.heard_at - self.came_at >= PROVEN or now - self.came_at >= TRIAL
        return self._trial and not proven


class SignedRoom:
    """`now` is in seconds of any one clock, `flood` lines a second, 0 for no limit.

    With `max_members` one more member is told that the room is full.
    """

    def __init__(
        self, quit_word: str = "q", max_members: int | None = None, flood: float = 0
    ) -> None:
        self._quit_word, self._max_members, self._flood = quit_word, max_members, flood
        self._members: dict[Hashable, _Member] = {}  # the longest silent first
        self._names = Names()
        self._guests = 0
        self._joins, self._calm = (
            TokenBucket(MAX_JOINS_PER_SECOND, 0.0),
            TokenBucket(CALM_JOINS_PER_SECOND, 0.0),
        )
        self._newcomers = TokenBucket(TRIAL_RATE_FACTOR * flood, 0.0)

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values())]

    def addresses(self) -> list[Hashable]:
        return list(self._members)

    def hear(self, address: Hashable, message: str, now: float) -> list[Delivery]:
        """What comes of a datagram. A signature without text says only who is there."""
        message = message.rstrip("\r\n")
        if len(message) > MAX_MESSAGE_CHARACTERS:
            return self.refuse_long(address)
        signature, colon, text = message[: MAX_NAME_LENGTH + 1].partition(":")
        text += message[MAX_NAME_LENGTH + 1 :]
        if not colon or not signature or any(map(str.isspace, signature)):
            signature, text = "", message.removeprefix(":")
        out: list[Delivery] = []
        member = self._members.pop(address, None)
        if not member:
            if not message or self._joins.wait(now):
                return []
            self._joins.spend(0)
            try:
                out, member = self._arrive(address, signature, now)
            except UsageError as error:
                return [Delivery(chat_lines.stranger_refused(str(error)), to=address)]
        elif len(signature) > MAX_NAME_LENGTH or (signature and key(signature) != key(member.name)):
            text = message
        member.heard_at = now
        self._members[address] = member
        text = escape(text.replace("\t", " ")).strip()
        return out + self._said(address, member, text, now) if text else out

    def refuse_long(self, address: Hashable) -> list[Delivery]:
        """What comes of a datagram that is too long."""
        return [Delivery(chat_lines.too_long(MAX_MESSAGE_CHARACTERS), to=address)]

    def announce(self, text: str) -> list[Delivery]:
        """Say `text` as the server."""
        return [Delivery(f"{RESERVED}:{escape(text)}")]

    def kick(self, name: str) -> list[Delivery]:
        """Let the member of that name go. Raises UsageError."""
        address = self._names.find(name)
        if address is None:
            raise UsageError(f"nobody here is {name}")
        return [Delivery(chat_lines.SENT_AWAY, to=address), *self._leave(address)]

    def expire(self, now: float) -> list[Delivery]:
        """Let those go that have been silent for too long."""
        out: list[Delivery] = []
        for address, member in list(self._members.items()):
            if now - member.heard_at < MAX_SILENCE:
                break
            out += self._leave(address)
        return out

    def _arrive(self, address: Hashable, name: str, now: float) -> tuple[list[Delivery], _Member]:
        """Know `address` by `name`, where it has one. Raises UsageError."""
        if not name:
            self._guests += 1
            while self._names.taken(name := f"guest-{self._guests}"):
                self._guests += 1
        self._names.check(name)
        out: list[Delivery] = []
        if len(self._members) >= (self._max_members or MAX_MEMBERS):
            if self._max_members:
                raise UsageError("the room is full")
            out = self._leave(self._dispensable(now))
        self._names.add(name, address)
        move = Move(address, True)
        out.append(Delivery(chat_lines.joined(name), author=address, move=move))
        trial = bool(self._calm.wait(now))
        self._calm.spend(0)
        return out, _Member(name, TokenBucket(self._flood, now), now, trial=trial)

    def _dispensable(self, now: float) -> Hashable:
        """Who leaves for one more to come. Raises UsageError."""
        for address, member in self._members.items():
            if member.on_trial(now):
                return address
        address, member = next(iter(self._members.items()))
        if now - member.heard_at < QUIET:
            raise UsageError("the room is full")
        return address

    def _said(self, address: Hashable, member: _Member, text: str, now: float) -> list[Delivery]:
        if text in (self._quit_word, "/quit"):
            return self._leave(address)
        spoken = not text.startswith("/") or text.startswith("//")
        buckets = [member.bucket]
        if spoken and member.on_trial(now):
            buckets.append(self._newcomers)
        if any(bucket.wait(now) for bucket in buckets):
            told, member.told = member.told, True
            return [] if told else [Delivery(chat_lines.TOO_FAST, to=address)]
        member.told = False
        for bucket in buckets:
            bucket.spend(len(text))
        if spoken:
            return [Delivery(f"{member.name}:{text.removeprefix('/')}", author=address)]
        if text == "/who":
            return [Delivery(answers.who(self.names(), MAX_WHO_BYTES), to=address)]
        return [Delivery(f"* {HELP}", to=address)]

    def _leave(self, address: Hashable) -> list[Delivery]:
        member = self._members.pop(address)
        self._names.remove(member.name)
        return [
            Delivery(chat_lines.departed(member.name), author=address, move=Move(address, False))
        ]
