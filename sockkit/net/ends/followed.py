"""A file that is read as it grows, as tail(1) does."""

from __future__ import annotations

import os
from collections.abc import Callable

from sockkit.errors import SockkitError, reason
from sockkit.net.ends.end import Callback, Kind
from sockkit.net.loop import Loop, Timer

POLL_SECONDS = 0.1  # after the end of the file, until it is looked at again


class Followed:
    """The open file `descriptor`, as a Source that never ends.

    At the end of the file `on_end` says how many of its last bytes are to be read again: whoever
    writes it may still replace them.
    """

    kind = Kind.OTHER

    def __init__(self, loop: Loop, descriptor: int, name: str, on_end: Callable[[], int]) -> None:
        self._loop, self.descriptor, self.name, self._on_end = loop, descriptor, name, on_end
        self._callback: Callback | None = None
        self._timer: Timer | None = None

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            size = os.readv(self.descriptor, [buffer])
            if size:
                return size
            os.lseek(self.descriptor, -self._on_end(), os.SEEK_CUR)
        except OSError as error:
            raise self.read_failed(error) from error
        self._loop.when_readable(self.descriptor, None)
        self._timer = self._loop.later(POLL_SECONDS, self._look)
        raise BlockingIOError

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

    def _look(self) -> None:
        self._timer = None
        self._loop.when_readable(self.descriptor, self._callback)
