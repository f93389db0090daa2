"""The tutorials' chat room over UDP, without I/O: each message is signed, `name:text`.

Members are known by address and name. Whoever sends is in; whoever says only the quit word, or
nothing for a while, is out. Others get a message as it was signed; what the room says begins
with `* `, which no name does.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from sockkit.core.names import check_name, key
from sockkit.core.printable import escape
from sockkit.errors import UsageError

MOST = 1024  # members; one more is told that the room is full
SILENCE = 300.0  # seconds


class Delivery(NamedTuple):
    """A line for one address, or for everybody but `author` where `to` is None."""

    line: str
    to: Hashable | None = None
    author: Hashable | None = None


class _Member:
    def __init__(self, name: str, now: float) -> None:
        self.name, self.heard_at = name, now


class SignedRoom:
    """`now` is in seconds of any one clock."""

    def __init__(self, quit_word: str = "q", most: int | None = None) -> None:
        self._quit_word, self._most = quit_word, most or MOST
        self._members: dict[Hashable, _Member] = {}  # the longest silent first
        self._names: dict[str, Hashable] = {}

    def names(self) -> list[str]:
        return [member.name for member in list(self._members.values())]

    def addresses(self) -> list[Hashable]:
        return list(self._members)

    def hear(self, address: Hashable, message: str, now: float) -> list[Delivery]:
        """What comes of a datagram. A signature without text says only who is there."""
        name, colon, text = message.rstrip("\r\n").partition(":")
        if not colon:
            name, text = "", message.rstrip("\r\n")
        out: list[Delivery] = []
        try:
            out += self._arrive(address, name, now)
        except UsageError as error:
            return [Delivery(f"* {error}", to=address)]
        member = self._members.pop(address)
        member.heard_at = now
        self._members[address] = member
        text = escape(text.replace("\t", " ")).strip()
        if text == self._quit_word:
            return [*out, *self._leave(address)]
        if text:
            out.append(Delivery(f"{member.name}:{text}", author=address))
        return out

    def announce(self, text: str) -> list[Delivery]:
        """Say `text` as the server."""
        return [Delivery(f"server:{escape(text)}")]

    def expire(self, now: float) -> list[Delivery]:
        """Let those go that have been silent for too long."""
        out: list[Delivery] = []
        for address, member in list(self._members.items()):
            if now - member.heard_at < SILENCE:
                break
            out += self._leave(address)
        return out

    def _arrive(self, address: Hashable, name: str, now: float) -> list[Delivery]:
        """Know `address` by `name`, where it has one. Raises UsageError."""
        member = self._members.get(address)
        if member and name in ("", member.name):
            return []
        if not name:
            number = len(self._members) + 1
            while key(name := f"guest-{number}") in self._names:
                number += 1
        check_name(name)
        if self._names.get(key(name), address) != address:
            raise UsageError(f"{name} is taken")
        if not member and len(self._members) >= self._most:
            raise UsageError("the room is full")
        if member:
            before, member.name = member.name, name
            del self._names[key(before)]
            line = f"* {before} is now {name}"
        else:
            self._members[address] = _Member(name, now)
            line = f"* {name} joined"
        self._names[key(name)] = address
        return [Delivery(line, author=address)]

    def _leave(self, address: Hashable) -> list[Delivery]:
        member = self._members.pop(address)
        del self._names[key(member.name)]
        return [Delivery(f"* {member.name} left", author=address)]
