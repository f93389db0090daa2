"""Transforms made of other transforms: line by line, and one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.errors import TextError

if TYPE_CHECKING:
    from sockkit.core.text import Transform


class Lenient:
    """Applies `transform` line by line, for a person who types. A line that cannot be converted
    is dropped and reported to `on_refused`. `refused` counts these lines.
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


class Chain:
    """Several transforms, applied one after the other."""

    def __init__(self, *transforms: Transform) -> None:
        self._transforms = transforms

    def feed(self, data: bytes) -> bytes:
        for index, transform in enumerate(self._transforms):
            try:
                data = transform.feed(data)
            except TextError as error:
                self._convert_before(error, index)
                raise
        return data

    def flush(self) -> bytes:
        data = b""
        for index, transform in enumerate(self._transforms):
            try:
                data = _feed_all(transform, data)
            except TextError as error:
                self._convert_before(error, index)
                raise
        return data

    def _convert_before(self, error: TextError, index: int) -> None:
        """Apply the transforms after `index` to the output before the fault."""
        for transform in self._transforms[index + 1 :]:
            try:
                error.before = _feed_all(transform, error.before)
            except TextError as further:
                error.before = further.before


def _feed_all(transform: Transform, data: bytes) -> bytes:
    """Feed `data` and flush. The `before` of a TextError has all output before the fault."""
    out = transform.feed(data)
    try:
        return out + transform.flush()
    except TextError as error:
        error.before = out + error.before
        raise
