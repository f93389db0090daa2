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
