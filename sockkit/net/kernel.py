"""The lanes the kernel drives: sendfile(2), splice(2), and splice through a pipe of our own.

One that turns out unfit (a file opened for appending takes no splice) raises Unfit with what it
holds, and a copy goes on from there: nothing is lost.

Urgent data, tcp(7), makes a lane unfit too. splice(2) does not get past the place of an urgent
byte: it says EAGAIN, and after the peer's end 0, while recv(2) gives what follows. So when a
source that was ready gives nothing, or has ended, it is asked whether it has bytes.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, auto

from sockkit.errors import SockkitError
from sockkit.net.ends.end import Kind, Sink, Source
from sockkit.system import fcntl, pipe

MAX_SPLICE_BYTES = 1024 * 1024  # the largest pipe an ordinary user gets, pipe(7)
MAX_SENDFILE_BYTES = 8 * 1024 * 1024  # bytes asked for at a time; the socket takes what it can
MAX_STEPS = 64  # of the kernel's own moves, before the loop looks elsewhere

_UNFIT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Wait(Enum):
    """What a step leaves to wait for."""

    SOURCE = auto()
    SINK = auto()
    END = auto()


class Unfit(Exception):  # noqa: N818 - a decision, not an error
    """The system will not move these ends this way.

    `held` is still to be written, then what the source still has, and then a `fault` of the
    source to be raised.
    """

    def __init__(self, held: bytes = b"", fault: SockkitError | None = None) -> None:
        super().__init__()
        self.held, self.fault = held, fault


class _Kernel:
    """What the lanes that the kernel drives have in common."""

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
        """What to raise: the fault, once all that came before it is written."""
        fault = self._source.read_failed(error)
        fault.__cause__ = error
        return self._unfit(fault) if self.held or self._source.has_bytes() else fault

    def _unfit(self, fault: SockkitError | None = None) -> Unfit:
        return Unfit(b"", fault)


class Sendfile(_Kernel):
    """From a regular file to a socket, sendfile(2); the file's position moves along."""

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

    When neither moves, the call does not say which end is to blame. A source that has bytes
    waits for the sink, and where that was ready, splice(2) is unfit.
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
    """Between two ends of which neither is a pipe: splice(2) twice, by a pipe of our own."""

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
            # With nothing held there was room for what the source, which was ready, has.
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
    """Make room for more bytes a call in a pipe, where the system lets us, pipe(7)."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        return
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < MAX_SPLICE_BYTES:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, MAX_SPLICE_BYTES)
    except OSError:
        pass  # the user's share is used up: a smaller pipe does too


def _splice(source: int, sink: int, size: int) -> int:
    return os.splice(source, sink, size, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
