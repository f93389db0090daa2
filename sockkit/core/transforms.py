"""Transforms that use other transforms."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.errors import TextError

if TYPE_CHECKING:
    from sockkit.core.text import Transform


def convert(make: Callable[[], Transform | None], datagram: bytes) -> bytes:
    """`datagram`, converted on its own by a new transform from `make`. Raises TextError."""
    transform = make()
    return transform.feed(datagram) + transform.flush() if transform else datagram


class Lenient:
    """Applies `transform` line by line to what a person types. A line that cannot be converted is
    dropped and reported to `on_refused`. `refused` counts these lines.
    """

    def __init__(self, transform: Transform, on_refused: Callable[[TextError], None]) -> None:
        self._transform, self._on_refused = transform, on_refused
        self.refused = 0

    def feed(self, data: bytes) -> bytes:
        out = b""
        for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
            try:
                out += self._transform.feed(line)
            except TextError as error:
                self.refused += 1
                self._on_refused(error)
        return out

    def flush(self) -> bytes:
        return self._transform.flush()


class WholeLines:
    """Applies `transform`, and holds an unfinished line back: if the rest of it cannot be
    converted, no part of it is passed on. Of a line longer than `max_bytes`, parts are.
    """

    def __init__(self, transform: Transform, max_bytes: int) -> None:
        self._transform, self._max_bytes = transform, max_bytes
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Raises TextError, with the whole lines before the fault."""
        try:
            return self._lines(self._transform.feed(data))
        except TextError as error:
            self._drop(error)
            raise

    def flush(self) -> bytes:
        """The rest, at the end of the input. Raises TextError as `feed` does."""
        try:
            rest = self._transform.flush()
        except TextError as error:
            self._drop(error)
            raise
        held, self._held = self._held, b""
        return held + rest

    def _drop(self, error: TextError) -> None:
        error.before = self._lines(error.before)
        self._held = b""

    def _lines(self, data: bytes) -> bytes:
        data = self._held + data
        size = data.rfind(b"\n") + 1
        if len(data) - size > self._max_bytes:
            size = len(data)
        self._held = data[size:]
        return data[:size]
