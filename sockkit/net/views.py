"""Looks at the bytes that pass: taps make records of them, and viewers show the records.

A tap sees one connection, at its end, or the datagrams of one peer, at their socket. Where nobody
looks there are no taps. While what viewers have written waits for a slow reader, tapped ends are
neither readable nor writable, so that little of it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from sockkit.core.records import (
    Begun,
    Closed,
    Direction,
    Ended,
    Exit,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import OutputGone, SockkitError, Stopped, TimedOut
from sockkit.events import Emit
from sockkit.net.ends.end import Callback, Kind, PeerEnd, Sink
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.net.waiting import Done, OnDone, Pending, wait_for

if TYPE_CHECKING:
    from sockkit.core.frames import Frame, Framer
    from sockkit.net.ends.stdio import StandardOutput

MAX_GATHERED_BYTES = 64 * 1024  # of what is shown, before it is written within a turn
# Once so much was freed, glibc keeps as much of what is freed later, mallopt(3) M_TRIM_THRESHOLD.
# Otherwise it returns memory to the system, and takes it again, for each piece of text: that took
# a third of a dump's time. Nothing of it is ever used, so it costs no memory by itself.
KEPT_HEAP_BYTES = 8 * 1024 * 1024
MAX_WAITING_BYTES = 256 * 1024  # for standard output, before nothing more is moved


def microseconds() -> int:
    """The time of a record."""
    return time.time_ns() // 1000


class View(Protocol):
    """Makes text of records."""

    def show(self, record: Record, /) -> bytes: ...


class Switch(Protocol):
    """Changes what is shown from now on. Call it in the loop's thread."""

    @property
    def stamped(self) -> bool:
        """Whether the time is shown."""
        ...

    def show_as(self, view: str) -> None:
        """`hex` or `text`."""
        ...

    def timestamps(self, on: bool) -> None: ...


class Viewer(Protocol):
    """Keeps or shows records. Its methods raise SockkitError, which ends the run."""

    def show(self, *records: Record) -> None: ...

    def close(self) -> None:
        """Write what is held, and close what was opened."""
        ...


