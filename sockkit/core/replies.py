"""Whether a peer's reply matches what is expected, across receives and in bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockkit.core.printable import escape
from sockkit.core.units import show_seconds
from sockkit.errors import SockkitError
from sockkit.values import Value

if TYPE_CHECKING:
    import regex as engine

MAX_REPLY_BYTES = 64 * 1024  # of one reply: a peer that sends without end must match within these
MAX_SHOWN_CHARACTERS = 60  # of a reply that does not match
SEARCH_SECONDS = 0.020  # for one search, tried twice, as all other targets wait meanwhile


class Question(Value):
    """What to send, and what the reply must match; None matches any reply."""

    send: bytes = b""
    pattern: engine.Pattern[str] | None = None


class Reply:
    """The bytes that one peer has sent so far.

    Searching after every byte would take quadratic time, so `due` says whether the reply has
    doubled since the last search. Search again when the peer pauses or ends.
    """

    def __init__(self, pattern: engine.Pattern[str] | None) -> None:
        self._pattern = pattern
        self._data = bytearray()
        self._searched = 0

    def feed(self, data: bytes | memoryview) -> None:
        self._data += data

    @property
    def space(self) -> int:
        """How many more bytes the reply may have."""
        return MAX_REPLY_BYTES - len(self._data)

    @property
    def due(self) -> bool:
        return len(self._data) >= 2 * self._searched or not self.space

    def matches(self) -> bool:
        """Whether the reply matches the pattern. Raises SockkitError if that takes too long."""
        self._searched = len(self._data)
        if not self._pattern:
            return True
        from sockkit.core.patterns import search  # which compiled the pattern

        text = self._data.decode(errors="surrogateescape")
        try:
            return bool(search(self._pattern, text, SEARCH_SECONDS))
        except TimeoutError as error:
            why = f"the pattern took longer than {show_seconds(SEARCH_SECONDS)}"
            raise SockkitError(f"could not match: {why}", kind=f"no match: {why}") from error

    def mismatch(self, name: str) -> SockkitError:
        """The error for a reply from the peer `name` that has ended and does not match."""
        if not self._data:
            return SockkitError(f"{name} sent nothing", kind="no match: it sent nothing")
        shown = self._shown()
        return SockkitError(
            f"the reply of {name} does not match: it begins with {shown}",
            "check --match",
            kind=f"no match: {shown}",
        )

    def _shown(self) -> str:
        text = bytes(self._data[: 4 * MAX_SHOWN_CHARACTERS]).decode(errors="backslashreplace")
        more = "…" if len(text) > MAX_SHOWN_CHARACTERS or len(self._data) > 240 else ""
        return f'"{escape(text[:MAX_SHOWN_CHARACTERS])}{more}"'
