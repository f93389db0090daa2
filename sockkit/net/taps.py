"""Taps, which make records of the bytes of a connection, and gates, which hold up a tapped end.

An end is held up while the views are full, that is, while their reader is slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from sockkit.core.records import Closed, Direction, Ended, Injected, Message, Opened, Stream
from sockkit.net.ends.end import Callback
from sockkit.net.loop import Timer

if TYPE_CHECKING:
    from sockkit.core.frames import Frame, Framer
    from sockkit.net.views import Views


def microseconds() -> int:
    """The current time, as in records: microseconds since 1970."""
    return time.time_ns() // 1000


class Tap:
    """Makes records of one stream. With framers, each message is a frame; otherwise, a read."""

    __slots__ = ("_framers", "_stream", "_timers", "_views", "frames")

    def __init__(
        self, views: Views, stream: Stream, framers: dict[Direction, Framer] | None
    ) -> None:
        self._views, self._stream, self._framers = views, stream, framers
        self._timers: dict[Direction, Timer] = {}  # each ends a frame after a silence
        self.frames: dict[Direction, int] = dict.fromkeys(framers or (), 0)  # how many so far
        views.show(Opened(microseconds(), stream))

    def passed(self, direction: Direction, data: bytes) -> None:
        """`data` was sent or received."""
        if self._framers:
            framer = self._framers[direction]
            self._show(direction, framer.feed(data, self._views.loop.now))
            self._wait(direction, framer)
        else:
            self._views.show(Message(microseconds(), self._stream, direction, data))

    def passed_apart(self, direction: Direction, pieces: list[bytes]) -> None:
        """`pieces` were sent or received. Each is a message by itself, framers or not."""
        when, stream = microseconds(), self._stream
        self._views.show(*[Message(when, stream, direction, data) for data in pieces])

    def ended(self, direction: Direction) -> None:
        """This direction has ended."""
        self._flush(direction)
        self._views.show(Ended(microseconds(), self._stream, direction))

    def disturbed(self, fault: str, direction: Direction, detail: str = "") -> None:
        """A relay has applied `fault` to this direction."""
        self._views.show(Injected(microseconds(), self._stream, fault, direction, 0, detail))

    def closed(self, reset: Direction | Literal[""] = "") -> None:
        """The connection is closed. `reset` is the direction of the reset, if there was one."""
        self._flush("received")
        self._flush("sent")
        self._views.show(Closed(microseconds(), self._stream, reset))

    def _show(self, direction: Direction, frames: list[Frame]) -> None:
        if not frames:
            return
        self.frames[direction] += len(frames)
        when, stream = microseconds(), self._stream
        self._views.show(*[Message(when, stream, direction, *frame) for frame in frames])

    def _flush(self, direction: Direction) -> None:
        if timer := self._timers.pop(direction, None):
            timer.cancel()
        if self._framers:
            self._show(direction, self._framers[direction].flush())

    def _wait(self, direction: Direction, framer: Framer) -> None:
        """Set the timer that ends an incomplete frame after a silence."""
        if framer.due is not None and direction not in self._timers:
            expire = partial(self._expire, direction, framer)
            self._timers[direction] = self._views.loop.at(framer.due, expire)

    def _expire(self, direction: Direction, framer: Framer) -> None:
        del self._timers[direction]
        self._show(direction, framer.expire(self._views.loop.now))
        self._wait(direction, framer)


class Gate:
    """Calls back when an end is ready, but not while the views are full.

    `watch` is the `when_readable` or `when_writable` of the end. `on_held` is called when the end
    is ready and the views are full.
    """

    __slots__ = ("_callback", "_on_held", "_views", "_watch")

    def __init__(
        self,
        views: Views,
        watch: Callable[[Callback | None], None],
        on_held: Callback = lambda: None,
    ) -> None:
        self._views, self._watch, self._on_held = views, watch, on_held
        self._callback: Callback | None = None

    def when_ready(self, callback: Callback | None) -> None:
        self._callback = callback
        if not callback:
            self._views.forget(self._has_room)
        self._watch(self._ready if callback else None)

    def _ready(self) -> None:
        if self._views.full:
            self._watch(None)
            self._views.when_room(self._has_room)
            self._on_held()
        else:
            self.call()

    def call(self) -> None:
        """Call back, even while the views are full."""
        if self._callback:
            self._callback()

    def _has_room(self) -> None:
        if self._callback:  # otherwise the end may be closed, and its descriptor reused
            self._watch(self._ready)
