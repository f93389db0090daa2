"""The lines of a chat room that `chat join` acts on: how they are written, and how they are read.

Only what is here is known by its words; every other line is shown as it comes. MARK goes the other
way: `chat join` says it first.
"""

from __future__ import annotations

import re

from sockkit.core.chat.names import LONGEST as LONGEST_NAME

MARK = "/sockkit"  # the first line of a client that speaks the room's encoding

GOOD_BYE = "* good-bye"
SENT_AWAY = "* you have been sent away"
FULL = "* the room is full"
CROWDED = "* too many from your address are waiting: try later"
LOCKED = "* this room has a password: type it"
WRONG = "* that is not the password"
WRONG_TOO_OFTEN = f"{WRONG}: good-bye"

# What a line says to the member that is told it.
PARTINGS = (GOOD_BYE, SENT_AWAY, FULL)  # the room closes the connection, as it should
WANTS_PASSWORD = (LOCKED, WRONG, WRONG_TOO_OFTEN)
NOT_ADMITTED = (*WANTS_PASSWORD, FULL, CROWDED)

_NAME = f"{{1,{LONGEST_NAME}}}"
# The first group is the name, the second the text.
SAID = re.compile(rf"\[(?:you to )?([^\] ]{_NAME})(?: to you)?\] (.*)")
# The one group that matched is the name.
YOU_ARE = re.compile(rf"\* you are ([^ ;]{_NAME})(?![^ ;])")
CAME = re.compile(rf"\* (?:([^ ]{_NAME}) joined$|[^ ]+ is now ([^ ]{_NAME})$)")
WENT = re.compile(rf"\* ([^ ]{_NAME}) (?:left|is now)\b")


def said(name: str, text: str) -> str:
    return f"[{name}] {text}"


def said_to_you(name: str, text: str) -> str:
    return f"[{name} to you] {text}"


def said_by_you(to: str, text: str) -> str:
    return f"[you to {to}] {text}"


def you_are(name: str) -> str:
    return f"* you are {name}"


def welcome(name: str) -> str:
    return f"{you_are(name)}; what you type is said to all, /help tells more"


def joined(name: str) -> str:
    return f"* {name} joined"


def left(name: str, why: str = "") -> str:
    return f"* {name} left{f' ({why})' if why else ''}"


def renamed(before: str, name: str) -> str:
    return f"* {before} is now {name}"
