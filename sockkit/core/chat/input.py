"""What a member's connection sends, as text in the encoding of its chat room."""

from __future__ import annotations

from sockkit.core.chat.lines import MARK
from sockkit.core.telnet import IAC, Telnet
from sockkit.core.text import TextOptions, Transcoder

_MARK = f"{MARK}\n".encode()


class MemberInput:
    """Takes out a telnet client's commands and the mark that `chat join` begins with.

    `encoding` is what the member speaks: `client_encoding`, where it is given, until the mark has
    come. What comes in another encoding than the room's is converted.
    """

    def __init__(self, room_encoding: str, client_encoding: str | None) -> None:
        self._room_encoding = room_encoding
        self.encoding = client_encoding or room_encoding
        self._telnet = None if _is_letter(b"\xff", self.encoding) else Telnet()
        self._transcoder: Transcoder | None = None
        self._beginning: bytes | None = b""  # until it is known whether it is the mark

    @property
    def known(self) -> bool:
        """Whether it is known what the member speaks."""
        return self._beginning is None

    def has_commands(self, data: bytes) -> bool:
        """Whether `data` has telnet commands, or what is no text and takes as long to look at."""
        return self._telnet is not None and IAC in data

    def feed(self, data: bytes) -> bytes:
        """The text in `data`; nothing while it may yet become the mark."""
        text = self._unmarked(self._telnet.feed(data) if self._telnet else data, final=False)
        return self._transcoder.feed(text) if self._transcoder else text

    def flush(self) -> bytes:
        """What the end of the input releases."""
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
