"""Reads a file of lines as it grows, like tail -F.

Each line is read once. At the end of the file, we compare a few bytes of the file with those that
we have read, because another process may have truncated, rewritten or replaced the file, or
completed its last line differently. The time for this check does not depend on the size of the
file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Protocol

from sockkit.errors import SockkitError, reason
from sockkit.net.ends.end import Callback, Kind
from sockkit.net.loop import Loop, Timer

POLL_SECONDS = 0.1  # between two checks at the end of the file
SAMPLE_BYTES = 128  # compared at a time: enough for the time in a line of a recording
OPEN = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK


class Lines(Protocol):
    """What splits the bytes into lines."""

    @property
    def held(self) -> bytes | bytearray:
        """The last line, as long as it has no line end."""
        ...

    def forget_cut(self) -> int:
        """Forget that line."""
        ...

    def begin_again(self) -> None:
        """Forget everything: the file is read from its beginning again."""
        ...


class Followed:
    """The file `path`, open as `descriptor`, as a Source that never ends. Owns the descriptor.

    When the file is rewritten or replaced, it calls `on_rewritten` and reads from the beginning. If
    the file is removed or renamed, it goes on with this file until there is a new one at `path`.
    """

    kind = Kind.OTHER

    def __init__(
        self,
        loop: Loop,
        descriptor: int,
        path: str,
        lines: Lines,
        on_rewritten: Callable[[], None],
    ) -> None:
        self._loop, self.descriptor, self.name = loop, descriptor, path
        self._lines, self._on_rewritten = lines, on_rewritten
        self._position = 0
        self._first = b""  # the beginning of what was read
        self._at_end = False
        self._callback: Callback | None = None
        self._timer: Timer | None = None

    def close(self) -> None:
        self.when_readable(None)
        os.close(self.descriptor)

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            if self._at_end:
                self._look_again()
            size = os.preadv(self.descriptor, [buffer], self._position)
        except OSError as error:
            raise self.read_failed(error) from error
        self._at_end = not size
        if self._at_end:
            self._loop.when_readable(self.descriptor, None)
            self._timer = self._loop.later(POLL_SECONDS, self._wake)
            raise BlockingIOError
        if len(self._first) < SAMPLE_BYTES:
            self._first += bytes(buffer[: min(size, SAMPLE_BYTES - len(self._first))])
        self._position += size
        return size

    def has_bytes(self) -> bool:
        return False

    def when_readable(self, callback: Callback | None) -> None:
        self._callback = callback
        if not self._timer:
            self._loop.when_readable(self.descriptor, callback)
        elif not callback:
            self._timer.cancel()
            self._timer = None

    def read_failed(self, error: OSError, /) -> SockkitError:
        return SockkitError(f"could not read {self.name}: {reason(error)}")

    def _wake(self) -> None:
        self._timer = None
        self._loop.when_readable(self.descriptor, self._callback)

    def _look_again(self) -> None:
        """Decide in which file, and at which position, to go on."""
        other = self._other_of_this_name()
        if other is not None:
            self._loop.when_readable(self.descriptor, None)
            os.close(self.descriptor)
            self.descriptor = other
            self._loop.when_readable(self.descriptor, self._callback)
        line = self._position - len(self._lines.held)
        if other is not None or self._size() < line or not self._is_at(0, self._first[:line]):
            self._position, self._first = 0, b""
            self._lines.begin_again()
            self._on_rewritten()
        elif not self._has_line(line):
            self._position = line
            self._lines.forget_cut()
            self._first = self._first[:line]

    def _other_of_this_name(self) -> int | None:
        """A descriptor of the file that has replaced this one; None if it was not replaced."""
        try:
            there = os.stat(self.name)
            is_this = os.path.samestat(there, os.fstat(self.descriptor))
            return None if is_this or not stat.S_ISREG(there.st_mode) else os.open(self.name, OPEN)
        except FileNotFoundError:
            return None

    def _size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def _has_line(self, place: int) -> bool:
        """Whether the incomplete last line is still at `place`, unchanged as far as we can see."""
        held = self._lines.held
        end = bytes(held[-SAMPLE_BYTES:])
        return self._is_at(place, bytes(held[:SAMPLE_BYTES])) and self._is_at(
            self._position - len(end), end
        )

    def _is_at(self, place: int, data: bytes) -> bool:
        return os.pread(self.descriptor, len(data), place) == data
