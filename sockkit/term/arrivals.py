"""What arrives, from a pipe to the terminal, a chunk at a time between keys."""

from __future__ import annotations

import asyncio
import codecs
import os
from typing import Protocol

from sockkit.system import FIONREAD, ioctl_number

FRAME_SECONDS = 1 / 60  # the line being typed is left standing, and printing should take
MIN_CHUNK_BYTES = 4 * 1024  # printed at a time, however slow the terminal
MAX_CHUNK_BYTES = 512 * 1024


class Shows(Protocol):
    def show(self, text: str) -> None: ...

    def end(self) -> None: ...


class Arrivals:
    """Shows what comes through the pipe `descriptor`, text in `encoding` that is safe to show.

    It owns the pipe. `ended` is set, and `screen` ended, when the pipe has ended or the terminal
    has gone.
    """

    def __init__(self, descriptor: int, encoding: str, screen: Shows) -> None:
        self._descriptor, self._screen = descriptor, screen
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._chunk = MIN_CHUNK_BYTES
        self.ended = asyncio.Event()

    def listen(self) -> None:
        """Show what arrives from now on, in the running asyncio loop."""
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
        """A slow terminal gets less at a time: keys wait no longer than a person notices."""
        chunk = self._chunk // 2 if seconds > FRAME_SECONDS else self._chunk * 2
        self._chunk = max(min(chunk, MAX_CHUNK_BYTES), MIN_CHUNK_BYTES)
