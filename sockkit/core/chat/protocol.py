"""The lines of a chat room, and what `chat join` recognises in them.

A line that somebody says begins with `[`, and one of the room's own with `* `. What people choose
(messages, the message of the day, what the operator says) only appears in lines that are said.
The room's own lines contain nothing that people choose but names, which have no spaces. `chat join`
recognises lines as a whole, so nobody can forge one that it acts on. Over UDP what somebody says
begins with a name and a colon, and a name has no `*`.

Every line that `chat join` acts on is made and recognised in this module. MARK goes the other way:
`chat join` sends it first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from sockkit.core.chat.names import MAX_NAME_LENGTH, RESERVED
from sockkit.errors import SendError, SockkitError
from sockkit.values import Value

MAX_LINE_BYTES = 4096  # of what a member sends
MAX_WHO_BYTES = 16 * 1024  # of the line that says who is here

MARK = "/sockkit"  # the first line of a client that speaks the room's encoding

GOOD_BYE = "* good-bye"
KICKED = "* you have been sent away"
ROOM_FULL = "* the room is full"
TOO_MANY_WAITING = "* too many from your address are waiting: try later"
PASSWORD_REQUIRED = "* this room has a password: type it"
WRONG_PASSWORD = "* that is not the password"
LAST_WRONG_PASSWORD = f"{WRONG_PASSWORD}: good-bye"
TOO_FAST = "* too fast: what comes now is not sent"  # over UDP

# What a line means to the member that receives it.
ROOM_CLOSES = (GOOD_BYE, KICKED, ROOM_FULL)  # the room will close the connection, without a fault
WANTS_PASSWORD = (PASSWORD_REQUIRED, WRONG_PASSWORD, LAST_WRONG_PASSWORD)
NOT_ADMITTED = (*WANTS_PASSWORD, ROOM_FULL, TOO_MANY_WAITING)

_WELCOME = "; what you type is said to all, /help tells more"
_NAME = f"([^ ]{{1,{MAX_NAME_LENGTH}}})"
_SAID = re.compile(rf"\[(?:you to )?([^\] ]{{1,{MAX_NAME_LENGTH}}})(?: to you)?\] (.*)")
_YOU_ARE = re.compile(rf"\* you are {_NAME}(?:{_WELCOME})?")
_JOINED = re.compile(rf"\* {_NAME} joined")
_DEPARTED = re.compile(rf"\* {_NAME} left(?: \(.*\))?")
_RENAMED = re.compile(rf"\* {_NAME} is now {_NAME}")
_JOIN_REFUSED = re.compile(
    r"\* (?:\S+ is taken|the room is full|a name (?:has|does not) .*|nobody is named \S+)"
)
_TOO_LONG = re.compile(r"\* that is longer than \d+ characters, and was not sent")


class Said(NamedTuple):
    """`name` has said `text`; or the reader has said it to `name` alone."""

    name: str
    text: str


class YouAre(Value):
    """The reader is in the room, and has this name."""

    name: str


class Joined(Value):
    name: str


class Departed(Value):
    name: str


class Renamed(Value):
    before: str
    name: str


class Status(Value):
    """`line` is in ROOM_CLOSES or NOT_ADMITTED."""

    line: str


def parse(line: str) -> Said | YouAre | Joined | Departed | Renamed | Status | None:
    """What a line of a room means to `chat join`; None for a line that it only shows."""
    if found := _SAID.fullmatch(line):
        return Said(*found.groups())
    if line in ROOM_CLOSES or line in NOT_ADMITTED:
        return Status(line)
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
    """A text that people have chosen and the room says."""
    return said(RESERVED, text)


def replayed(line: str) -> str:
    """A line of an earlier run for the history: as it is if somebody can have said it, otherwise
    as said by the server.
    """
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


# Lines of the rooms over UDP, which have no connection to close.


def join_refused(why: str) -> str:
    """`why` is that the room is full, or the error of `Names.check`."""
    return f"* {why}"


def too_long(max_characters: int) -> str:
    return f"* that is longer than {max_characters} characters, and was not sent"


def refusal(line: str) -> SockkitError | None:
    """The error for a member whose room over UDP sends `line`; None if that refuses nothing."""
    if line == TOO_FAST or _TOO_LONG.fullmatch(line):
        return SendError("the room did not take all that was said", "see what it said")
    if _JOIN_REFUSED.fullmatch(line):
        return SockkitError("the room did not let us in", "see what it said")
    return None


# Replies to one member, which `chat join` only shows.

LINE_TOO_LONG = f"* that line is longer than {MAX_LINE_BYTES} bytes, and was not sent"
NO_PASSWORD_CAME = "* no password came: good-bye"
NO_PASSWORD_NEEDED = "* no password is needed"

ARGUMENTS = {"/msg": "NAME TEXT", "/me": "TEXT", "/nick": "NAME"}
_HELP = (
    "/nick NAME  be called NAME",
    "/who  who is here",
    "/msg NAME TEXT  tell NAME alone",
    "/me TEXT  say what you do",
    "//TEXT  say a line that begins with /",
    "/quit  leave; so does {quit_word} alone",
)


def help_lines(quit_word: str) -> list[str]:
    return [f"* {line.format(quit_word=quit_word)}" for line in _HELP]


def usage(command: str) -> str:
    return f"* write {command} {ARGUMENTS[command]}"


def unknown(command: str) -> str:
    return f"* there is no {command} like that: /help tells what there is"


def nobody(name: str) -> str:
    return f"* nobody here is {name}: /who tells who is"


def who(names: Sequence[str], max_bytes: int = MAX_WHO_BYTES) -> str:
    """The line that says who is here, at most `max_bytes` long in UTF-8. It counts the names that
    do not fit.
    """
    shown, remaining = 0, max_bytes - len("* 1,000,000 here:  and 1,000,000 more")
    for name in names:
        remaining -= len(f", {name}".encode())
        if remaining < 0:
            break
        shown += 1
    more = f" and {len(names) - shown} more" if shown < len(names) else ""
    return f"* {len(names)} here: {', '.join(names[:shown])}{more}"
