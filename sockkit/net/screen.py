"""Writes the text of a view to standard output or a file, which may be slow.

The memory that unwritten text takes is bounded.
"""

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

MAX_GATHERED_BYTES = 64 * 1024  # of text, which is then written before the turn ends
# Allocating and freeing a block of this size raises glibc's M_TRIM_THRESHOLD, mallopt(3): from then
# on glibc keeps that much freed memory. Otherwise it returns memory to the system and asks for it
# again with each piece of text, which took a third of the time of a dump. The block itself costs no
# memory, as nothing is written to it.
KEPT_HEAP_BYTES = 8 * 1024 * 1024
MAX_WAITING_BYTES = 256 * 1024  # for a slow reader; beyond this, connections wait as well


class Screen:
    """Standard output, or a file, on which a view is shown.

    It gathers text, and writes it once per turn of the loop, or earlier if there are
    MAX_GATHERED_BYTES. On standard output `view` may be None, and be set later: the payload is
    shown while there is no view, and dropped while there is one. `unshown` is called with each
    record that no view shows.
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
        """Bytes that wait for the sink."""
        return self._outbox.size

    def finish(self, patience: float | None) -> None:
        """Write all text. Raises TimedOut if the sink accepts nothing for `patience` seconds.

        With None it waits without a bound; with 0 it writes only what the sink accepts at once.
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
        """Raise TimedOut if still only `before` bytes are written."""
        written = self._outbox.bytes_written
        if written == before and self.unwritten:
            told = f"{show_size(self.unwritten)} of output not written"
            raise TimedOut(f"stdout was not read for {show_seconds(patience)}: {told}")
        if self.unwritten:
            self._loop.later(patience, partial(self._check, patience, written))

    def close(self) -> None:
        self._outbox.stop()
        self.close_sink()

    def flush(self) -> None:
        """Write the gathered text. What the sink does not accept now waits in the outbox."""
        gathered, self._gathered, self._size = self._gathered, [], 0
        self._outbox.put(b"".join(gathered))


class PayloadOutput:
    """Takes the place of standard output for a command, while `screen` writes to the real one.

    That is `output`. The payload goes to the screen, or nowhere if the screen shows a view.
    """

    kind, descriptor = Kind.OTHER, -1

    def __init__(self, views: Views, screen: Screen, output: StandardOutput) -> None:
        self._views, self._screen, self._output = views, screen, output
        self._watch = Watch(views.loop, lambda: bool(screen.view) or not screen.full)
        self.terminal, self.name = output.terminal, output.name
        self.when_gone, self.write_failed = output.when_gone, output.write_failed

    def write(self, data: bytes | memoryview, /) -> int:
        if not self._screen.view:  # with a view the payload is dropped, and nothing waits
            self._views.check_room()
            self._screen.put(bytes(data))
            self._screen.flush()  # so that notices come after it
        return len(data)

    def end(self) -> None:
        """Do nothing: what we send may still be shown."""

    def when_writable(self, callback: Callback | None) -> None:
        self._watch.callback = callback
        self._watch.wake()
        if callback:
            self._views.when_room(self._watch.wake)
