"""Larger steps while much comes in over a connection within this machine.

By default the system wakes a reader for each segment, and some MiB queue up at each socket. When
their turn comes, they have left the processor's cache. A reader that wakes for 256 KiB, and sends
from a short queue, moves twice as many bytes in a second.

Between machines, a short queue might not fill the network's path, so there nothing is changed.

A message that ends below what the reader wakes for is delayed by a look or two. On a connection
that carries requests and answers, each message would be. So the pause before the next try is
doubled.
"""

from __future__ import annotations

from sockkit.net.ends.end import Sink, Source
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop, Timer

LOOK_SECONDS = 0.005  # between two looks at how much has come
MUCH_BYTES = 1024 * 1024  # between two looks: about 200 MB a second
LOW_WATER_BYTES = 256 * 1024  # what the reader wakes for, while so much comes between two looks
SEND_QUEUE_BYTES = 512 * 1024
MAX_PAUSE_LOOKS = 128  # at least 0.64 s, so that a delay costs a hundredth of the time or less


class Bulk:
    """Watches how much a pump receives from `source`, and adapts both sockets to it.

    It does nothing if `source` is not a connection within this machine. The last bytes after much
    are delayed by up to two LOOK_SECONDS. `stop` ends that.
    """

    __slots__ = (
        "_left",
        "_loop",
        "_low_water",
        "_pause",
        "_received",
        "_sink",
        "_source",
        "_timer",
    )

    def __init__(self, loop: Loop, source: Source, sink: Sink) -> None:
        self._loop, self._sink = loop, sink
        self._source: SocketEnd | None = None
        if isinstance(source, SocketEnd) and source.is_local():
            self._source = source
        self._received = 0  # since the last look
        self._timer: Timer | None = None  # until the next look; None if nothing comes
        self._low_water = 1
        self._pause = 1  # looks with much before the reader wakes for more
        self._left = 0  # of them

    def received(self, size: int) -> None:
        """Call it after each step."""
        self._received += size
        if size and self._source and not self._timer:
            self._timer = self._loop.later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        size, self._received = self._received, 0
        self._timer = self._loop.later(LOOK_SECONDS, self._look) if size else None
        if size < LOW_WATER_BYTES:
            self._lower()
        elif size < MUCH_BYTES:
            return
        elif self._low_water > 1:
            self._pause = max(1, self._pause // 2)
        elif self._left:
            self._left -= 1
        else:
            self._raise()

    def _raise(self) -> None:
        self._wake_at(LOW_WATER_BYTES)
        if isinstance(self._sink, SocketEnd) and self._sink.is_local():
            self._sink.limit_queue(SEND_QUEUE_BYTES)

    def _lower(self) -> None:
        if self._low_water > 1:
            self._left = self._pause = min(2 * self._pause, MAX_PAUSE_LOOKS)
            self._wake_at(1)

    def _wake_at(self, size: int) -> None:
        if self._source and size != self._low_water:
            self._low_water = size
            self._source.wake_at(size)

    def stop(self) -> None:
        """Wake the reader for any byte again."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._wake_at(1)
