"""Bytes that wait for one sink, for those who write without a source of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sockkit.core.units import show_count, show_size
from sockkit.errors import SockkitError
from sockkit.net.ends.end import Sink


def _leave(error: SockkitError) -> None:
    raise error


class Outbox:
    """Writes at once what the sink takes and keeps the rest, in order.

    It does not bound itself: whoever puts looks at `size` first. `on_progress` is called when the
    sink accepts some of what was kept, `on_empty` when it has accepted all of that; `on_fail` once,
    after which everything put is dropped. Without `on_fail` the error leaves the loop.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None] = _leave,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink = sink
        self._on_empty, self._on_fail, self._on_progress = on_empty, on_fail, on_progress
        self._waiting: deque[memoryview] = deque()
        self._stopped = False
        self.size = 0
        self.bytes_written = self.dropped = 0

    def put(self, data: bytes | memoryview) -> None:
        """Write or keep `data`, which may change afterwards."""
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
        """Drop what waits, which `dropped` counts, and write no more."""
        self.dropped += self.size
        if not self._stopped:
            self._sink.when_writable(None)
        self._stopped = True
        self._waiting.clear()
        self.size = 0

    def _ready(self) -> None:
        self._write()
        self._on_progress()
        if not self.size and not self._stopped:
            self._sink.when_writable(None)
            self._on_empty()

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
                    break  # it is full
        except BlockingIOError:
            pass
        except SockkitError as error:
            self.stop()
            self._on_fail(error)


class ReceivedOutbox(Outbox):
    """Standard output's, where what was received has labels and line ends beside it."""

    def __init__(self, sink: Sink, **calls: Callable[..., None]) -> None:
        super().__init__(sink, **calls)
        self._put = 0  # bytes
        self._pieces: deque[tuple[int, int]] = deque()  # where in the output each ends, received

    def put_received(self, data: bytes | memoryview, received: int) -> None:
        """Put `data`, in which `received` bytes are what was received."""
        while self._pieces and self._pieces[0][0] <= self.bytes_written:
            self._pieces.popleft()
        self._put += len(data)
        self._pieces.append((self._put, received))
        self.put(data)

    @property
    def unwritten(self) -> int:
        """Bytes received that were put and are not written.

        Of a piece that is written in part, what stands beside them is taken to come first.
        """
        waits = ((end - self.bytes_written, received) for end, received in self._pieces)
        return sum(min(rest, received) for rest, received in waits if rest > 0)

    def lost(self) -> str:
        """What to say of that, if anything."""
        unwritten = self.unwritten
        return f"{show_size(unwritten)} received but not written" if unwritten else ""


class LineOutbox(Outbox):
    """Standard output's, for lines that nobody waits for: beyond `most` bytes they are counted.

    Once there is room again, how many were not shown is.
    """

    def __init__(
        self,
        sink: Sink,
        most: int,
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None] = _leave,
    ) -> None:
        super().__init__(sink, on_empty=self._has_room, on_fail=on_fail)
        self._most, self._then = most, on_empty
        self._unshown = 0

    def put_lines(self, make: Callable[[], bytes], count: int) -> None:
        """Put the `count` lines that `make` makes, if there is room."""
        if self.size > self._most:
            self._unshown += count
        else:
            self.put(make())

    def _has_room(self) -> None:
        if self._unshown:
            unshown, self._unshown = self._unshown, 0
            self.put(f"* {show_count(unshown, 'line')} not shown\n".encode())
        self._then()

    def lost(self) -> str:
        """What to say of lines that were not written, if anything."""
        lost = []
        if size := self.size + self.dropped:
            lost.append(show_size(size))
        if self._unshown:
            lost.append(show_count(self._unshown, "line"))
        return f"{' and '.join(lost)} of what was said not written" if lost else ""
