"""Outboxes: bytes that wait for a sink. A pump needs none, as it can stop reading instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sockkit.core.units import show_count, show_size
from sockkit.errors import SockkitError, raise_error, without_traceback
from sockkit.net.ends.end import Sink
from sockkit.net.loop import Loop
from sockkit.net.waiting import Done, OnDone, Pending, wait_for


def _nothing() -> None:
    pass


class Outbox:
    """Writes the bytes that the sink accepts now, and keeps the rest in order.

    Does not own the sink. `size` counts the bytes that wait; it has no bound, so check it before
    you put more. `on_progress` is called when some of the waiting bytes have been written,
    `on_empty` when all have. If writing fails, `on_fail` is called once, and everything put
    afterwards is dropped; without `on_fail` the loop's `run` raises the error.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None] = raise_error,
        on_progress: Callable[[], None] = _nothing,
    ) -> None:
        self._sink = sink
        self._on_empty, self._on_fail, self._on_progress = on_empty, on_fail, on_progress
        self._on_drained: Callable[[], None] = _nothing
        self._waiting: deque[memoryview] = deque()
        self._stopped = False
        self.size = 0
        self.bytes_written = self.dropped = 0

    def put(self, data: bytes | memoryview) -> None:
        """Write `data` or keep a copy of it: a memoryview may change afterwards."""
        if self._stopped:
            self.dropped += len(data)
            return
        if not data:
            return
        self._waiting.append(memoryview(data))
        self.size += len(data)
        if len(self._waiting) == 1:
            self._write()
            if self.size and not self._stopped:
                self._sink.when_writable(self._ready)
        if self._waiting and isinstance(data, memoryview):
            self._waiting[-1] = memoryview(bytes(self._waiting[-1]))

    def stop(self) -> None:
        """Drop the waiting bytes, and all bytes put later. `dropped` counts them."""
        self.dropped += self.size
        if not self._stopped:
            self._sink.when_writable(None)
        self._stopped = True
        self._waiting.clear()
        self.size = 0

    def run_until_empty(self, loop: Loop) -> None:
        """Run `loop` until all is written or writing has failed."""
        wait_for(loop, self._drain)

    def _drain(self, on_done: OnDone[None]) -> Pending:
        self._on_drained = lambda: on_done(None)
        if not self.size:
            on_done(None)
        return Done()

    def _ready(self) -> None:
        self._write()
        self._on_progress()
        if self.size:
            return
        if not self._stopped:
            self._sink.when_writable(None)
            self._on_empty()
        if not self.size:
            self._on_drained()

    def _write(self) -> None:
        try:
            while self._waiting:
                written = self._sink.write(self._waiting[0])
                self.size -= written
                self.bytes_written += written
                if written == len(self._waiting[0]):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = self._waiting[0][written:]
                    break  # the sink is full
        except BlockingIOError:
            pass
        except SockkitError as error:
            self.stop()
            self._on_fail(without_traceback(error))


class ReceivedOutbox(Outbox):
    """For standard output, if we add labels and line ends to the bytes received."""

    def __init__(self, sink: Sink, **calls: Callable[..., None]) -> None:
        super().__init__(sink, **calls)
        self._put = 0  # bytes in all
        self._pieces: deque[tuple[int, int]] = deque()  # end offset of each, bytes received in it

    def put_received(self, data: bytes | memoryview, received: int) -> None:
        """Put `data`, of which `received` bytes were received from peers."""
        while self._pieces and self._pieces[0][0] <= self.bytes_written:
            self._pieces.popleft()
        self._put += len(data)
        self._pieces.append((self._put, received))
        self.put(data)

    @property
    def unwritten(self) -> int:
        """How many of the bytes received are not written yet.

        If a piece is partly written, we assume that its labels and line ends were written first.
        """
        waits = ((end - self.bytes_written, received) for end, received in self._pieces)
        return sum(min(rest, received) for rest, received in waits if rest > 0)

    def lost(self) -> str:
        """What an error message says about unwritten bytes; empty if there are none."""
        unwritten = self.unwritten
        return f"{show_size(unwritten)} received but not written" if unwritten else ""


class LineOutbox(Outbox):
    """For lines to standard output, if a slow reader must not hold up the peers.

    While more than `max_bytes` wait, it drops and counts further lines. Once all is written, it
    writes how many lines were not shown.
    """

    def __init__(
        self,
        sink: Sink,
        max_bytes: int,
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None] = raise_error,
    ) -> None:
        super().__init__(sink, on_empty=self._report_unshown, on_fail=on_fail)
        self._max_bytes, self._on_all_written = max_bytes, on_empty
        self._unshown = 0

    def put_lines(self, make: Callable[[], bytes], count: int) -> None:
        """Put the `count` lines that `make` returns; if there is no space, only count them."""
        if self.size > self._max_bytes:
            self._unshown += count
        else:
            self.put(make())

    def _report_unshown(self) -> None:
        if self._unshown:
            unshown, self._unshown = self._unshown, 0
            self.put(f"* {show_count(unshown, 'line')} not shown\n".encode())
        self._on_all_written()

    def lost(self) -> str:
        """What an error message says about unwritten lines; empty if there are none."""
        lost = []
        if size := self.size + self.dropped:
            lost.append(show_size(size))
        if self._unshown:
            lost.append(show_count(self._unshown, "line"))
        return f"{' and '.join(lost)} of the chat not written" if lost else ""
