"""Views of a run's traffic: taps make records of the bytes, and viewers show or keep the records.

A tap sees one connection at its end, or the datagrams of one peer at their socket. Without a view
there are no taps. While the text of a view waits for a slow reader, tapped ends are neither
readable nor writable: this bounds how much text can wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sockkit.core.address import Address
from sockkit.core.records import Begun, Exit, Listening, Record, Stream
from sockkit.core.units import show_size
from sockkit.errors import OutputError, OutputGone, SockkitError, Stopped, TimedOut, raise_error
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
        """Whether to show the peer of each message."""
        ...


class Viewer(Protocol):
    """Keeps or shows records. Its methods raise SockkitError, which ends the run."""

    def show(self, *records: Record) -> None: ...

    def close(self) -> None:
        """Write everything that it holds, and close its files."""
        ...


class Views:
    """All viewers of a run. With `make_framer`, a framer groups the bytes of each direction.

    At the end, standard output may accept nothing for at most `idle` seconds (None: no bound).
    `begin` and `end` record the run itself. If a viewer fails, the loop's `run` raises its error.
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
        self._waiting: dict[Callback, None] = {}  # to be called when there is room, in this order
        self.screen: Screen | None = None  # the viewer that writes to standard output
        self.switch: Switch | None = None  # for the Ctrl-] prompt
        self._screens: list[Screen] = []  # `screen`, and those that write to files
        self._error: SockkitError | None = None  # of a viewer

    @property
    def frames(self) -> bool:
        """Whether a framer groups bytes into messages."""
        return self._make_framer is not None

    def add(self, viewer: Viewer) -> None:
        self._viewers.append(viewer)

    def take_output(self, output: StandardOutput, view: View | None) -> PayloadOutput:
        """Show `view` on standard output. Returns the output for the payload, to replace `output`.

        Without a view the payload is shown, and the screen's view can be set later.
        """
        self.screen = self.show_on(output, view)
        return PayloadOutput(self, self.screen, output)

    def show_on(
        self, sink: Sink, view: View | None, close: Callable[[], None] = lambda: None
    ) -> Screen:
        """Show `view` on `sink`, which may be slow. `close` is called at the end of the run."""
        screen = Screen(self.loop, sink, view, on_room=self._has_room, on_fail=self._fail)
        screen.close_sink = close
        self._viewers.append(screen)
        self._screens.append(screen)
        return screen

    def watch(
        self, end: PeerEnd, transport: str, *, dialled: bool, local: Address | None = None
    ) -> PeerEnd:
        """Wrap `end` with a tap. In records, `local` replaces the end's own local address."""
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
        """A tap for `stream`. Unless `framed`, each read or write is a message."""
        make = self._make_framer if framed else None
        return Tap(self, stream, {"sent": make(), "received": make()} if make else None)

    def begin(self, command: str, encoding: str = "", send_encoding: str = "") -> None:
        self.show(Begun(microseconds(), command, encoding, send_encoding))

    def listening(self, transport: str, address: str) -> None:
        self.show(Listening(microseconds(), transport, address))

    def end(self, error: SockkitError | None = None) -> None:
        """End the run, with `error` if it failed. Writes everything that the viewers hold.

        Raises the SockkitError of a viewer, unless there is an `error`. After a signal or a
        timeout, or if nobody reads standard output any more, it does not wait; `error.so_far` then
        says how much is lost.
        """
        hurry = isinstance(error, Stopped | OutputGone | TimedOut)
        kept = [viewer for viewer in self._viewers if viewer not in self._screens]
        try:
            self._show_end(self._screens, error)
            for screen in self._screens:
                if not (screen is self.screen and isinstance(error, OutputGone)):
                    screen.finish(0.0 if hurry else self._idle)
                if error and screen.unwritten:
                    lost = f"{show_size(screen.unwritten)} of output not written"
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
        """Pass `records` to each viewer, even if another one fails."""
        for viewer in viewers:
            try:
                viewer.show(*records)
            except SockkitError as error:
                self._fail(error)

    @property
    def full(self) -> bool:
        """Whether much text waits for a slow reader."""
        return any(screen.full for screen in self._screens)

    def lack_bytes(self) -> bool:
        """Whether a viewer could not write what it was to show or keep."""
        for screen in self._screens:
            screen.flush()
        return isinstance(self._error, OutputError)

    def check_room(self) -> None:
        """Raise BlockingIOError if the views are full."""
        if self.full:
            raise BlockingIOError

    def when_room(self, callback: Callback) -> None:
        """Call `callback` once, when the views are no longer full."""
        self._waiting[callback] = None

    def forget(self, callback: Callback) -> None:
        """Undo `when_room` for `callback`."""
        self._waiting.pop(callback, None)

    def _has_room(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for callback in waiting:
            callback()

    def _fail(self, error: SockkitError) -> None:
        """Have the loop raise `error`: raised here, it would end the connection with the tap."""
        if not self._error:
            self._error = error
            self.loop.call_soon(partial(raise_error, error))
