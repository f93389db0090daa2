"""Shows a view on standard output or in a file, which may be slow, and holds little of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.core.records import Record
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import SockkitError, TimedOut
from sockkit.net.ends.end import Callback, Kind, Sink
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox

if TYPE_CHECKING:
    from sockkit.net.ends.stdio import StandardOutput
    from sockkit.net.views import View, Views

MAX_GATHERED_BYTES = 64 * 1024  # of what is shown, before it is written within a turn
# Once so much was freed, glibc keeps as much of what is freed later, mallopt(3) M_TRIM_THRESHOLD.
# Otherwise it returns memory to the system, and takes it again, for each piece of text: that took
# a third of a dump's time. Nothing of it is ever used, so it costs no memory by itself.
KEPT_HEAP_BYTES = 8 * 1024 * 1024
MAX_WAITING_BYTES = 256 * 1024  # for standard output, before nothing more is moved


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
        self.close_sink: Callable[[], None] = lambda: None
        self.unshown: Callable[[Record], None] = lambda _: None
        self._gathered: list[bytes] = []
        self._size = 0
        self._outbox = Outbox(sink, on_empty=on_room, on_fail=on_fail)

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
            self._outbox.run_until_empty(self._loop)
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
        self.close_sink()

    def flush(self) -> None:
        """Write what is held, as far as it is accepted."""
        gathered, self._gathered, self._size = self._gathered, [], 0
        self._outbox.put(b"".join(gathered))


class PayloadOutput:
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
