"""The pipes of a program as an end: we read its standard output and write its standard input.

If a program closes both without reading all of its input, that counts as a reset.
"""

from __future__ import annotations

import errno
import os
import select

from sockkit.core.address import Address
from sockkit.errors import SockkitError
from sockkit.events import Peer
from sockkit.net.ends.end import Callback, Kind, os_error, receive_error, send_error
from sockkit.net.loop import Loop
from sockkit.system import FIONREAD, ioctl_number


class _Pipe:
    """Owns our end of a pipe, for reading or for writing. `descriptor` is -1 once it is closed."""

    kind = Kind.PIPE

    def __init__(self, loop: Loop, descriptor: int, name: str) -> None:
        os.set_blocking(descriptor, False)
        self._loop, self.descriptor, self.name = loop, descriptor, name

    def read_failed(self, error: OSError, /) -> SockkitError:
        return receive_error(self.name, error)

    def write_failed(self, error: OSError, /) -> SockkitError:
        return send_error(self.name, error)

    def held(self) -> int:
        """The bytes in the pipe, FIONREAD of pipe(7)."""
        return ioctl_number(self.descriptor, FIONREAD) or 0 if self.descriptor >= 0 else 0

    def has_bytes(self) -> bool:
        if self.descriptor < 0:
            error = os_error(errno.EBADF)
            raise self.read_failed(error) from error
        return bool(self.held())

    def when_readable(self, callback: Callback | None) -> None:
        if self.descriptor >= 0:
            self._loop.when_readable(self.descriptor, callback)

    def when_writable(self, callback: Callback | None) -> None:
        if self.descriptor >= 0:
            self._loop.when_writable(self.descriptor, callback)

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            return os.readv(self.descriptor, [buffer])
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.read_failed(error) from error

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            if self.descriptor < 0:
                raise os_error(errno.EPIPE)
            return os.write(self.descriptor, data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.write_failed(error) from error

    def close(self) -> None:
        if self.descriptor >= 0:
            self.when_readable(None)
            self.when_writable(None)
            os.close(self.descriptor)
            self.descriptor = -1


class ProgramEnd:
    """Owns our ends of both pipes. `peer` has the program's name.

    Each half has its own descriptor. Pass `source` and `sink` to a lane, so that it can use
    splice(2).
    """

    kind, descriptor = Kind.OTHER, -1
    remote: Address | None = None

    def __init__(self, loop: Loop, standard_input: int, standard_output: int, peer: Peer) -> None:
        """The descriptors are our ends of the pipes to its standard input and from its output."""
        self.peer = peer
        self.source = _Pipe(loop, standard_output, peer.address)
        self.sink = _Pipe(loop, standard_input, peer.address)
        self.has_bytes, self.when_readable = self.source.has_bytes, self.source.when_readable
        self.write, self.when_writable = self.sink.write, self.sink.when_writable
        self.read_failed, self.write_failed = self.source.read_failed, self.sink.write_failed
        self.queued = self.sink.held
        self._closed = self._reset_told = False

    @property
    def name(self) -> str:
        return self.peer.address

    def local(self) -> Address | None:
        return None

    def read_into(self, buffer: memoryview, /) -> int:
        size = self.source.read_into(buffer)
        if not size and len(buffer) and (error := self._reset()):
            raise self.read_failed(error) from error
        return size

    def half_close(self) -> None:
        """Close its standard input."""
        if self._closed:
            error = os_error(errno.EBADF)
            raise self.write_failed(error) from error
        self.sink.close()

    def undelivered(self, queued: int | None = None) -> int:
        return self.queued() if queued is None else queued

    def failure(self) -> SockkitError | None:
        if self._closed:
            return self.write_failed(os_error(errno.EBADF))
        error = self._reset()
        return self.write_failed(error) if error else None

    def close(self) -> None:
        self._closed = True
        self.source.close()
        self.sink.close()

    abort = close

    def _reset(self) -> OSError | None:
        """The error if the program has closed its input before reading all of it; returned once."""
        if self._reset_told or not self.sink.held():
            return None
        poll = select.poll()
        poll.register(self.sink.descriptor, 0)
        if not poll.poll(0):  # POLLERR: nobody has the reading end open, poll(2)
            return None
        self._reset_told = True
        return os_error(errno.ECONNRESET)
