"""What a telnet client sends besides what is typed, RFC 854."""

from __future__ import annotations

import re

_COMMAND = re.compile(
    rb"\xff(?:\xff|[\xfb-\xfe].|\xfa.{0,255}?\xff\xf0|[\xf1-\xf9])", re.DOTALL
)  # the byte itself; WILL, WON'T, DO, DON'T with an option; SB to SE; the others
_BEGUN = re.compile(rb"\xff(?:[\xfb-\xfe]?|\xfa.{0,256})\Z", re.DOTALL)


class Telnet:
    """Takes the commands out of what a client sends, in pieces of any size.

    Once there was one, CR NUL ends a line as CR LF does. Not for encodings in which the byte
    255 is a letter.
    """

    def __init__(self) -> None:
        self._held = b""
        self._telnet = False

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        if not self._telnet and b"\xff" not in data:
            return data
        out, place = b"", 0
        for command in _COMMAND.finditer(data):
            out += data[place : command.start()]
            place = command.end()
            if command[0] == b"\xff\xff":
                out += b"\xff"
            else:
                self._telnet = True
        rest = data[place:]
        if begun := _BEGUN.search(rest):
            rest, self._held = rest[: begun.start()], begun[0]
        out += rest
        return out.replace(b"\0", b"\n") if self._telnet else out
