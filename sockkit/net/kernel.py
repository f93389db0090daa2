"""The lanes of the kernel: sendfile(2), splice(2), and splice(2) through a pipe of ours.

A lane that does not work for its ends raises Unfit with the bytes that it holds, and a copy goes on
from there, so nothing is lost. For example, splice(2) refuses a file that is open for appending.

Urgent data, tcp(7), makes a lane unfit, too. splice(2) stops at the position of an urgent byte: it
returns EAGAIN there, or 0 after the peer's FIN, while recv(2) returns the bytes that follow. So if
a ready source yields nothing, or ends, we check with recv(2) whether it has bytes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from sockkit.errors import SockkitError
from sockkit.net.ends.end import Kind, Sink, Source
from sockkit.net.pools import WIDE_PIPE_BYTES, Pipe, Pools, widen

if TYPE_CHECKING:
    from sockkit.net.lanes import Lane

MAX_SPLICE_BYTES = WIDE_PIPE_BYTES  # per call
MAX_SENDFILE_BYTES = 8 * 1024 * 1024  # per call; the socket may accept fewer
MAX_STEPS = 64  # steps in a row, before the loop serves others
# For less than this, a copy costs less than two calls of splice(2); for up to twice as much, it
# costs no more. After MAX_LITTLE_FILLS small fills in a row we expect that they stay small.
LITTLE_BYTES = 16 * 1024
MAX_LITTLE_FILLS = 16

_UNFIT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Wait(Enum):
    """What to wait for after a step; END for nothing."""

    SOURCE = auto()
    SINK = auto()
    END = auto()


class Unfit(Exception):  # noqa: N818 - a decision, not an error
    """This lane cannot go on. Another takes over: `lane`, or a copy if `lane` is None.

    The copy first writes the bytes `held`, then moves the rest of the source, then raises `fault`.
    """

    def __init__(
        self, held: bytes = b"", fault: SockkitError | None = None, lane: Lane | None = None
    ) -> None:
        super().__init__()
        self.held, self.fault, self.lane = held, fault, lane


class _Kernel:
    """The common part of these lanes."""

    __slots__ = (
        "_ended",
        "_moved",
        "_sink",
        "_size",
        "_source",
        "bytes_read",
        "bytes_written",
        "held",
    )
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
    """From a regular file to a socket, sendfile(2), which advances the position of the file."""

    __slots__ = ()
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

    EAGAIN does not say which end is not ready. If the source has bytes, the sink is not ready. If
    the sink was reported ready, too, splice(2) does not work here: the lane is unfit.
    """

    __slots__ = ("_wait",)
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
    """Between two ends that are not pipes: splice(2) into a pipe, and out of it.

    It borrows the pipe from `pools` while bytes wait in it. If there is no pipe, the lane is unfit.
    With `light` it is also unfit once the messages are small: then the lane that `light` makes
    takes over.
    """

    __slots__ = ("_closed", "_light", "_little", "_pipe", "_pools")
    name = "splice through a pipe"

    def __init__(
        self,
        source: Source,
        sink: Sink,
        buffer_size: int | None,
        pools: Pools,
        light: Callable[[], Lane] | None = None,
    ) -> None:
        super().__init__(source, sink, buffer_size)
        self._pools, self._light, self._closed = pools, light, False
        self._pipe: Pipe | None = None
        pools.users += 1
        self._little = 0  # small fills in a row

    def step(self) -> Wait:
        if self._ended and not self._pipe:
            return Wait.END
        pipe = self._pipe or self._take()
        if not self._ended and self.held < pipe.size:
            self._fill(pipe)
        while self.held:
            try:
                size = _splice(pipe.out, self._sink.descriptor, self.held)
            except BlockingIOError:
                return Wait.SINK
            except OSError as error:
                if error.errno in _UNFIT:
                    raise self._unfit() from error
                raise self._sink.write_failed(error) from error
            self.held -= size
            self.bytes_written += size
        self._release()
        return Wait.END if self._ended else Wait.SOURCE

    def _take(self) -> Pipe:
        if self._light and self._little >= MAX_LITTLE_FILLS:
            raise self._unfit()
        self._pipe = self._pools.take_pipe()
        if not self._pipe:
            raise self._unfit()
        return self._pipe

    def _fill(self, pipe: Pipe) -> None:
        try:
            size = _splice(self._source.descriptor, pipe.into, self._size)
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
        self._little = self._little + 1 if size < LITTLE_BYTES else 0

    def _unfit(self, fault: SockkitError | None = None) -> Unfit:
        if self._pipe and self.held:
            return Unfit(os.read(self._pipe.out, self.held), fault)
        return Unfit(b"", fault, self._light() if self._light and not fault else None)

    def _release(self) -> None:
        if self._pipe:
            (self._pools.drop if self.held else self._pools.give_back)(self._pipe)
            self._pipe = None

    def close(self) -> None:
        self._release()
        if not self._closed:
            self._closed = True
            self._pools.left()


def _splice(source: int, sink: int, size: int) -> int:
    return os.splice(source, sink, size, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
