"""Telnet commands in what a client sends, RFC 854 and RFC 855."""

from __future__ import annotations

import re

_SUBNEGOTIATION = rb"\xfa(?:[^\xff]|\xff\xff){0,255}"  # up to the IAC of its IAC SE
_COMMAND = rb"(?:[\xfb-\xfe].|[\xf1-\xf9]|" + _SUBNEGOTIATION + rb"\xff\xf0)"
# Every IAC within a subnegotiation but the last has its IAC beside it. So where one turns out to
# be none, no other can have begun within it: no byte is looked at again and again.
_IAC = re.compile(
    rb"\xff(?:(\xff(?:\xff\xff)*)"  # the byte 255 itself, perhaps several times
    rb"|" + _COMMAND + rb"(?:\xff" + _COMMAND + rb")*"
    rb"|((?:[\xfb-\xfe]|" + _SUBNEGOTIATION + rb"\xff?)?\Z))",  # a command that may go on
    re.DOTALL,
)


class Telnet:
    """Takes the commands out of what a client sends, in pieces of any size.

    A subnegotiation has at most 255 bytes; a longer one is no command but text, as is an IAC
    before anything that is no command. Once there was a command, CR NUL ends a line as CR LF
    does. Takes time in proportion to what is fed. Not for encodings in which the byte 255 is a
    letter.
    """

    def __init__(self) -> None:
        self._held = b""
        self._telnet = False

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        if b"\xff" not in data:
            self._held = b""
            return self._text(data)
        held, place = b"", 0
        out: list[bytes] = []
        for found in _IAC.finditer(data):
            out.append(self._text(data[place : found.start()]))
            place = found.end()
            letters, begun = found.groups()
            if letters:
                out.append(letters[::2])
            elif begun is not None:
                held = found[0]
            else:
                self._telnet = True
        self._held = held
        return b"".join([*out, self._text(data[place:])])

    def flush(self) -> bytes:
        """What was held for the rest of a command, where no telnet client has sent it."""
        held, self._held = self._held, b""
        return b"" if self._telnet else held

    def _text(self, data: bytes) -> bytes:
        return data.replace(b"\0", b"\n") if self._telnet else data
