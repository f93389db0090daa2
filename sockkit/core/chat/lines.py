"""The lines of a chat room that `chat join` acts on: each is made here, and recognised here alone.

Every line of a room begins with `[`, for what somebody says, or with `* `, for the room's own
words. What people choose is only ever said: messages, the message of the day, and what the
operator says. Of what they choose the room's own words contain names alone, which have no spaces.
A line is recognised as a whole, so none of these can be taken for another. Over UDP what somebody
says begins with a name and a colon, and no name has a `*` in it.

MARK goes the other way: `chat join` says it first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sockkit.core.chat.names import MAX_NAME_LENGTH, RESERVED
from sockkit.errors import SendError, SockkitError
from sockkit.values import Value

MARK = "/sockkit"  # the first line of a client that speaks the room's encoding

GOOD_BYE = "* good-bye"
SENT_AWAY = "* you have been sent away"
FULL = "* the room is full"
CROWDED = "* too many from your address are waiting: try later"
LOCKED = "* this room has a password: type it"
WRONG = "* that is not the password"
WRONG_TOO_OFTEN = f"{WRONG}: good-bye"
TOO_FAST = "* too fast: what comes now is not sent"  # over UDP

# What a line says to the member that is told it.
PARTINGS = (GOOD_BYE, SENT_AWAY, FULL)  # the room closes the connection, as it should
WANTS_PASSWORD = (LOCKED, WRONG, WRONG_TOO_OFTEN)
NOT_ADMITTED = (*WANTS_PASSWORD, FULL, CROWDED)

_WELCOME = "; what you type is said to all, /help tells more"
_NAME = f"([^ ]{{1,{MAX_NAME_LENGTH}}})"
_SAID = re.compile(rf"\[(?:you to )?([^\] ]{{1,{MAX_NAME_LENGTH}}})(?: to you)?\] (.*)")
_YOU_ARE = re.compile(rf"\* you are {_NAME}(?:{_WELCOME})?")
_JOINED = re.compile(rf"\* {_NAME} joined")
_DEPARTED = re.compile(rf"\* {_NAME} left(?: \(.*\))?")
_RENAMED = re.compile(rf"\* {_NAME} is now {_NAME}")
_STRANGER_REFUSED = re.compile(
    r"\* (?:\S+ is taken|the room is full|a name (?:has|does not) .*|nobody is named \S+)"
)
_TOO_LONG = re.compile(r"\* that is longer than \d+ characters, and was not sent")


class Said(NamedTuple):
    """`name` is who has said `text`, or whom the reader has said it to."""

    name: str
    text: str


class YouAre(Value):
    """The reader is in the room, and has that name."""

    name: str


class Joined(Value):
    name: str


class Departed(Value):
    name: str


class Renamed(Value):
    before: str
    name: str


class Fixed(Value):
    """One of PARTINGS and NOT_ADMITTED."""

    line: str


def read(line: str) -> Said | YouAre | Joined | Departed | Renamed | Fixed | None:
    """What a line of a room means to `chat join`; None for one that is only shown."""
    if found := _SAID.fullmatch(line):
        return Said(*found.groups())
    if line in PARTINGS or line in NOT_ADMITTED:
        return Fixed(line)
    if found := _YOU_ARE.fullmatch(line):
        return YouAre(*found.groups())
    if found := _JOINED.fullmatch(line):
        return Joined(*found.groups())
    if found := _DEPARTED.fullmatch(line):
        return Departed(*found.groups())
    if found := _RENAMED.fullmatch(line):
        return Renamed(*found.groups())
    return None


def said(name: str, text: str) -> str:
    return f"[{name}] {text}"


def said_to_you(name: str, text: str) -> str:
    return f"[{name} to you] {text}"


def said_by_you(to: str, text: str) -> str:
    return f"[you to {to}] {text}"


def said_by_server(text: str) -> str:
    """What people have chosen for the room to say."""
    return said(RESERVED, text)


def repeated(line: str) -> str:
    """`line`, which was said once, it is hoped: as it is, otherwise as the server's."""
    return line if _SAID.fullmatch(line) else said_by_server(line)


def you_are(name: str) -> str:
    return f"* you are {name}"


def welcome(name: str) -> str:
    return f"{you_are(name)}{_WELCOME}"


def joined(name: str) -> str:
    return f"* {name} joined"


def departed(name: str, why: str = "") -> str:
    return f"* {name} left{f' ({why})' if why else ''}"


def renamed(before: str, name: str) -> str:
    return f"* {before} is now {name}"


# Of the rooms over UDP, which have no connection to close.


def stranger_refused(why: str) -> str:
    """`why` is that the room is full, or what `Names.check` says of a name."""
    return f"* {why}"


def too_long(most: int) -> str:
    return f"* that is longer than {most} characters, and was not sent"


def refusal(line: str) -> SockkitError | None:
    """What it means to a member if a room over UDP says `line`; None for what refuses nothing."""
    if line == TOO_FAST or _TOO_LONG.fullmatch(line):
        return SendError("the room did not take all that was said", "see what it said")
    if _STRANGER_REFUSED.fullmatch(line):
        return SockkitError("the room did not let us in", "see what it said")
    return None
