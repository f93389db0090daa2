"""The base of ends that wrap another end: it passes most calls on to that end."""

from __future__ import annotations

from sockkit.core.address import Address
from sockkit.errors import SockkitError
from sockkit.net.ends.end import Callback, Kind, PeerEnd


class WrappedEnd:
    """Owns `end`. It has no descriptor, so lanes copy its bytes.

    A subclass defines the other methods: `read_into`, `when_readable`, `when_reset`, `close` and
    `abort`.
    """

    __slots__ = ("end", "peer", "remote")
    descriptor = -1
    kind: Kind

    def __init__(self, end: PeerEnd) -> None:
        self.end, self.peer, self.remote = end, end.peer, end.remote

    @property
    def name(self) -> str:
        return self.end.name

    def local(self) -> Address | None:
        return self.end.local()

    def when_writable(self, callback: Callback | None) -> None:
        self.end.when_writable(callback)

    def has_bytes(self) -> bool:
        return self.end.has_bytes()

    def write(self, data: bytes | memoryview, /) -> int:
        return self.end.write(data)

    def read_failed(self, error: OSError, /) -> SockkitError:
        return self.end.read_failed(error)

    def write_failed(self, error: OSError, /) -> SockkitError:
        return self.end.write_failed(error)

    def queued(self) -> int:
        return self.end.queued()

    def undelivered(self, queued: int | None = None) -> int:
        return self.end.undelivered(queued)

    def failure(self) -> SockkitError | None:
        return self.end.failure()

    def half_close(self) -> None:
        self.end.half_close()
