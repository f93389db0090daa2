"""Sends a file, piece by piece, when the user asks for it at the console or the Ctrl-] prompt."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from sockkit.core.units import show_size
from sockkit.errors import UsageError, reason
from sockkit.events import Answer
from sockkit.net.context import Context

PIECE_BYTES = 64 * 1024  # in memory at a time


class FileFeed:
    """Sends the regular file at `path`, up to the size that it has at the beginning.

    While `ready()` is true, it calls `send` once per turn of the loop, with at most `piece` bytes.
    Call `resume` to begin, and whenever it may be ready again. At the end of the file, or when
    reading fails, it emits an Answer that says so, and calls `on_end`. `stop` ends it earlier.
    """

    def __init__(
        self,
        context: Context,
        path: str,
        piece: int,
        ready: Callable[[], bool],
        send: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        """Raises UsageError if there is no such file."""
        self._context, self._path, self._piece = context, path, piece
        self._ready, self._send, self._on_end = ready, send, on_end
        self._file, self._size = _open(path)
        self._sent = 0
        self._planned = False

    @property
    def left(self) -> int:
        """How many bytes of the file are not sent."""
        return self._size - self._sent if self._file >= 0 else 0

    def resume(self) -> None:
        if self._file >= 0 and not self._planned and self._ready():
            self._planned = True
            self._context.loop.call_soon(self._step)

    def stop(self) -> None:
        """Send no more, and emit an Answer that says how much was sent. May be called twice."""
        if self._file >= 0:
            self._close("")

    def _step(self) -> None:
        self._planned = False
        if self._file < 0 or not self._ready():
            return
        try:
            data = os.read(self._file, min(self._piece, self.left))
        except OSError as error:
            self._end(f": {reason(error)}")
            return
        if data:
            self._sent += len(data)
            self._send(data)
            self.resume()
        else:
            self._end(": the file became shorter" if self.left else "")

    def _end(self, why: str) -> None:
        self._close(why)
        self._on_end()

    def _close(self, why: str) -> None:
        part = f"{self._sent:,} of " if self.left else ""
        self._context.emit(Answer(f"{part}{show_size(self._size)} of {self._path} sent{why}"))
        os.close(self._file)
        self._file = -1


def _open(path: str) -> tuple[int, int]:
    """A descriptor of the regular file at `path`, and its size. Raises UsageError."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a directory", "give a file")
        if not stat.S_ISREG(mode):  # opening a device may have an effect
            raise UsageError(f"{path} is not a regular file", "pipe it to stdin")
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        return file, os.fstat(file).st_size
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UsageError(f"could not read {path}: {why}", "check the name") from error
