"""Passes on the output of a transform in whole lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockkit.errors import TextError

if TYPE_CHECKING:
    from sockkit.core.text import Transform


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
