"""Looks at the bytes that pass: taps make records of them, and viewers show the records.

A tap sees one connection, at its end, or the datagrams of one peer, at their socket. Where nobody
looks there are no taps. While what viewers have written waits for a slow reader, tapped ends are
neither readable nor writable, so that little of it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sockkit.core.address import Address
from sockkit.core.records import Begun, Exit, Listening, Record, Stream
from sockkit.core.units import show_size
from sockkit.errors import OutputGone, SockkitError, Stopped, TimedOut, raise_error
from sockkit.events import Emit
from sockkit.net.ends.end import Callback, PeerEnd, Sink
from sockkit.net.loop import Loop
from sockkit.net.screen import PayloadOutput, Screen
from sockkit.net.taps import Tap, microseconds

if TYPE_CHECKING:
    from sockkit.core.frames import Framer
    from sockkit.net.ends.stdio import StandardOutput


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

    def labels(self, on: bool) -> None:
        """Whether to show whose each message is."""
        ...


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

    @property
    def frames(self) -> bool:
        """Whether a framer groups bytes into messages."""
        return self._make_framer is not None

    def add(self, viewer: Viewer) -> None:
        self._viewers.append(viewer)

    def take_output(self, output: StandardOutput, view: View | None) -> PayloadOutput:
        """Show `view` on standard output. Returns what takes the place of `output` for all others.

        Without a view the payload is shown as before, and the screen's view can be set later.
        """
        self.screen = self.show_on(output, view)
        return PayloadOutput(self, self.screen, output)

    def show_on(
        self, sink: Sink, view: View | None, close: Callable[[], None] = lambda: None
    ) -> Screen:
        """Show `view` on `sink`, which may be slow. At the end `close` is called."""
        screen = Screen(self.loop, sink, view, on_room=self._has_room, on_fail=self._fail)
        screen.close_sink = close
        self._viewers.append(screen)
        self._screens.append(screen)
        return screen

    def watch(
        self, end: PeerEnd, transport: str, *, dialled: bool, local: Address | None = None
    ) -> PeerEnd:
        """The same end with a tap. `local` takes the place of its own local address."""
        from sockkit.net.ends.tapped_end import TappedEnd

        local, remote = local or end.local(), end.remote
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

    def begin(self, command: str, encoding: str = "", send_encoding: str = "") -> None:
        self.show(Begun(microseconds(), command, encoding, send_encoding))

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
            self._close(self._screens)
            self._show_end(kept, error or self._error)
            self._close(kept)
        if self._error and not error:
            raise self._error

    def _close(self, viewers: Sequence[Viewer]) -> None:
        for viewer in viewers:
            try:
                viewer.close()
            except SockkitError as error:
                self._fail(error)

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
            self.loop.call_soon(partial(raise_error, error))
