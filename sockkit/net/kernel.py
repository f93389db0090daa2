"""The lanes of the kernel: sendfile(2), splice(2), and splice through a pipe of our own.

A lane that does not work for its ends raises Unfit with the bytes that it holds, and a copy goes
on from there: nothing is lost. One example is a file opened for appending, which splice refuses.

Urgent data, tcp(7), makes a lane unfit too. splice(2) does not get past the position of an urgent
byte: it returns EAGAIN there, or 0 after the peer's FIN, while recv(2) returns what follows. So
when a source that was ready has nothing, or has ended, it is asked whether it has bytes.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, auto
from typing import TYPE_CHECKING

from sockkit.errors import SockkitError
from sockkit.net.ends.end import Kind, Sink, Source
from sockkit.system import fcntl, pipe

if TYPE_CHECKING:
    from sockkit.net.lanes import Lane

MAX_SPLICE_BYTES = 1024 * 1024  # per call; the largest pipe of an ordinary user, pipe(7)
MAX_SENDFILE_BYTES = 8 * 1024 * 1024  # per call; a socket accepts what it has space for
MAX_STEPS = 64  # calls in a row, before others on the loop are served

_UNFIT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Wait(Enum):
    """What to wait for after a step; END for nothing."""

    SOURCE = auto()
    SINK = auto()
    END = auto()


class Unfit(Exception):  # noqa: N818 - a decision, not an error
    """The system cannot move bytes between these ends in this way: a copy goes on, or `lane`.

    What comes next, in this order: write `held`, move the rest of the source, raise `fault`.
    """

    def __init__(
        self, held: bytes = b"", fault: SockkitError | None = None, lane: Lane | None = None
    ) -> None:
        super().__init__()
        self.held, self.fault, self.lane = held, fault, lane


class _Kernel:
    """What these lanes have in common."""

    steps = MAX_STEPS
    default_size = MAX_SPLICE_BYTES

    def __init__(self, source: Source, sink: Sink, buffer_size: int | None) -> None:
        self._source, self._sink = source, sink
        self._size = buffer_size or self.default_size
        self._ended = False
        self._moved = True  # since the last EAGAIN
        self.bytes_read = self.bytes_written = self.held = 0

    def finish(self) -> None:
        self._ended = True

    def close(self) -> None:
        pass

    def _source_failed(self, error: OSError) -> Exception:
        """The exception to raise: Unfit while there are bytes to write before the error."""
        fault = self._source.read_failed(error)
        fault.__cause__ = error
        return self._unfit(fault) if self.held or self._source.has_bytes() else fault

    def _unfit(self, fault: SockkitError | None = None) -> Unfit:
        return Unfit(b"", fault)


class Sendfile(_Kernel):
    """From a regular file to a socket, sendfile(2). The position of the file advances."""

    name = "sendfile"
    default_size = MAX_SENDFILE_BYTES

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
        self.bytes_read += size
        self.bytes_written += size
        return Wait.SINK if size else Wait.END


class Splice(_Kernel):
    """Between a socket and a pipe, splice(2).

    EAGAIN does not say which end is not ready. If the source has bytes, it must be the sink; and if
    the sink was ready, splice(2) is unfit.
    """

    name = "splice"

    def __init__(self, source: Source, sink: Sink, buffer_size: int | None) -> None:
        super().__init__(source, sink, buffer_size)
        self._wait = Wait.SOURCE
        widen((source if source.kind is Kind.PIPE else sink).descriptor)

    def step(self) -> Wait:
        if self._ended:
            return Wait.END
        try:
            size = _splice(self._source.descriptor, self._sink.descriptor, self._size)
        except BlockingIOError:
            return self._blocked()
        except OSError as error:
            raise self._blamed(error) from error
        if not size:
            if self._source.has_bytes():
                raise Unfit
            return Wait.END
        self._moved = True
        self.bytes_read += size
        self.bytes_written += size
        return self._wait

    def _blocked(self) -> Wait:
        if not self._source.has_bytes():
            self._wait = Wait.SOURCE
        elif self._wait is Wait.SINK and not self._moved:
            raise Unfit
        else:
            self._wait = Wait.SINK
        self._moved = False
        return self._wait

    def _blamed(self, error: OSError) -> Exception:
        if error.errno in _UNFIT:
            return Unfit()
        if error.errno == errno.EPIPE or self._sink.kind is Kind.SOCKET:
            return self._sink.write_failed(error)
        return self._source_failed(error)


class PipedSplice(_Kernel):
    """Between two ends that are no pipes: splice(2) into a pipe of our own, and out of it."""

    name = "splice through a pipe"

    def __init__(self, source: Source, sink: Sink, buffer_size: int | None) -> None:
        super().__init__(source, sink, buffer_size)
        self._pipe_out, self._pipe_in = pipe()
        widen(self._pipe_in)

    def step(self) -> Wait:
        if not self._ended and self.held < MAX_SPLICE_BYTES:
            self._fill()
        while self.held:
            try:
                size = _splice(self._pipe_out, self._sink.descriptor, self.held)
            except BlockingIOError:
                return Wait.SINK
            except OSError as error:
                if error.errno in _UNFIT:
                    raise self._unfit() from error
                raise self._sink.write_failed(error) from error
            self.held -= size
            self.bytes_written += size
        return Wait.END if self._ended else Wait.SOURCE

    def _fill(self) -> None:
        try:
            size = _splice(self._source.descriptor, self._pipe_in, self._size)
        except BlockingIOError:
            # The pipe was empty and the source was ready: this should have moved bytes.
            if not (self.held or self._moved) and self._source.has_bytes():
                raise self._unfit() from None
            self._moved = bool(self.held)
            return
        except OSError as error:
            unfit = error.errno in _UNFIT
            raise (self._unfit() if unfit else self._source_failed(error)) from error
        if not size and self._source.has_bytes():
            raise self._unfit()
        self._moved = True
        self.bytes_read += size
        self.held += size
        self._ended = not size

    def _unfit(self, fault: SockkitError | None = None) -> Unfit:
        return Unfit(os.read(self._pipe_out, self.held) if self.held else b"", fault)

    def close(self) -> None:
        os.close(self._pipe_out)
        os.close(self._pipe_in)


def widen(descriptor: int) -> None:
    """Enlarge a pipe to MAX_SPLICE_BYTES if the system allows it, pipe(7)."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        return
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < MAX_SPLICE_BYTES:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, MAX_SPLICE_BYTES)
    except OSError:
        pass  # the user's limit is reached: a smaller pipe works too


def _splice(source: int, sink: int, size: int) -> int:
    return os.splice(source, sink, size, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
