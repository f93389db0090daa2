"""Lanes: the ways to move bytes from a source to a sink.

`choose` picks one by the kinds of the two ends and the transform between them. If possible, the
kernel moves the bytes (`net/kernel.py`): sendfile(2) from a file to a socket, splice(2) if one end
is a pipe, and splice(2) through a pipe of ours if neither is. Everything else is copied through a
buffer.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sockkit.core.text import Transform
from sockkit.errors import TextError, without_traceback
from sockkit.net.ends.end import Kind, Sink, Source
from sockkit.net.kernel import LITTLE_BYTES, PipedSplice, Sendfile, Splice, Unfit, Wait
from sockkit.net.pools import Pools

if TYPE_CHECKING:
    from sockkit.core.hints import Glance

COPY_BUFFER_BYTES = 256 * 1024  # fits a processor's second-level cache
PIPE_BUFFER_BYTES = 64 * 1024  # a pipe holds no more, pipe(7)
# An encrypted end reads 96 KiB at once, and may then also complete a record of 16 KiB that it has
# read in part. The buffer holds both.
ENCRYPTED_BUFFER_BYTES = 112 * 1024
ENCRYPTED_STEPS = 8  # more would save little: a turn of the loop is cheap beside so many steps
LIGHT_BUFFER_BYTES = 64 * 1024
MAX_LARGE_RECEIVES = 4  # after so many receives in a row of LITTLE_BYTES or more, splice(2) goes on
FIRST_BYTES = 8 * 1024  # the most that one read returns while a Glance looks at the first bytes

_NOTHING = memoryview(b"")


class Lane(Protocol):
    """One way to move bytes. `held` counts the bytes that were read and not yet written.

    The counters go on from those of the lane before.

    `step` moves a bounded number of bytes without blocking, and returns what to wait for. It may be
    called `steps` times in a row without a check that the ends are ready. After `finish` the lane
    reads no more, and ends once it holds nothing. If reading fails, `step` raises the error after
    all bytes read before it are written.
    """

    name: str
    steps: int
    bytes_read: int
    bytes_written: int

    @property
    def held(self) -> int: ...

    def step(self) -> Wait: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class Copy:
    """Copies through a buffer, and through `transform` if there is one.

    The buffer belongs to `pools`, so bytes that the sink does not accept at once are copied out of
    it. `after` is the Unfit of an earlier lane: the bytes that it held are written first, and its
    fault is raised at the end, as if reading had failed there.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_fault",
        "_finishing",
        "_left",
        "_pending",
        "_sink",
        "_source",
        "_transform",
        "bytes_read",
        "bytes_written",
        "name",
        "steps",
    )

    def __init__(
        self,
        source: Source,
        sink: Sink,
        transform: Transform | None = None,
        buffer_size: int | None = None,
        after: Unfit | None = None,
        pools: Pools | None = None,
    ) -> None:
        self._source, self._sink, self._transform = source, sink, transform
        pools = pools or Pools()
        self._buffer = pools.buffer(buffer_size or _buffer_bytes(source, sink))
        self._pending = memoryview(after.held) if after and after.held else _NOTHING
        self._ended = self._finishing = False
        self._fault = after.fault if after else None
        self._left: int | None = None  # how many bytes it held when it was closed
        self.bytes_read = self.bytes_written = 0
        self.name = "copy"
        self.steps = 1  # a standard input that we could not reopen blocks unless it is ready

    @property
    def held(self) -> int:
        return len(self._pending) if self._left is None else self._left

    def step(self) -> Wait:
        while self._pending or not self._ended:
            if not self._pending:
                try:
                    self._received(0 if self._finishing else self._source.read_into(self._buffer))
                except BlockingIOError:
                    if not self._fault:
                        return Wait.SOURCE
                    self._received(0)
            if self._pending:
                self._write()
                if self._pending:
                    return Wait.SINK
            if not self._fault and not self._ended:
                return Wait.SOURCE
        if self._fault:
            raise self._fault
        return Wait.END

    def _write(self) -> None:
        try:
            written = self._sink.write(self._pending)
        except BlockingIOError:
            written = 0
        self.bytes_written += written
        if written == len(self._pending):
            self._pending = _NOTHING
            return
        self._pending = self._pending[written:]
        if self._pending.obj is self._buffer.obj:  # the buffer is shared: other lanes overwrite it
            self._pending = memoryview(bytes(self._pending))

    def _received(self, size: int) -> None:
        """Transform the `size` bytes that were read; 0 means the end of the source."""
        self.bytes_read += size
        self._ended = not size
        if not self._transform:
            self._pending = self._buffer[:size]
            return
        try:
            self._pending = memoryview(
                self._transform.feed(bytes(self._buffer[:size]))
                if size
                else self._transform.flush()
            )
        except TextError as error:
            self._fault = without_traceback(error)
            self._ended = True
            self._pending = memoryview(error.before)

    def finish(self) -> None:
        self._finishing = True

    def close(self) -> None:
        """Release the memory now: the connection may live on for a while after it is over."""
        self._left = self.held
        self._buffer = self._pending = _NOTHING


