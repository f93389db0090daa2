"""Shows the program's output, from a pipe, in chunks so small that typed keys do not wait."""

from __future__ import annotations

import asyncio
import codecs
import os
from typing import Protocol

from sockkit.system import FIONREAD, ioctl_number

FRAME_SECONDS = 1 / 60  # to print a chunk, and between two chunks
MIN_CHUNK_BYTES = 4 * 1024  # however slow the terminal is
MAX_CHUNK_BYTES = 512 * 1024


class Screen(Protocol):
    def show(self, text: str) -> None: ...

    def end(self) -> None: ...


class Arrivals:
    """Shows the text from the pipe `descriptor`, in `encoding` and safe to show, on `screen`.

    Owns the pipe. When the pipe has ended, or the terminal has gone, it sets `ended` and ends
    `screen`.
    """

    def __init__(self, descriptor: int, encoding: str, screen: Screen) -> None:
        self._descriptor, self._screen = descriptor, screen
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._chunk = MIN_CHUNK_BYTES
        self.ended = asyncio.Event()

    def listen(self) -> None:
        """Show text as it arrives, in the running asyncio loop."""
        asyncio.get_running_loop().add_reader(self._descriptor, self._arrived)

    def more_waits(self) -> bool:
        return bool(ioctl_number(self._descriptor, FIONREAD))

    def close(self) -> None:
        os.close(self._descriptor)

    def _arrived(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        data = os.read(self._descriptor, self._chunk)
        began = loop.time()
        try:
            self._screen.show(self._decoder.decode(data))
        except OSError:  # the terminal has gone
            data = b""
        if data:
            self._adapt(loop.time() - began)
            loop.call_later(FRAME_SECONDS, self.listen)
        else:
            self.ended.set()
            self._screen.end()

    def _adapt(self, seconds: float) -> None:
        """Use smaller chunks on a slow terminal, so that typed keys are not noticeably delayed."""
        chunk = self._chunk // 2 if seconds > FRAME_SECONDS else self._chunk * 2
        self._chunk = max(min(chunk, MAX_CHUNK_BYTES), MIN_CHUNK_BYTES)
