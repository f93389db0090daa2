"""What a person types into chat join while not in the room."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.chat.protocol import QUIT_WORDS
from sockkit.core.units import show_count, show_size
from sockkit.errors import SendError, SockkitError
from sockkit.events import Notice
from sockkit.net.context import Context

MAX_TYPED_BYTES = 64 * 1024  # kept; no more is read until it is said
MAX_READ_BYTES = 4096  # at once


class TypedAhead:
    """Keeps the lines until the room hears them. Stdin that is not a terminal is not read.

    `on_leave` is called when the person leaves, by one of QUIT_WORDS or the end of stdin: with an
    error if lines were kept.
    """

    def __init__(self, context: Context, on_leave: Callable[[SockkitError | None], None]) -> None:
        self._input, self._emit, self._on_leave = context.stdio.input, context.emit, on_leave
        self._kept = b""
        self._reading = False
        self._marked: int | None = None  # how many lines a notice has marked, None before `mark`

    @property
    def unsent(self) -> str:
        """How many lines are kept; empty if none are."""
        lines = len(list(filter(None, self._kept.split(b"\n"))))
        return f"{show_count(lines, 'line')} not sent" if lines else ""

    def read(self) -> None:
        """Keep what is typed from now on."""
        if self._input.terminal and len(self._kept) <= MAX_TYPED_BYTES:
            self._reading = True
            self._input.when_readable(self._read)

    def stop(self) -> None:
        """Read no more: what is typed from now on is for others to read."""
        if self._reading:
            self._reading = False
            self._input.when_readable(None)

    def mark(self) -> None:
        """Mark lines as kept, those typed before and those that follow."""
        self._marked = self._marked or 0
        self._tell()

    def take(self) -> bytes:
        """What was kept, for the room, which hears what is typed from now on."""
        self.stop()
        kept, self._kept = self._kept, b""
        if self._marked:
            self._emit(Notice(f"sent {show_count(self._marked, 'kept line')}"))
        self._marked = None
        return kept

    def _read(self) -> None:
        buffer = memoryview(bytearray(MAX_READ_BYTES))
        try:
            size = self._input.read_into(buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self._on_leave(error)
            return
        *lines, rest = (self._kept + bytes(buffer[:size])).split(b"\n")
        words = [word.encode() for word in QUIT_WORDS]
        leaves = next((at for at, line in enumerate(lines) if line in words), None)
        if not size or leaves is not None:
            self._kept = b"\n".join([*lines, rest] if leaves is None else lines[:leaves])
            told = f"{self.unsent}: there is no connection to the room"
            self._on_leave(SendError(told, "join again to say them") if self.unsent else None)
            return
        self._kept += bytes(buffer[:size])
        self._tell()
        if len(self._kept) > MAX_TYPED_BYTES:
            self.stop()
            kept = show_size(MAX_TYPED_BYTES)
            self._emit(Notice(f"{kept} kept, and no more until you are in the room"))

    def _tell(self) -> None:
        lines = self._kept.count(b"\n")
        if self._marked is not None and lines > self._marked:
            self._marked = lines
            self._emit(Notice(f"kept until you are in the room ({show_count(lines, 'line')})"))
