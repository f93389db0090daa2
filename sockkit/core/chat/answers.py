"""What a chat room answers one member: lines that are only shown."""

from __future__ import annotations

from collections.abc import Sequence

from sockkit.core.chat.inbox import MAX_LINE_BYTES

MAX_WHO_BYTES = 16 * 1024  # of the line that says who is here

TOO_LONG = f"* that line is longer than {MAX_LINE_BYTES} bytes, and was not sent"
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
    """The line that says who is here, of `max_bytes` in UTF-8; who does not fit is counted."""
    shown, remaining = 0, max_bytes - len("* 1,000,000 here:  and 1,000,000 more")
    for name in names:
        remaining -= len(f", {name}".encode())
        if remaining < 0:
            break
        shown += 1
    more = f" and {len(names) - shown} more" if shown < len(names) else ""
    return f"* {len(names)} here: {', '.join(names[:shown])}{more}"
