"""The commands of a chat room: one table for the members and for its operator."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sockkit.core.printable import COMMA, aligned, escape, plain_slashes


class Row(NamedTuple):
    """A command, what stands for its argument, and what it does."""

    name: str
    argument: str
    summary: str

    @property
    def usage(self) -> str:
        return f"{self.name} {self.argument}".rstrip()


NICK = Row("/nick", "NAME", "change your name")
WHO = Row("/who", "", "list who is here")
LIST = Row("/list", "", "list who is here, with number and address")
MSG = Row("/msg", "NAME TEXT", "send TEXT to NAME only")
ME = Row("/me", "TEXT", "say *TEXT*, to show what you are doing")
KICK = Row("/kick", "NAME", "disconnect NAME")
SLASH = Row("//TEXT", "", "send /TEXT, a line that begins with a slash")
HELP = Row("/help", "", "show this list")
QUIT = Row("/quit", "", "leave the room")
CLOSE = Row("/quit", "", "close the room")

MEMBER = (NICK, WHO, MSG, ME, SLASH, HELP, QUIT)
OPERATOR = (WHO, LIST, MSG, ME, KICK, SLASH, HELP, CLOSE)
UDP_MEMBER = (WHO, SLASH, HELP, QUIT)
UDP_OPERATOR = (WHO, LIST, MSG, KICK, SLASH, HELP, CLOSE)

# What each command wants after its name.
ARGUMENTS = {row.name: row.argument for row in (*MEMBER, *OPERATOR) if row.argument}


_NAMES = {row.name for row in (*MEMBER, *OPERATOR)}


def plain_command(text: str) -> str:
    """`text` as it is usually written, if it is a command in another form: after spaces, or with
    the slash and the spaces of an input method. So what is meant for one member is not said to all.
    """
    text = plain_slashes(text)
    bare = plain_slashes(text.lstrip())
    bare = f"/{bare[1:]}" if bare.startswith(COMMA) else bare
    parts = re.split("[ \u3000]+", bare, maxsplit=2 if bare.startswith(MSG.name) else 1)
    return " ".join(parts).rstrip() if parts[0] in _NAMES else text


def completions(rows: Iterable[Row], word: str) -> list[tuple[str, str]]:
    """The commands that begin with `word`, each with what it does."""
    return [(row.name, row.summary) for row in rows if row.name.startswith(word) and row != SLASH]


def help_lines(rows: Iterable[Row], quit_word: str, *more: str) -> list[str]:
    """The table in two columns. `quit_word`, and `more` at the terminal, do what `/quit` does."""
    ways = ", ".join(escape(way) for way in (quit_word, *more) if way and way != QUIT.name)
    also = {QUIT.name: f" (also: {ways})" if ways else ""}
    return aligned((row.usage, row.summary + also.get(row.name, "")) for row in rows)
