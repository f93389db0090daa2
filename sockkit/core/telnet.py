"""Telnet commands in what a client sends, RFC 854 and RFC 855."""

from __future__ import annotations

import re

IAC = b"\xff"  # begins a command

_SUBNEGOTIATION = rb"\xfa(?:[^\xff]|\xff\xff){0,255}"  # up to the IAC of its IAC SE
_COMMAND = rb"(?:[\xfb-\xfe].|[\xf1-\xf9]|" + _SUBNEGOTIATION + rb"\xff\xf0)"
# Within a subnegotiation every IAC but the last is doubled. So if bytes turn out not to be one, no
# other can begin within them, and no byte is examined many times.
_IAC = re.compile(
    rb"\xff(?:(\xff(?:\xff\xff)*)"  # the byte 255 itself, perhaps several times
    rb"|" + _COMMAND + rb"(?:\xff" + _COMMAND + rb")*"
    rb"|((?:[\xfb-\xfe]|" + _SUBNEGOTIATION + rb"\xff?)?\Z))",  # a command that is not complete
    re.DOTALL,
)


class TelnetFilter:
    """Removes Telnet commands from the bytes that a client sends, in pieces of any size.

    A subnegotiation has at most 255 bytes. A longer one is text, and so is an IAC that begins no
    command. After the first command, CR NUL ends a line as CR LF does. The time is linear in the
    bytes fed. Do not use it for encodings in which the byte 255 is a letter.
    """

    def __init__(self) -> None:
        self._held = b""
        self._telnet = False

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        first, *found = _IAC.split(data) if IAC in data else [data]
        before: list[bytes] = []  # text before the first command
        out = [first]
        for letters, begun, text in zip(found[::3], found[1::3], found[2::3], strict=True):
            if letters:
                out.append(letters[::2])
            elif begun is not None:
                self._held = b"\xff" + begun
            elif not self._telnet:
                self._telnet = True
                before, out = out, []
            out.append(text)
        typed = b"".join(out)
        return b"".join(before) + (typed.replace(b"\0", b"\n") if self._telnet else typed)

    def flush(self) -> bytes:
        """The held bytes of an incomplete command. They are dropped if a complete command came
        before.
        """
        held, self._held = self._held, b""
        return b"" if self._telnet else held
