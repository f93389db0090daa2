"""From the bytes that a member's connection receives to text in the encoding of its chat room."""

from __future__ import annotations

from sockkit.core.chat.protocol import MARK
from sockkit.core.telnet import IAC, TelnetFilter
from sockkit.core.text import TextOptions, Transcoder

_MARK = f"{MARK}\n".encode()


class MemberInput:
    """Removes a telnet client's commands, and the mark that `chat join` begins with.

    `encoding` is the member's: the room's for a member that begins with the mark, otherwise
    `client_encoding` if that is set. Text in another encoding than the room's is converted.
    """

    def __init__(self, room_encoding: str, client_encoding: str | None) -> None:
        self._room_encoding = room_encoding
        self.encoding = client_encoding or room_encoding
        self._telnet = None if _is_letter(b"\xff", self.encoding) else TelnetFilter()
        self._transcoder: Transcoder | None = None
        self._beginning: bytes | None = b""  # until it is known whether that is the mark

    @property
    def known(self) -> bool:
        """Whether the member's encoding is known."""
        return self._beginning is None

    def has_commands(self, data: bytes) -> bool:
        """Whether `data` may have telnet commands, which take longer to handle than text."""
        return self._telnet is not None and IAC in data

    def feed(self, data: bytes) -> bytes:
        """The text in `data`; nothing while the input may yet become the mark."""
        text = self._unmarked(self._telnet.feed(data) if self._telnet else data, final=False)
        return self._transcoder.feed(text) if self._transcoder else text

    def flush(self) -> bytes:
        """The text that was held, at the end of the input."""
        text = self._unmarked(self._telnet.flush() if self._telnet else b"", final=True)
        return self._transcoder.feed(text) + self._transcoder.flush() if self._transcoder else text

    def _unmarked(self, data: bytes, *, final: bool) -> bytes:
        if self._beginning is None:
            return data
        self._beginning += data
        incomplete = len(self._beginning) < len(_MARK) and not final
        if incomplete and _MARK.startswith(self._beginning):
            return b""
        beginning, self._beginning = self._beginning, None
        if beginning.startswith(_MARK):
            self.encoding = self._room_encoding
        elif self.encoding != self._room_encoding:
            self._transcoder = TextOptions(self.encoding).inbound(self._room_encoding)
        return beginning.removeprefix(_MARK)


def _is_letter(data: bytes, encoding: str) -> bool:
    try:
        return bool(data.decode(encoding))
    except UnicodeDecodeError:
        return False