class Views:
    """What looks at the bytes of a run. A framer groups those of one direction into messages.

    Standard output may take nothing for `idle` seconds at the end, as the command's option says.
    `begin` and `end` show the run itself. An error of a viewer is raised by the loop's run.
    """

    def __init__(
        self,
        loop: Loop,
        emit: Emit,
        make_framer: Callable[[], Framer] | None = None,
        idle: float | None = None,
    ) -> None:
        self.loop, self.emit, self._make_framer, self._idle = loop, emit, make_framer, idle
        self._viewers: list[Viewer] = []
        self._waiting: dict[Callback, None] = {}  # for room, in order
        self.screen: Screen | None = None  # the viewer that has standard output
        self.switch: Switch | None = None  # for a person at a terminal
        self._screens: list[Screen] = []  # that one, and those of files
        self._error: SockkitError | None = None  # of a viewer

    def add(self, viewer: Viewer) -> None:
        self._viewers.append(viewer)

    def take_output(self, output: StandardOutput, view: View | None) -> Payload:
        """Show `view` on standard output. Returns what takes the place of `output` for all others.

        Without a view the payload is shown as before, and the screen's view can be set later.
        """
        self.screen = self.show_on(output, view)
        return Payload(self, self.screen, output)

    def show_on(self, sink: Sink, view: View | None) -> Screen:
        """Show `view` on `sink`, which may be slow. Does not own it."""
        screen = Screen(self.loop, sink, view, on_room=self._has_room, on_fail=self._fail)
        self._viewers.append(screen)
        self._screens.append(screen)
        return screen

    def watch(self, end: PeerEnd, transport: str, *, dialled: bool) -> PeerEnd:
        """The same end with a tap."""
        from sockkit.net.ends.tapped_end import TappedEnd

        local, remote = end.local(), end.remote
        stream = Stream(
            end.peer.number,
            transport,
            local.word if local else transport,
            remote.word if remote else transport,
            dialled,
        )
        return TappedEnd(end, self, self.tap(stream))

    def tap(self, stream: Stream, *, framed: bool = True) -> Tap:
        """A tap of `stream`; not `framed`, each piece of bytes is a message."""
        make = self._make_framer if framed else None
        return Tap(self, stream, {"sent": make(), "received": make()} if make else None)

    def begin(self, command: str) -> None:
        self.show(Begun(microseconds(), command))

    def listening(self, transport: str, address: str) -> None:
        self.show(Listening(microseconds(), transport, address))

    def end(self, error: SockkitError | None = None) -> None:
        """The run has ended, with `error` if it failed. Writes all that is held.

        Raises the SockkitError of a viewer, if there is no other. After a signal or a timeout, or
        when the reader has left, nothing is waited for; `error` then says how much is lost.
        """
        hurry = isinstance(error, Stopped | OutputGone | TimedOut)
        kept = [viewer for viewer in self._viewers if viewer not in self._screens]
        try:
            self._show_end(self._screens, error)
            for screen in self._screens:
                if not (screen is self.screen and isinstance(error, OutputGone)):
                    screen.finish(0.0 if hurry else self._idle)
                if error and screen.unwritten:
                    lost = f"{show_size(screen.unwritten)} of what was shown not written"
                    error.so_far += f", {lost}" if error.so_far else lost
        except SockkitError as failure:
            error = error or failure
            raise
        finally:
            self._show_end(kept, error or self._error)
            for viewer in self._viewers:
                try:
                    viewer.close()
                except SockkitError as failure:
                    self._fail(failure)
        if self._error and not error:
            raise self._error

    def _show_end(self, viewers: Sequence[Viewer], error: SockkitError | None) -> None:
        told = str(error) if error else ""
        self._show_to(viewers, Exit(microseconds(), error.status if error else 0, told))

    def show(self, *records: Record) -> None:
        self._show_to(self._viewers, *records)

    def _show_to(self, viewers: Sequence[Viewer], *records: Record) -> None:
        """Show them to each, whether or not another of them has failed."""
        for viewer in viewers:
            try:
                viewer.show(*records)
            except SockkitError as error:
                self._fail(error)

    @property
    def full(self) -> bool:
        """Whether what was shown waits for its reader."""
        return any(screen.full for screen in self._screens)

    def check_room(self) -> None:
        """Raise BlockingIOError if nothing more may be shown now."""
        if self.full:
            raise BlockingIOError

    def when_room(self, callback: Callback) -> None:
        """Call `callback` once, when there is room."""
        self._waiting[callback] = None

    def forget(self, callback: Callback) -> None:
        """Do not call `callback`, if it waits for room."""
        self._waiting.pop(callback, None)

    def _has_room(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for callback in waiting:
            callback()

    def _fail(self, error: SockkitError) -> None:
        """Have the loop raise `error`: a tap is called in the midst of somebody's work."""
        if not self._error:
            self._error = error
            self.loop.call_soon(partial(_raise, error))


def _raise(error: SockkitError) -> None:
    raise error


class Screen:
    """Standard output where a view has it, or may get it, or a file that has one.

    It is written once in each turn of the loop, and when MAX_GATHERED_BYTES are to be written.
    Without a `view` the payload is shown, as ever; with one it goes nowhere. `unshown` gets the
    records that no view shows.
    """

    def __init__(
        self,
        loop: Loop,
        sink: Sink,
        view: View | None,
        *,
        on_room: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        bytearray(KEPT_HEAP_BYTES)
        self._loop, self.view = loop, view
        self.unshown: Callable[[Record], None] = lambda _: None
        self._gathered: list[bytes] = []
        self._size = 0
        self._on_room = on_room
        self._on_done: Callable[[], None] = lambda: None
        self._outbox = Outbox(sink, on_empty=self._written, on_fail=on_fail)

    @property
    def full(self) -> bool:
        return self._outbox.size > MAX_WAITING_BYTES

    def show(self, *records: Record) -> None:
        if self.view:
            self.put(b"".join(map(self.view.show, records)))
            return
        for record in records:
            self.unshown(record)

    def put(self, data: bytes) -> None:
        if not data:
            return
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= MAX_GATHERED_BYTES:
            self.flush()

    @property
    def unwritten(self) -> int:
        """Bytes that wait for standard output."""
        return self._outbox.size

    def finish(self, patience: float | None) -> None:
        """Write what is held. Raises TimedOut if nothing is accepted for `patience` seconds.

        With None it waits without a bound; with 0 only what is accepted at once is written.
        """
        self.flush()
        if patience == 0 or not self.unwritten:
            return
        check = self._loop.later(patience, partial(self._check, patience, 0)) if patience else None
        try:
            wait_for(self._loop, self._drain)
        finally:
            if check:
                check.cancel()

    def _check(self, patience: float, before: int) -> None:
        """Raise TimedOut if nothing was written since `before` bytes were."""
        written = self._outbox.bytes_written
        if written == before and self.unwritten:
            told = f"{show_size(self.unwritten)} of what was shown not written"
            raise TimedOut(f"nobody has read standard output for {show_seconds(patience)}: {told}")
        if self.unwritten:
            self._loop.later(patience, partial(self._check, patience, written))

    def close(self) -> None:
        self._outbox.stop()

    def _drain(self, on_done: OnDone[None]) -> Pending:
        self._on_done = lambda: on_done(None)
        if not self._outbox.size:
            self._on_done()
        return Done()

    def flush(self) -> None:
        """Write what is held, as far as it is accepted."""
        gathered, self._gathered, self._size = self._gathered, [], 0
        self._outbox.put(b"".join(gathered))

    def _written(self) -> None:
        self._on_room()
        self._on_done()


class Payload:
    """What the commands know as standard output, where `screen` has the real one, `output`."""

    kind, descriptor = Kind.OTHER, -1

    def __init__(self, views: Views, screen: Screen, output: StandardOutput) -> None:
        self._views, self._screen, self._output = views, screen, output
        self._watch = Watch(views.loop, lambda: bool(screen.view) or not screen.full)
        self.terminal, self.name = output.terminal, output.name
        self.when_gone, self.write_failed = output.when_gone, output.write_failed

    def write(self, data: bytes | memoryview, /) -> int:
        if not self._screen.view:  # otherwise it goes nowhere: there is nothing to wait for
            self._views.check_room()
            self._screen.put(bytes(data))
            self._screen.flush()  # what is said next comes after it
        return len(data)

    def end(self) -> None:
        """It stays open: what is sent may still be shown."""

    def when_writable(self, callback: Callback | None) -> None:
        self._watch.callback = callback
        self._watch.wake()
        if callback:
            self._views.when_room(self._watch.wake)


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
