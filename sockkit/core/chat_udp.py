"""The tutorials' chat room over UDP, without I/O: each message is signed, `name:text`.

Members are known by their address, and have the name they first signed with. Whoever sends is
in; whoever says only the quit word, or nothing for a while, is out. Others get a message as it
was signed; what the room says begins with `* `, which no name does.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from sockkit.core.allowance import Allowance
from sockkit.core.chat import LONGEST
from sockkit.core.names import LONGEST as LONGEST_NAME
from sockkit.core.names import RESERVED, Names, key
from sockkit.core.printable import escape
from sockkit.errors import UsageError

MOST = 1024  # members; one more takes the place of the longest silent
SILENCE = 300.0  # seconds

HELP = "a message is name:text; /who tells who is here, /quit leaves, //TEXT says /TEXT"


class Delivery(NamedTuple):
    """A line for one address, or for everybody but `author` where `to` is None."""

    line: str
    to: Hashable | None = None
    author: Hashable | None = None


class _Member:
    def __init__(self, name: str, allowance: Allowance, now: float) -> None:
        self.name, self.allowance, self.heard_at = name, allowance, now
        self.told = False  # that it is too fast


class SignedRoom:
    """`now` is in seconds of any one clock, `flood` lines a second, 0 for no limit.

    With `most` one more member is told that the room is full.
    """

    def __init__(self, quit_word: str = "q", most: int | None = None, flood: float = 0) -> None:
        self._quit_word, self._most, self._flood = quit_word, most, flood
        self._members: dict[Hashable, _Member] = {}  # the longest silent first
        self._names = Names()
        self._guests = 0

    def names(self) -> list[str]:
        """Safe from any thread."""
        return [member.name for member in list(self._members.values())]

    def addresses(self) -> list[Hashable]:
        return list(self._members)

    def hear(self, address: Hashable, message: str, now: float) -> list[Delivery]:
        """What comes of a datagram. A signature without text says only who is there."""
        message = message.rstrip("\r\n")
        if len(message) > LONGEST:
            told = f"* that is longer than {LONGEST} characters, and was not sent"
            return [Delivery(told, to=address)]
        signature, colon, text = message.partition(":")
        if not colon or not signature or any(map(str.isspace, signature)):
            signature, text = "", message.removeprefix(":")
        out: list[Delivery] = []
        member = self._members.pop(address, None)
        if not member:
            if not message:
                return []
            try:
                out, member = self._arrive(address, signature, now)
            except UsageError as error:
                return [Delivery(f"* {error}", to=address)]
        elif len(signature) > LONGEST_NAME or (signature and key(signature) != key(member.name)):
            text = message
        member.heard_at = now
        self._members[address] = member
        text = escape(text.replace("\t", " ")).strip()
        return out + self._said(address, member, text, now) if text else out

    def announce(self, text: str) -> list[Delivery]:
        """Say `text` as the server."""
        return [Delivery(f"{RESERVED}:{escape(text)}")]

    def kick(self, name: str) -> list[Delivery]:
        """Let the member of that name go. Raises UsageError."""
        address = self._names.find(name)
        if address is None:
            raise UsageError(f"nobody here is {name}")
        return [Delivery("* you have been sent away", to=address), *self._leave(address)]

    def expire(self, now: float) -> list[Delivery]:
        """Let those go that have been silent for too long."""
        out: list[Delivery] = []
        for address, member in list(self._members.items()):
            if now - member.heard_at < SILENCE:
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
        if len(self._members) >= (self._most or MOST):
            if self._most:
                raise UsageError("the room is full")
            out = self._leave(next(iter(self._members)))
        self._names.add(name, address)
        out.append(Delivery(f"* {name} joined", author=address))
        return out, _Member(name, Allowance(self._flood, now), now)

    def _said(self, address: Hashable, member: _Member, text: str, now: float) -> list[Delivery]:
        if text in (self._quit_word, "/quit"):
            return self._leave(address)
        if member.allowance.wait(now):
            told, member.told = member.told, True
            return [] if told else [Delivery("* too fast: what comes now is not sent", to=address)]
        member.told = False
        member.allowance.spend(len(text))
        if not text.startswith("/") or text.startswith("//"):
            return [Delivery(f"{member.name}:{text.removeprefix('/')}", author=address)]
        if text == "/who":
            here = f"* {len(self._members)} here: {', '.join(self.names())}"
            return [Delivery(here, to=address)]
        return [Delivery(f"* {HELP}", to=address)]

    def _leave(self, address: Hashable) -> list[Delivery]:
        member = self._members.pop(address)
        self._names.remove(member.name)
        return [Delivery(f"* {member.name} left", author=address)]
