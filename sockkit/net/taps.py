"""Taps make records of what passes, and gates hold it up while the views are full."""

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
    """The time of a record."""
    return time.time_ns() // 1000


class Tap:
    """Makes records of one stream. With framers, each message is a frame of one direction."""

    __slots__ = ("_framers", "_stream", "_timers", "_views", "frames")

    def __init__(
        self, views: Views, stream: Stream, framers: dict[Direction, Framer] | None
    ) -> None:
        self._views, self._stream, self._framers = views, stream, framers
        self._timers: dict[Direction, Timer] = {}  # of frames that a silence ends
        self.frames: dict[Direction, int] = dict.fromkeys(framers or (), 0)  # how many passed
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
        """Each of `pieces` was sent or received; each is a message."""
        when, stream = microseconds(), self._stream
        self._views.show(*[Message(when, stream, direction, data) for data in pieces])

    def ended(self, direction: Direction) -> None:
        """Nothing more passes in this direction."""
        self._flush(direction)
        self._views.show(Ended(microseconds(), self._stream, direction))

    def disturbed(self, fault: str, direction: Direction, detail: str = "") -> None:
        """What passes in this direction was disturbed on purpose."""
        self._views.show(Injected(microseconds(), self._stream, fault, direction, 0, detail))

    def closed(self, reset: Direction | Literal[""] = "") -> None:
        """The connection is closed. `reset` says who has reset it, if anybody did."""
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
        """Have a frame end when there was silence for long enough."""
        if framer.due is not None and direction not in self._timers:
            expire = partial(self._expire, direction, framer)
            self._timers[direction] = self._views.loop.at(framer.due, expire)

    def _expire(self, direction: Direction, framer: Framer) -> None:
        del self._timers[direction]
        self._show(direction, framer.expire(self._views.loop.now))
        self._wait(direction, framer)


class Gate:
    """Calls back when an end is ready, as `watch` does, but not while the views are full.

    `watch` is the `when_readable` or `when_writable` of an end. `on_held` is called when it would
    be ready, but has to wait.
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
        if self._callback:  # else the end may be closed, and its descriptor another's
            self._watch(self._ready)
