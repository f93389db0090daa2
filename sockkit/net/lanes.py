"""The ways bytes get from a source to a sink, fastest first.

`choose` decides from the two ends and what lies between. The kernel moves bytes where it can
(`net/kernel.py`): sendfile(2) from a file to a socket, splice(2) where one end is a pipe, and
splice through a pipe of our own where neither is. Everything else is copied through one reused
buffer.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from sockkit.core.text import Transform
from sockkit.errors import SockkitError, TextError
from sockkit.net.ends.end import Kind, Sink, Source
from sockkit.net.kernel import PipedSplice, Sendfile, Splice, Wait

COPY_BUFFER_BYTES = 256 * 1024  # fits a processor's second-level cache


class Lane(Protocol):
    """`bytes_read` and `bytes_written` count; `held` are bytes read and not yet written.

    `step` moves what it can without waiting, a bounded amount, and says what to wait for;
    up to `steps` may follow each other without asking whether the ends are ready.
    After `finish` it takes no more from the source, and ends when nothing is held.
    An error of the source is raised after what came before it has been written.
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
    """Through a buffer, and a transform where there is one."""

    name = "copy"
    steps = 1  # a standard input that could not be opened again blocks when read unasked

    def __init__(
        self,
        source: Source,
        sink: Sink,
        transform: Transform | None = None,
        buffer_size: int | None = None,
        held: bytes = b"",
        fault: SockkitError | None = None,
    ) -> None:
        self._source, self._sink, self._transform = source, sink, transform
        self._buffer = memoryview(bytearray(buffer_size or COPY_BUFFER_BYTES))
        self._pending = memoryview(held)
        self._ended = self._finishing = False
        self._fault = fault
        self.bytes_read = self.bytes_written = 0

    @property
    def held(self) -> int:
        return len(self._pending)

    def step(self) -> Wait:
        while self._pending or not self._ended:
            if not self._pending:
                try:
                    self._take(0 if self._finishing else self._source.read_into(self._buffer))
                except BlockingIOError:
                    if not self._fault:
                        return Wait.SOURCE
                    self._take(0)
            if self._pending:
                try:
                    written = self._sink.write(self._pending)
                except BlockingIOError:
                    return Wait.SINK
                self.bytes_written += written
                self._pending = self._pending[written:]
                if self._pending:
                    return Wait.SINK
            if not self._fault and not self._ended:
                return Wait.SOURCE
        if self._fault:
            raise self._fault
        return Wait.END

    def _take(self, size: int) -> None:
        """Have `size` bytes of the buffer to give, or with 0 what the end releases."""
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
            self._fault = error
            self._ended = True
            self._pending = memoryview(error.before)

    def finish(self) -> None:
        self._finishing = True

    def close(self) -> None:
        pass


def choose(
    source: Source, sink: Sink, transform: Transform | None, buffer_size: int | None
) -> Lane:
    """The fastest lane these ends allow. `buffer_size` is the most bytes one receive reads."""
    kinds = {source.kind, sink.kind}
    if transform is None and Kind.OTHER not in kinds:
        # Only Linux's sendfile moves the file's own position.
        if source.kind is Kind.FILE and sys.platform == "linux" and hasattr(os, "sendfile"):
            return Sendfile(source, sink, buffer_size)
        if hasattr(os, "splice"):
            if Kind.PIPE in kinds:
                return Splice(source, sink, buffer_size)
            try:
                return PipedSplice(source, sink, buffer_size)
            except OSError:
                pass  # no descriptor left for a pipe
    return Copy(source, sink, transform, buffer_size)
