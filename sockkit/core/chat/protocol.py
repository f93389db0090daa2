"""The lines of a chat room, and what `chat join` recognises in them.

What somebody says is a line that begins with `[`. A notice of the room begins with `* `. Text that
people choose (messages, the message of the day, what the operator says) appears only in lines that
are said. The only thing in a notice that people choose is a name, and a name has no spaces.
`chat join` recognises a notice as a whole line, so nobody can forge one that it acts on. Over UDP
what somebody says begins with a name and a colon, and no name has a `*`.

This module makes and recognises every line that `chat join` acts on. MARK goes the other way:
`chat join` sends it first. A room says nothing before the line by which `greets` knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sockkit.core.chat.commands import ARGUMENTS, Row, help_lines
from sockkit.core.chat.names import MAX_NAME_LENGTH, NOT_IN_ENCODING, RESERVED
from sockkit.core.printable import escape
from sockkit.core.units import show_count
from sockkit.errors import SendError, SockkitError
from sockkit.values import Value

MAX_LINE_BYTES = 4096  # of what a member sends
MAX_WHO_BYTES = 16 * 1024  # of the line that says who is here

MARK = "/sockkit"  # the first line of a client that speaks the room's encoding
QUIT_WORDS = ("q", "/quit")  # lines that leave, for what acts before a room does

GOODBYE = "* goodbye"
KICKED = "* the operator has disconnected you"
ROOM_FULL = "* the room is full"
TOO_MANY_WAITING = (
    "* too many connections from your address are waiting for a password: try again later"
)
PASSWORD_REQUIRED = "* this room needs a password: type it"
WRONG_PASSWORD = "* wrong password"
LAST_WRONG_PASSWORD = f"{WRONG_PASSWORD}, goodbye"
TOO_FAST = "* too fast: your messages are dropped until you slow down"  # over UDP

# What a line means to the member that receives it.
ROOM_CLOSES = (GOODBYE, KICKED, ROOM_FULL)  # the room closes the connection, and that is no error
WANTS_PASSWORD = (PASSWORD_REQUIRED, WRONG_PASSWORD, LAST_WRONG_PASSWORD)
CROWDED = (ROOM_FULL, TOO_MANY_WAITING)  # a later attempt may succeed
NOT_ADMITTED = (*WANTS_PASSWORD, *CROWDED)

_WELCOME = "everyone here sees what you type, /help lists the commands"
REFUSED_US = "the room refused us"
KICKED_US = "the operator of the room has disconnected us"
KICKED_HINT = "ask why before you join again"
DROPPED = "some lines had no effect in the room"
_NAME = f"([^ ]{{1,{MAX_NAME_LENGTH}}})"
_SAID = re.compile(rf"\[(?:you to )?([^\] ]{{1,{MAX_NAME_LENGTH}}})(?: to you)?\] (.*)")
# What follows the name may change: people choose none of it.
_YOU_ARE = re.compile(rf"\* you are (?:now {_NAME}|{_NAME}(?:; .*)?)")
_JOINED = re.compile(rf"\* {_NAME} joined")
_DEPARTED = re.compile(rf"\* {_NAME} left(?: \(.*\))?")
_RENAMED = re.compile(rf"\* {_NAME} is now {_NAME}")
_NAME_REFUSED = re.compile(
    r'\* (?:the name "\S+" is (?:taken|reserved)|a name (?:must|can|cannot) .*)'
)
# Commands that had no effect; the reader itself has written what is in them.
_ANOTHER_NAME = ": choose another name"
_NOT_DONE = re.compile(
    rf"\* (?:(?:unknown command|nobody here is called|usage:) .*|.*{_ANOTHER_NAME})"
)
_TOO_LONG = re.compile(r"\* message not sent: it is longer than [\d,]+ characters")


NO_TLS = "* this room has no TLS"  # no client that speaks it shows this


class Said(NamedTuple):
    """`name` has said `text`; or the reader has said it to `name` alone."""

    name: str
    text: str


class YouAre(Value):
    """The reader is in the room, and has this name."""

    name: str


class NameRefused(Value):
    """The reader cannot have the name that it wants. `line` says why."""

    line: str


class Dropped(Value):
    """The room has not passed on a line of the reader. `line` says why."""

    line: str


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


Meaning = Said | YouAre | NameRefused | Dropped | Joined | Departed | Renamed | Status


def parse(line: str) -> Meaning | None:
    """What a line of a room means to `chat join`; None for a line that it only shows."""
    if found := _SAID.fullmatch(line):
        return Said(*found.groups())
    if line == LINE_TOO_LONG or _NOT_DONE.fullmatch(line):
        return Dropped(line)
    if line in ROOM_CLOSES or line in NOT_ADMITTED:
        return Status(line)
    if found := _YOU_ARE.fullmatch(line):
        return YouAre(found[1] or found[2])
    if _NAME_REFUSED.fullmatch(line):
        return NameRefused(line)
    if found := _JOINED.fullmatch(line):
        return Joined(*found.groups())
    if found := _DEPARTED.fullmatch(line):
        return Departed(*found.groups())
    if found := _RENAMED.fullmatch(line):
        return Renamed(*found.groups())
    return None


def greets(line: str) -> bool:
    """Whether `line` is one that only a room says first."""
    return isinstance(parse(line), YouAre | NameRefused | Status)


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


def welcome(name: str) -> str:
    return f"* you are {name}; {_WELCOME}"


def you_are_now(name: str) -> str:
    return f"* you are now {name}"


def refused(why: str) -> str:
    """`why` is the error of `Names.check`, or over UDP that the room is full."""
    return f"* {why}"


def joined(name: str) -> str:
    return f"* {name} joined"


def before_you_joined(lines: int) -> str:
    """What is shown above the history."""
    return f"* said before you joined ({show_count(lines, 'line')}):"


def departed(name: str, why: str = "") -> str:
    return f"* {name} left{f' ({why})' if why else ''}"


def renamed(before: str, name: str) -> str:
    return f"* {before} is now {name}"


# Lines of the rooms over UDP, which have no connection to close.


def too_long(max_characters: int) -> str:
    return f"* message not sent: it is longer than {max_characters:,} characters"


def refusal(line: str) -> SockkitError | None:
    """The error for a member whose room over UDP sends `line`; None if it refuses nothing, and the
    member may stay.
    """
    if line == TOO_FAST or _TOO_LONG.fullmatch(line) or _NOT_DONE.fullmatch(line):
        return SendError(DROPPED, "the notices above say why")
    if line == ROOM_FULL or _NAME_REFUSED.fullmatch(line):
        return refused_by(line)
    if line == GOODBYE:
        return SockkitError("the room has closed", "join again when it is open")
    return SockkitError(KICKED_US, KICKED_HINT) if line == KICKED else None


def refused_by(line: str) -> SockkitError:
    """The error for a member whom the room has not admitted, or not by its name, as `line` says."""
    if line == PASSWORD_REQUIRED:
        return SockkitError(REFUSED_US, "give its password with --password-file FILE")
    if line in WANTS_PASSWORD:
        return SockkitError(
            f"{REFUSED_US}: wrong password", "give the right one with --password-file FILE"
        )
    if line == refused(NOT_IN_ENCODING):
        hint = "give the room's encoding with -E"
    else:
        hint = "give another with --name" if _NAME_REFUSED.fullmatch(line) else "try again later"
    return SockkitError(f"{REFUSED_US}: {escape(line.removeprefix('* '))}", hint)


# Replies to one member, which `chat join` only shows.

LINE_TOO_LONG = f"* line not sent: it is longer than {MAX_LINE_BYTES:,} bytes"
NO_PASSWORD_CAME = "* no password came in time: goodbye"
NO_PASSWORD_NEEDED = "* this room needs no password"


def help_notices(rows: Iterable[Row], quit_word: str) -> list[str]:
    return [f"* {line}" for line in help_lines(rows, quit_word)]


def not_renamed(why: str) -> str:
    """`why` is the error of `Names.check`."""
    return f"* {why}{_ANOTHER_NAME}"


def usage(command: str) -> str:
    return f"* usage: {command} {ARGUMENTS[command]}"


def unknown(command: str) -> str:
    return f"* unknown command {command}: /help lists the commands"


def nobody(name: str) -> str:
    return f"* {nobody_called(name)}: /who lists who is here"


def nobody_called(name: str) -> str:
    return f"nobody here is called {name}"


def who(names: Sequence[str], max_bytes: int = MAX_WHO_BYTES) -> str:
    """The line that lists who is here, at most `max_bytes` long in UTF-8. It counts the names
    that do not fit.
    """
    shown, remaining = 0, max_bytes - len("* 1,000,000 here:  and 1,000,000 more")
    for name in names:
        remaining -= len(f", {name}".encode())
        if remaining < 0:
            break
        shown += 1
    more = f" and {len(names) - shown} more" if shown < len(names) else ""
    return f"* {len(names)} here: {', '.join(names[:shown])}{more}"
