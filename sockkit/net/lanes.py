"""The ways bytes get from a source to a sink, fastest first.

`choose` decides from the two ends and what lies between. The kernel moves bytes where it
can: sendfile(2) from a file to a socket, splice(2) where one end is a pipe, and splice
through a pipe of our own where neither is. Everything else is copied through one reused
buffer. A lane that turns out unfit (a file opened for appending takes no splice) raises
Unfit with what it holds, and a copy goes on from there: nothing is lost.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from enum import Enum, auto
from typing import Protocol

from sockkit.core.text import Transform
from sockkit.errors import SockkitError, TextError
from sockkit.net.stream import Kind, Sink, Source

COPY_SIZE = 256 * 1024  # fits a processor's second-level cache
SPLICE_SIZE = 1024 * 1024  # the largest pipe an ordinary user gets, pipe(7)
SENDFILE_SIZE = 8 * 1024 * 1024  # bytes asked for at a time; the socket takes what it can
STEPS = 64  # of the kernel's own moves, before the loop looks elsewhere

_UNFIT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Wait(Enum):
    """What a step leaves to wait for."""

    SOURCE = auto()
    SINK = auto()
    END = auto()


class Unfit(Exception):  # noqa: N818 - a decision, not an error
    """The system will not move these ends this way.

    `held` is still to be written, and then a `fault` of the source to be raised.
    """

    def __init__(self, held: bytes = b"", fault: SockkitError | None = None) -> None:
        super().__init__()
        self.held, self.fault = held, fault


class Lane(Protocol):
    """`taken` and `given` count bytes; `held` are bytes taken and not yet given.

    `step` moves what it can without waiting, a bounded amount, and says what to wait for;
    up to `steps` may follow each other without asking whether the ends are ready.
    After `finish` it takes no more from the source, and ends when nothing is held.
    An error of the source is raised after what came before it has been given.
    """

    name: str
    steps: int
    taken: int
    given: int

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
        size: int | None = None,
        held: bytes = b"",
        fault: SockkitError | None = None,
    ) -> None:
        self._source, self._sink, self._transform = source, sink, transform
        self._buffer = memoryview(bytearray(size or COPY_SIZE))
        self._pending = memoryview(held)
        self._ended = fault is not None
        self._finishing = False
        self._fault = fault
        self.taken = self.given = 0

    @property
    def held(self) -> int:
        return len(self._pending)

    def step(self) -> Wait:
        if not self._pending:
            if self._ended:
                return self._end()
            try:
                self._take(0 if self._finishing else self._source.read_into(self._buffer))
            except BlockingIOError:
                return Wait.SOURCE
        while self._pending:
            try:
                written = self._sink.write(self._pending)
            except BlockingIOError:
                return Wait.SINK
            self.given += written
            self._pending = self._pending[written:]
        return self._end() if self._ended else Wait.SOURCE

    def _take(self, size: int) -> None:
        """Have `size` bytes of the buffer to give, or with 0 what the end releases."""
        self.taken += size
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

    def _end(self) -> Wait:
        if self._fault:
            raise self._fault
        return Wait.END

    def finish(self) -> None:
        self._finishing = True

    def close(self) -> None:
        pass


class _Kernel:
    """What the lanes that the kernel drives have in common."""

    steps = STEPS
    size = SPLICE_SIZE

    def __init__(self, source: Source, sink: Sink, size: int | None) -> None:
        self._source, self._sink = source, sink
        self._size = size or self.size
        self._ended = False
        self.taken = self.given = self.held = 0

    def finish(self) -> None:
        self._ended = True

    def close(self) -> None:
        pass


class Sendfile(_Kernel):
    """From a regular file to a socket, sendfile(2); the file's position moves along."""

    name = "sendfile"
    size = SENDFILE_SIZE

    def step(self) -> Wait:
        if self._ended:
            return Wait.END
        try:
            size = os.sendfile(self._sink.descriptor, self._source.descriptor, None, self._size)
        except BlockingIOError:
            return Wait.SINK
        except OSError as error:
            if error.errno in _UNFIT:
                raise Unfit from error
            if error.errno == errno.EIO:
                raise self._source.read_failed(error) from error
            raise self._sink.write_failed(error) from error
        self.taken += size
        self.given += size
        return Wait.SINK if size else Wait.END


