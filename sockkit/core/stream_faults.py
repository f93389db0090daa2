"""Faults of a stream: when its bytes are passed on, in which pieces, and where they stop.

A `StreamFaults` belongs to one direction of one connection. Bytes are never lost, repeated or
reordered: they are delayed, cut into pieces, or not passed on at all. Random choices depend only on
the seed, the connection, the direction and the offset of a byte in its stream. How the network cuts
the bytes, and what other connections do, makes no difference.
"""

from __future__ import annotations

from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING

from sockkit.core.faults import Fault, Pacer

if TYPE_CHECKING:
    from sockkit.core.faults import FaultOptions, Held

# With a rate, each piece is this many seconds' worth, so that short transfers are not too fast.
RATE_PIECE_SECONDS = 0.01
READ_AHEAD_SECONDS = 0.1  # held besides the delay, so that a rate never waits for a read
MIN_HELD_BYTES = 16 * 1024  # in a direction, whatever the delay and the rate
MAX_HELD_BYTES = 32 * 1024 * 1024  # in a direction: a delay of 200 ms passes 160 MB/s at most
MAX_HELD_BYTES_OF_ALL = 64 * 1024 * 1024  # beyond this, each direction may hold MIN_HELD_BYTES
WORTH_READING_BYTES = 64 * 1024  # of free space; with less, wait for more, or for half of the space
PIECE_BYTES = 256  # of memory for each piece, besides its data: a peer may send single bytes


def refuses(options: FaultOptions, seed: int, number: int) -> bool:
    """Whether connection `number` is refused."""
    from random import Random  # few runs need it

    return bool(options.refuse) and Random(f"{seed} {number}").random() < options.refuse


def first_stop(options: FaultOptions) -> tuple[int, Fault] | None:
    """The first stop: after how many bytes it is, and the fault then. None if there is no stop."""
    stops = [
        (options.reset_at, Fault.RESET),
        (options.close_at, Fault.CLOSED),
        (options.stall_at, Fault.STALLED),
    ]
    asked = [(at, what) for at, what in stops if at is not None]
    return min(asked, key=itemgetter(0), default=None)


class StreamFaults:
    """Receives bytes with their time of arrival, and says when to pass on which of them.

    `due` is when to call `take`, None while nothing is held. `held` counts bytes of memory,
    `passed` bytes that were passed on. When the stop is reached, `stop` is set and nothing more
    passes: the direction has stalled, or the connection must be reset or closed. `all_held` counts
    the memory of all directions together. `seed` is only for this direction. Times are in seconds
    of any one clock.
    """

    def __init__(self, options: FaultOptions, seed: str, all_held: Held) -> None:
        self._pacer, self._all = Pacer(options, seed), all_held
        self._stop = first_stop(options)
        self._most = most = options.chunk or MAX_HELD_BYTES
        if rate := options.rate:
            self._most = min(most, max(int(rate * RATE_PIECE_SECONDS), 1))
        self._pieces: deque[tuple[float, bytes]] = deque()  # with their times of arrival
        self._offset = 0  # in the first piece
        self._cut = 0  # bytes of the first piece that pass next
        self.held = self.passed = 0
        self.due: float | None = None
        self.stop: Fault | None = None

    @property
    def delay(self) -> float:
        return self._pacer.delay

    @property
    def room(self) -> int:
        """How many bytes to read and feed now: none beyond a stop, or if there is little space."""
        if self.stop or self._ended:
            return 0
        limit = self._limit()
        room = limit - self.held
        if room < min(limit // 2, WORTH_READING_BYTES):
            return 0
        waiting = self.held - len(self._pieces) * PIECE_BYTES
        return min(room, self._before_stop() - waiting)

    def _limit(self) -> int:
        late, rate = self._pacer.late, self._pacer.rate
        if self._all.size >= MAX_HELD_BYTES_OF_ALL or not (late or rate):
            return MIN_HELD_BYTES
        wanted = 2 * rate * (late + READ_AHEAD_SECONDS) if rate else MAX_HELD_BYTES
        return max(min(int(wanted), MAX_HELD_BYTES), MIN_HELD_BYTES)

    @property
    def _ended(self) -> bool:
        """Whether the end of the input was fed."""
        return bool(self._pieces) and not self._pieces[-1][1]

    @property
    def at_end(self) -> bool:
        """Whether nothing is held but the end."""
        return self._ended and len(self._pieces) == 1

    def feed(self, data: bytes, now: float) -> None:
        """Add `data`, which has arrived. Empty data is the end, which is delayed like a byte."""
        self._pieces.append((now, data))
        self._hold(len(data) + PIECE_BYTES)
        self._plan()

    def _hold(self, size: int) -> None:
        self.held += size
        self._all.size += size

    def take(self, most: int, now: float) -> bytes:
        """At most `most` bytes of the next piece; empty at the end. Call it only when `due`."""
        _, data = self._pieces[0]
        if not data:
            return b""
        size = min(self._cut, most)
        taken = data[self._offset : self._offset + size]
        self._offset += size
        self._cut -= size
        self.passed += size
        self._hold(-size)
        if self._offset == len(data):
            self._pieces.popleft()
            self._offset = 0
            self._hold(-PIECE_BYTES)
        if not self._cut:
            self._pacer.passed(now)
            self._plan()
        return taken

    def drop(self) -> None:
        """Drop all that is held."""
        self._pieces.clear()
        self._hold(-self.held)
        self._offset = self._cut = 0
        self.due = None

    def fail(self, now: float) -> None:
        """Drop all that is held, and end the stream at once, even if it has stalled."""
        self.drop()
        self._stop = self.stop = None
        self.feed(b"", now - self._pacer.late)

    def _plan(self) -> None:
        """Cut the next piece, and set when it is due."""
        if self._cut:
            return
        self.due = None
        if self._stop and not self._before_stop():
            self.stop = self._stop[1]
            self.drop()
        elif self._pieces:
            came, data = self._pieces[0]
            self._cut = min(len(data) - self._offset, self._most, self._before_stop())
            self.due = self._pacer.due(self._cut, came)

    def _before_stop(self) -> int:
        """How many more bytes may pass before the stop; MAX_HELD_BYTES if there is none."""
        return self._stop[0] - self.passed if self._stop else MAX_HELD_BYTES