class Light(Copy):
    """Copies between two sockets while the messages are small. For large ones splice(2) goes on.

    A small message takes two system calls when copied, and four with splice(2).
    """

    __slots__ = ("_buffer_size", "_large", "_pools")

    def __init__(self, source: Source, sink: Sink, buffer_size: int | None, pools: Pools) -> None:
        size = min(buffer_size or LIGHT_BUFFER_BYTES, LIGHT_BUFFER_BYTES)
        super().__init__(source, sink, None, size, None, pools)
        self.name = PipedSplice.name  # which moves most of the bytes of a large transfer
        self._large = 0  # large receives in a row
        self._buffer_size, self._pools = buffer_size, pools

    def step(self) -> Wait:
        if self._pending or self._finishing or self._ended:
            return super().step()
        if self._large >= MAX_LARGE_RECEIVES:
            ends = (self._source, self._sink, self._buffer_size, self._pools)
            raise Unfit(lane=PipedSplice(*ends, partial(Light, *ends)))
        return Wait.SOURCE if self.passes() else super().step()

    def passes(self) -> bool:
        """Copy the bytes that are there. Call it only while nothing is held.

        Returns True if all is written and the lane waits for more; otherwise call `step` next.
        """
        if self._finishing or self._large >= MAX_LARGE_RECEIVES:
            return False
        try:
            size = self._source.read_into(self._buffer)
        except BlockingIOError:
            return True
        if not size:
            self._ended = True
            return False
        self.bytes_read += size
        self._large = self._large + 1 if size >= LITTLE_BYTES else 0
        self._pending = self._buffer[:size]
        self._write()
        return not self._pending


class First(Copy):
    """Copies the first bytes through `glance`, until that has a verdict. Then `rest` takes over."""

    def __init__(
        self, source: Source, sink: Sink, glance: Glance, buffer_size: int | None, rest: Lane
    ) -> None:
        super().__init__(source, sink, glance, min(buffer_size or FIRST_BYTES, FIRST_BYTES))
        self.name = rest.name  # which will move nearly all of the bytes
        self._glance = glance
        self._rest: Lane | None = rest

    def step(self) -> Wait:
        if self._rest and self._glance.verdict is not None and not self.held:
            rest, self._rest = self._rest, None
            raise Unfit(lane=rest)
        return super().step()

    def close(self) -> None:
        super().close()
        if self._rest:
            self._rest.close()


def _buffer_bytes(source: Source, sink: Sink) -> int:
    """The default size of a copy's buffer."""
    if source.kind is Kind.PIPE:
        return PIPE_BUFFER_BYTES
    if Kind.ENCRYPTED in (source.kind, sink.kind):
        return ENCRYPTED_BUFFER_BYTES
    return PIPE_BUFFER_BYTES if sink.kind is Kind.PIPE else COPY_BUFFER_BYTES


def choose(
    source: Source,
    sink: Sink,
    transform: Transform | None,
    buffer_size: int | None,
    pools: Pools | None = None,
) -> Lane:
    """The fastest lane for these ends. One receive reads at most `buffer_size` bytes.

    `pools` are the loop's.
    """
    pools = pools or Pools()
    kinds = {source.kind, sink.kind}
    if Kind.ENCRYPTED in kinds:
        lane = Copy(source, sink, transform, buffer_size, pools=pools)
        if source.kind in (Kind.ENCRYPTED, Kind.FILE):  # these never block
            lane.steps = ENCRYPTED_STEPS
        return lane
    if transform is None and Kind.OTHER not in kinds:
        # Only Linux's sendfile(2) advances the position of the file.
        if source.kind is Kind.FILE and sys.platform == "linux" and hasattr(os, "sendfile"):
            return Sendfile(source, sink, buffer_size)
        if hasattr(os, "splice"):
            if Kind.PIPE in kinds:
                return Splice(source, sink, buffer_size)
            if source.kind is sink.kind is Kind.SOCKET:
                return Light(source, sink, buffer_size, pools)
            return PipedSplice(source, sink, buffer_size, pools)
    return Copy(source, sink, transform, buffer_size, pools=pools)