class Splice(_Kernel):
    """Between a socket and a pipe, splice(2).

    When neither moves, the call does not say which end is to blame. It was called because
    one of them was ready, so it is the other.
    """

    name = "splice"

    def __init__(self, source: Source, sink: Sink, size: int | None) -> None:
        super().__init__(source, sink, size)
        self._wait = Wait.SOURCE
        widen((source if source.kind is Kind.PIPE else sink).descriptor)

    def step(self) -> Wait:
        if self._ended:
            return Wait.END
        try:
            size = _splice(self._source.descriptor, self._sink.descriptor, self._size)
        except BlockingIOError:
            self._wait = Wait.SINK if self._wait is Wait.SOURCE else Wait.SOURCE
            return self._wait
        except OSError as error:
            raise self._blamed(error) from error
        self.taken += size
        self.given += size
        return self._wait if size else Wait.END

    def _blamed(self, error: OSError) -> Exception:
        if error.errno in _UNFIT:
            return Unfit()
        if error.errno == errno.EPIPE or self._sink.kind is Kind.SOCKET:
            return self._sink.write_failed(error)
        return self._source.read_failed(error)


class PipedSplice(_Kernel):
    """Between two ends of which neither is a pipe: splice(2) twice, by a pipe of our own."""

    name = "splice through a pipe"

    def __init__(self, source: Source, sink: Sink, size: int | None) -> None:
        super().__init__(source, sink, size)
        self._fault: SockkitError | None = None
        self._pipe_out, self._pipe_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        widen(self._pipe_in)

    def step(self) -> Wait:
        if not self._ended and self.held < SPLICE_SIZE:
            self._fill()
        while self.held:
            try:
                size = _splice(self._pipe_out, self._sink.descriptor, self.held)
            except BlockingIOError:
                return Wait.SINK
            except OSError as error:
                if error.errno in _UNFIT:
                    raise Unfit(os.read(self._pipe_out, self.held), self._fault) from error
                raise self._sink.write_failed(error) from error
            self.held -= size
            self.given += size
        if self._fault:
            raise self._fault
        return Wait.END if self._ended else Wait.SOURCE

    def _fill(self) -> None:
        try:
            size = _splice(self._source.descriptor, self._pipe_in, self._size)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _UNFIT:
                raise Unfit(os.read(self._pipe_out, self.held) if self.held else b"") from error
            self._fault = self._source.read_failed(error)
            self._fault.__cause__ = error
            self._ended = True
            return
        self.taken += size
        self.held += size
        self._ended = not size

    def close(self) -> None:
        os.close(self._pipe_out)
        os.close(self._pipe_in)


def choose(source: Source, sink: Sink, transform: Transform | None, size: int | None) -> Lane:
    """The fastest lane these ends allow. `size` is the most one receive takes, in bytes."""
    kinds = {source.kind, sink.kind}
    if transform is None and Kind.OTHER not in kinds:
        # Only Linux's sendfile moves the file's own position.
        if source.kind is Kind.FILE and sys.platform == "linux" and hasattr(os, "sendfile"):
            return Sendfile(source, sink, size)
        if hasattr(os, "splice"):
            if Kind.PIPE in kinds:
                return Splice(source, sink, size)
            try:
                return PipedSplice(source, sink, size)
            except OSError:
                pass  # no descriptor left for a pipe
    return Copy(source, sink, transform, size)


def widen(pipe: int) -> None:
    """Make room for more bytes a call in a pipe, where the system lets us, pipe(7)."""
    try:
        if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < SPLICE_SIZE:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, SPLICE_SIZE)
    except OSError:
        pass  # the user's share is used up: a smaller pipe does too


def _splice(source: int, sink: int, size: int) -> int:
    return os.splice(source, sink, size, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
