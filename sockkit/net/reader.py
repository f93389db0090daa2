"""The receiver of a connection that passes what it reads to a message handler."""

from __future__ import annotations

from typing import Protocol

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.coalesce import PAUSE_SECONDS, Coalescer
from sockkit.net.connection import Connection
from sockkit.net.loop import Loop


class Handler(Protocol):
    def received(self, data: bytes) -> None:
        """Handle `data` from the peer. It is never empty."""
        ...

    def wants_more(self) -> bool:
        """Whether to read now. If it returns False, the handler must call `Reader.resume` later."""
        ...


class Reader:
    """Reads into `buffer`, which all connections of a server share.

    While the handler wants no more, it reads nothing, and TCP's flow control slows the peer down.
    It coalesces tiny pieces, coalesce.py.
    """

    __slots__ = (
        "_coalescer",
        "_connection",
        "_handler",
        "_loop",
        "_pausing",
        "_stopped",
        "_watching",
        "buffer",
        "bytes_read",
    )

    def __init__(
        self, loop: Loop, connection: Connection, handler: Handler, buffer: memoryview
    ) -> None:
        self._loop, self._connection, self._handler = loop, connection, handler
        self._coalescer = Coalescer()
        self._pausing = self._stopped = self._watching = False
        self.buffer = buffer
        self.bytes_read = 0

    @property
    def bytes_written(self) -> int:
        """Bytes passed to the handler. It accepts all of them."""
        return self.bytes_read

    def start(self) -> None:
        self.resume()

    def resume(self) -> None:
        """Read on, if the handler wants more."""
        wanted = not (self._stopped or self._pausing) and self._handler.wants_more()
        self._watch(wanted)

    def finish(self) -> None:
        self.stop()
        self._connection.receiver_ended()

    def stop(self) -> None:
        self._stopped = True
        self._watch(False)

    def _watch(self, wanted: bool) -> None:
        if wanted != self._watching:
            self._watching = wanted
            self._connection.end.when_readable(self._read if wanted else None)

    def _read(self) -> None:
        if not self._handler.wants_more():
            self._watch(False)
            return
        try:
            size = self._connection.end.read_into(self.buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self._connection.receiving_failed(without_traceback(error))
            return
        self.bytes_read += size
        if not size:
            self.finish()
            return
        sent = self._connection.outbox.bytes_written
        self._connection.received()
        self._handler.received(bytes(self.buffer[:size]))
        if self._coalescer.should_pause(size, self._loop.now, sent) and not self._stopped:
            self._pausing = True
            self._watch(False)
            self._loop.later(PAUSE_SECONDS, self._end_pause)

    def _end_pause(self) -> None:
        self._pausing = False
        self.resume()
