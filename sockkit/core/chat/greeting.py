"""Whether a server is a chat room: its first line tells.

A room says a line of `protocol.greets` first. Any other server is noticed before anything typed is
sent to it: a web server or an echo server by its answer to MARK, others by their greeting or by
their silence.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.chat import protocol
from sockkit.core.printable import escape

MAX_FIRST_CHARACTERS = 1024  # of a first line; a room's has no more
MAX_QUOTED_CHARACTERS = 40  # of what another server says, in an error
_NOTICE = "* "  # how a room's first line begins
_TLS_ALERT = "\x15\x03"  # how TLS answers what is not TLS, RFC 8446 section 5.1


class Greeting:
    """Holds what the server says until its first line shows whether it is a room.

    Calls `on_other` once if it is none, with the words for an error. Nothing is passed on then.
    """

    def __init__(self, on_other: Callable[[str], None]) -> None:
        self._on_other = on_other
        self._held: str | None = ""  # None once it is known
        self._is_room = False

    def feed(self, text: str, /) -> str:
        if self._held is None:
            return text if self._is_room else ""
        self._held += text
        line, end, _ = self._held.partition("\n")
        may_be = _NOTICE.startswith(line[:2]) and len(line) <= MAX_FIRST_CHARACTERS
        if may_be and not end:
            return ""
        return self._decide(is_room=may_be and protocol.greets(line.removesuffix("\r")))

    def flush(self) -> str:
        return self._decide(is_room=False) if self._held else ""

    def _decide(self, *, is_room: bool) -> str:
        held, self._held = self._held or "", None
        self._is_room = is_room
        if is_room:
            return held
        self._on_other(_words(held))
        return ""


def _words(said: str) -> str:
    if said.startswith((_TLS_ALERT, escape(_TLS_ALERT))):
        return "expects TLS: add --tls"
    line = next((line for line in said.splitlines() if line.strip()), "")
    cut = "…" if len(line) > MAX_QUOTED_CHARACTERS else ""
    quoted = escape(line[:MAX_QUOTED_CHARACTERS].strip())
    return f'is not a sockkit chat room (it says "{quoted}{cut}")'
