"""What a view remembers of each flow: one direction of one stream."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from sockkit.core.records import Direction, Stream

# A view forgets a stream when it is closed. A recording that was cut or forged may never say that.
# This is more than a server has open at a time.
MAX_STREAMS = 65_536

T = TypeVar("T")


class Flows(Generic[T]):
    """A value for each flow, made when the flow is first asked for.

    Beyond MAX_STREAMS, the oldest stream is forgotten.
    """

    def __init__(self, make: Callable[[Direction], T]) -> None:
        self._make = make
        # In an ordinary dict, finding the first key gets slower as first keys are deleted.
        self._streams: OrderedDict[Stream, dict[Direction, T]] = OrderedDict()

    def of(self, stream: Stream, direction: Direction) -> T:
        try:
            return self._streams[stream][direction]
        except KeyError:
            if stream not in self._streams and len(self._streams) >= MAX_STREAMS:
                self.forget(next(iter(self._streams)))
            return self._streams.setdefault(stream, {}).setdefault(direction, self._make(direction))

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream, None)

    def clear(self) -> None:
        self._streams.clear()
