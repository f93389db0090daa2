"""Frames: the messages in a stream of bytes, as a rule describes them.

`core/frame_spec.py` makes a rule from a SPEC such as `len:2be`, and the rule makes a Framer for one
direction of one connection. Joined, the frames are the bytes: nothing is dropped or added. Where
frames begin and end does not depend on how the bytes arrive, except for `gap` and for pauses within
stray bytes.

The mark of a frame says why it is not an ordinary one:

- overlong: longer than MAX_FRAME_BYTES, so it comes in pieces
- stray: bytes before a marker, or after an impossible length
- cut: the stream has ended within the frame

A length is impossible if it makes its frame longer than MAX_FRAME_BYTES or shorter than its header.
If the rule has a marker, this marker was a false one: its first byte is stray, and the search goes
on after it. Without a marker, the bytes of a frame that is too long come out in pieces, and the
next frame follows them. After a frame that is too short everything is stray, as nothing says where
the next frame begins.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from sockkit.values import Value

MAX_FRAME_BYTES = 1024 * 1024  # of one frame: so much is held until it is complete
MAX_PIECE_BYTES = 4096  # of stray bytes, and of a frame whose length says that it is too long
PIECE_SECONDS = 0.1  # of silence, after which such a piece comes out anyway

Mark = Literal["", "overlong", "stray", "cut"]


class Frame(NamedTuple):
    data: bytes
    mark: Mark = ""


class Delimited(Value):
    """A frame ends with `delimiter`. The last one need not have it if `open_end`."""

    delimiter: bytes
    open_end: bool = False

    def framer(self) -> Framer:
        return _DelimitedFramer(self)


class Fixed(Value):
    """Each frame has `size` bytes."""

    size: int

    def framer(self) -> Framer:
        return _FixedFramer(self)


class Counted(Value):
    """A frame begins with `marker`, and has its length in `size` bytes at `offset`.

    The length counts the bytes that follow it; `more` follow in addition, or fewer if it is
    negative.
    """

    marker: bytes
    offset: int
    size: int
    order: Literal["big", "little"]
    more: int

    def framer(self) -> Framer:
        return _CountedFramer(self)


class Gap(Value):
    """A silence of so many seconds ends a frame."""

    seconds: float

    def framer(self) -> Framer:
        return _GapFramer(self)


FrameRule = Delimited | Fixed | Counted | Gap


class Framer:
    """Groups the bytes of one direction of one connection into frames.

    `now` is in seconds of any clock that does not go back. Each byte is looked at a bounded number
    of times, and no more than a frame of MAX_FRAME_BYTES is held. If `pause` is set, a silence of
    so many seconds ends a frame.
    """

    pause: float | None = None

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return len(self._held)

    def pending(self, begin: int = 0) -> bytes:
        """A copy of the held bytes, from `begin` on. They still come out later."""
        return bytes(self._held[begin:])

    @property
    def due(self) -> float | None:
        """When `expire` is to be called, unless more is fed before; None for never."""
        return None

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        """The frames that `data` completes."""
        raise NotImplementedError

    def expire(self, now: float) -> list[Frame]:
        """The frames that a silence until `now` completes."""
        return []

    def flush(self) -> list[Frame]:
        """The frames that are held when the direction ends."""
        held, self._held = bytes(self._held), bytearray()
        return [Frame(held, self._last_mark())] if held else []

    def _last_mark(self) -> Mark:
        return "cut"


def _pieces(data: bytes, size: int, mark: Mark) -> list[Frame]:
    return [Frame(data[at : at + size], mark) for at in range(0, len(data), size)]


# Frame(...) would take twice as long as this.
_new = tuple.__new__


class _DelimitedFramer(Framer):
    def __init__(self, rule: Delimited) -> None:
        super().__init__()
        self._delimiter, self._open_end = rule.delimiter, rule.open_end
        # If so many bytes contain no delimiter, none begins in the first MAX_FRAME_BYTES.
        self._most = MAX_FRAME_BYTES + len(rule.delimiter)
        self._overlong = False  # whether pieces of the present frame have come out

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        delimiter, held = self._delimiter, self._held
        if held:
            searched = max(len(held) - len(delimiter) + 1, 0)
            held += data
            if held.find(delimiter, searched) < 0:
                return self._excess()
            data = bytes(held)
        *parts, rest = data.split(delimiter)
        self._held = bytearray(rest)
        if len(data) <= MAX_FRAME_BYTES and not self._overlong:
            return [_new(Frame, (part + delimiter, "")) for part in parts]
        frames = [frame for part in parts for frame in self._complete(part + delimiter)]
        return frames + self._excess()

    def _complete(self, data: bytes) -> list[Frame]:
        overlong = self._overlong or len(data) > MAX_FRAME_BYTES
        self._overlong = False
        return _pieces(data, MAX_FRAME_BYTES, "overlong" if overlong else "")

    def flush(self) -> list[Frame]:
        self._most = MAX_FRAME_BYTES + 1  # as no delimiter follows
        return self._excess() + super().flush()

    def _excess(self) -> list[Frame]:
        """What is held of a frame that is already too long."""
        frames = []
        while len(self._held) >= self._most:
            frames.append(Frame(bytes(self._held[:MAX_FRAME_BYTES]), "overlong"))
            del self._held[:MAX_FRAME_BYTES]
            self._overlong = True
        return frames

    def _last_mark(self) -> Mark:
        if not self._open_end:
            return "cut"
        return "overlong" if self._overlong else ""


class _FixedFramer(Framer):
    def __init__(self, rule: Fixed) -> None:
        super().__init__()
        self._size = rule.size

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        held, size = self._held, self._size
        if held or len(data) < size:
            held += data
            if len(held) < size:
                return []
            data = bytes(held)
        end = len(data) - len(data) % size
        self._held = bytearray(data[end:])
        return [_new(Frame, (data[at : at + size], "")) for at in range(0, end, size)]


class _CountedFramer(Framer):
    """The first `_loose` of the bytes held are in no frame."""

    def __init__(self, rule: Counted) -> None:
        super().__init__()
        self._rule, self._header = rule, rule.offset + rule.size
        self._loose = 0
        self._mark: Mark = "stray"  # of the bytes in no frame
        self._skipped: float = 0  # how many more are in no frame, without a marker
        self._need = 1  # bytes that must be held before more can be decided
        self._last_fed = 0.0

    @property
    def due(self) -> float | None:
        return self._last_fed + PIECE_SECONDS if self._loose else None

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        self._last_fed = now
        self._held += data
        if len(self._held) < self._need:
            return []
        data, frames = bytes(self._held), list[Frame]()
        self._held = bytearray(data[self._decide(data, frames) :])
        return frames

    def expire(self, now: float) -> list[Frame]:
        return self._release(self._mark) if self.due is not None and now >= self.due else []

    def flush(self) -> list[Frame]:
        return self._release("cut" if self._mark == "overlong" else "stray") + super().flush()

    def _release(self, mark: Mark) -> list[Frame]:
        loose, self._loose = bytes(self._held[: self._loose]), 0
        del self._held[: len(loose)]
        self._need -= len(loose)
        return [Frame(loose, mark)] if loose else []

    def _decide(self, data: bytes, frames: list[Frame]) -> int:
        """Add the frames in `data` to `frames`. Returns how many bytes these contain."""
        begin, at = 0, self._loose  # data[begin:at] is in no frame
        while True:
            if self._skipped:
                at = self._skip(data, at)
                if self._skipped:
                    break
                frames += _pieces(data[begin:at], MAX_PIECE_BYTES, self._mark)
                begin, self._mark = at, "stray"
            at, size = self._find(data, at)
            if size is None:
                break
            if not self._header <= size <= MAX_FRAME_BYTES:
                at += self._reject(size)
                continue
            frames += _pieces(data[begin:at], MAX_PIECE_BYTES, self._mark)
            self._need = at + size
            begin = at = self._take(data, at, frames)
            if self._need > at:
                break
        whole = at - (at - begin) % MAX_PIECE_BYTES
        frames += _pieces(data[begin:whole], MAX_PIECE_BYTES, self._mark)
        self._loose, self._need = at - whole, self._need - whole
        return whole

    def _take(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Add the ordinary frames that follow each other from `at` on. Returns where they end."""
        marker, offset, header = self._rule.marker, self._rule.offset, self._header
        more, order, end = self._header + self._rule.more, self._rule.order, len(data)
        while data.startswith(marker, at) and at + header <= end:
            size = more + int.from_bytes(data[at + offset : at + header], order)
            if not header <= size <= MAX_FRAME_BYTES or at + size > end:
                break
            frames.append(_new(Frame, (data[at : at + size], "")))
            at += size
        return at

    def _skip(self, data: bytes, at: int) -> int:
        size = min(self._skipped, len(data) - at)
        self._skipped -= size
        self._need = len(data) + 1
        return at + int(size)

    def _find(self, data: bytes, at: int) -> tuple[int, int | None]:
        """Where the next frame may begin, and its size, or None if that is not known yet."""
        rule = self._rule
        found = data.find(rule.marker, at)
        if found < 0:
            self._need = len(data) + 1
            return len(data) - _begun(data, at, rule.marker), None
        self._need = end = found + self._header
        if end > len(data):
            return found, None
        length = int.from_bytes(data[found + rule.offset : end], rule.order)
        return found, self._header + length + rule.more

    def _reject(self, size: int) -> int:
        """A frame cannot have this size. Returns how many bytes are stray before the next try."""
        if self._rule.marker:
            return 1
        too_long = size > MAX_FRAME_BYTES
        self._skipped, self._mark = (size, "overlong") if too_long else (math.inf, "stray")
        return 0


def _begun(data: bytes, at: int, marker: bytes) -> int:
    """How many bytes at the end of `data`, not before `at`, may begin a marker."""
    most = min(len(marker) - 1, len(data) - at)
    return next((size for size in range(most, 0, -1) if data.endswith(marker[:size])), 0)


class _GapFramer(Framer):
    def __init__(self, rule: Gap) -> None:
        super().__init__()
        self.pause = self._seconds = rule.seconds
        self._last_fed = 0.0
        self._overlong = False  # whether pieces of the present frame have come out

    @property
    def due(self) -> float | None:
        return self._last_fed + self._seconds if self._held else None

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        frames = self.expire(now)
        self._last_fed = now
        self._held += data
        while len(self._held) > MAX_FRAME_BYTES:
            frames.append(Frame(bytes(self._held[:MAX_FRAME_BYTES]), "overlong"))
            del self._held[:MAX_FRAME_BYTES]
            self._overlong = True
        return frames

    def expire(self, now: float) -> list[Frame]:
        return self.flush() if self.due is not None and now >= self.due else []

    def flush(self) -> list[Frame]:
        frames = super().flush()
        self._overlong = False
        return frames

    def _last_mark(self) -> Mark:
        return "overlong" if self._overlong else ""
