"""Lanes: the ways to move bytes from a source to a sink.

`choose` picks one by the kinds of the two ends and the transform between them. Where it can, the
kernel moves the bytes (`net/kernel.py`): sendfile(2) from a file to a socket, splice(2) where one
end is a pipe, and splice through a pipe of our own where neither is. Everything else is copied
through one buffer.
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
# The bytes of an encrypted end are copied three times. It reads 96 KiB at once, and what a record
# of 16 KiB then completes fits as well.
ENCRYPTED_BUFFER_BYTES = 112 * 1024
ENCRYPTED_STEPS = 8  # by then a turn of the loop costs little beside them
LIGHT_BUFFER_BYTES = 64 * 1024
MAX_LARGE_RECEIVES = 4  # of LITTLE_BYTES or more, in a row: then the kernel moves the rest
FIRST_BYTES = 8 * 1024  # read at a time while they are looked at: a request line, at the most

_NOTHING = memoryview(b"")


class Lane(Protocol):
    """One way to move bytes. `held` counts the bytes that were read and not yet written.

    `step` moves a bounded number of bytes without waiting, and says what to wait for. Up to `steps`
    of them may follow each other without a check that the ends are ready. After `finish` nothing
    more is read, and the lane ends when nothing is held. An error of the source is raised when all
    that was read before it has been written.
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

    The buffer is one of `pools`: what the sink does not accept at once is kept apart. `after` is
    how another lane has ended: what it held is written before anything is read, and its fault is
    raised at the end, as if read.
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
        self._left: int | None = None  # held when it was closed
        self.bytes_read = self.bytes_written = 0
        self.name = "copy"
        self.steps = 1  # a standard input that was not reopened blocks when it is not ready

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
        if self._pending.obj is self._buffer.obj:  # which other lanes are about to overwrite
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
        """Release what it holds at once: a connection that is over may live on for a while."""
        self._left = self.held
        self._buffer = self._pending = _NOTHING


class Light(Copy):
    """Copies between two sockets while little comes at a time, and else leaves it to the kernel.

    A message of 64 bytes takes two system calls in this way, and four with splice(2).
    """

    __slots__ = ("_buffer_size", "_large", "_pools")

    def __init__(self, source: Source, sink: Sink, buffer_size: int | None, pools: Pools) -> None:
        size = min(buffer_size or LIGHT_BUFFER_BYTES, LIGHT_BUFFER_BYTES)
        super().__init__(source, sink, None, size, None, pools)
        self.name = PipedSplice.name  # nearly all the bytes go by it, where there are many
        self._large = 0  # receives in a row
        self._buffer_size, self._pools = buffer_size, pools

    def step(self) -> Wait:
        if self._pending or self._finishing or self._ended:
            return super().step()
        if self._large >= MAX_LARGE_RECEIVES:
            ends = (self._source, self._sink, self._buffer_size, self._pools)
            raise Unfit(lane=PipedSplice(*ends, partial(Light, *ends)))
        return Wait.SOURCE if self.passes() else super().step()

    def passes(self) -> bool:
        """Pass on what has come, and return whether nothing else is to be done than to wait for
        more. If not, `step` goes on from here. Only while nothing is held.
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
    """Copies the first bytes through `glance`, until it has a verdict. Then `rest` goes on."""

    def __init__(
        self, source: Source, sink: Sink, glance: Glance, buffer_size: int | None, rest: Lane
    ) -> None:
        super().__init__(source, sink, glance, min(buffer_size or FIRST_BYTES, FIRST_BYTES))
        self.name = rest.name  # nearly everything will go by it
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
    """The size of a copy's buffer, unless the user chooses one."""
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
    """The fastest lane these ends allow. `buffer_size` is the most bytes one receive reads.

    `pools` are those of the loop.
    """
    pools = pools or Pools()
    kinds = {source.kind, sink.kind}
    if Kind.ENCRYPTED in kinds:
        lane = Copy(source, sink, transform, buffer_size, pools=pools)
        if source.kind in (Kind.ENCRYPTED, Kind.FILE):  # they never block
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
