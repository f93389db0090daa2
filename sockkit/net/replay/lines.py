"""Lines: what a conversation of a recording is played over, here a connection.

net/replay/datagram_line.py has that of a datagram socket, net/replay/udp_server.py that of a peer.
"""

from __future__ import annotations

from typing import Protocol

from sockkit.core.player import Conversation
from sockkit.errors import SockkitError
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Owner, Result
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop
from sockkit.net.reader import Reader

MAX_WAITING_BYTES = 256 * 1024  # to be sent, before the recording is read on


class Host(Protocol):
    """What lines report to."""

    loop: Loop

    def wants(self, conversation: Conversation) -> bool:
        """Whether to receive now. If not, `resume` is called later."""
        ...

    def received(self, conversation: Conversation, data: bytes) -> None: ...

    def ended(self, conversation: Conversation) -> None:
        """The peer has ended its side."""
        ...

    def wake(self) -> None:
        """Something was sent."""
        ...

    def closed(self, conversation: Conversation, error: SockkitError | None) -> None:
        """The line is closed. Called once."""
        ...


class Line(Protocol):
    """One conversation as it is now. `clogged` says that much waits to be sent."""

    @property
    def clogged(self) -> bool: ...

    @property
    def waiting(self) -> bool:
        """Whether anything waits to be sent."""
        ...

    @property
    def undelivered(self) -> int:
        """Bytes that the peer's system has not acknowledged, as far as we know."""
        ...

    def start(self) -> None: ...

    def resume(self) -> None: ...

    def send(self, data: bytes, /) -> None: ...

    def half_close(self) -> None:
        """All that was sent must be written."""
        ...

    def finish(self) -> None:
        """Close it when all is delivered; `closed` is reported then."""
        ...

    def reset(self) -> None: ...

    def stop(self) -> None:
        """Close it at once."""
        ...


class StreamLine(Owner):
    """Owns `end`."""

    def __init__(
        self,
        host: Host,
        conversation: Conversation,
        end: End,
        closer: Closer,
        buffer: memoryview,
    ) -> None:
        self._host, self._conversation = host, conversation
        self.connection = Connection(host.loop, end, self, closer)
        self._reader = Reader(host.loop, self.connection, self, buffer)

    def start(self) -> None:
        self.connection.start(self._reader)

    def resume(self) -> None:
        self._reader.resume()

    @property
    def clogged(self) -> bool:
        return self.connection.outbox.size > MAX_WAITING_BYTES

    @property
    def waiting(self) -> bool:
        return self.connection.outbox.size > 0

    @property
    def undelivered(self) -> int:
        return self.connection.unsent

    def send(self, data: bytes, /) -> None:
        self.connection.send(data)

    def half_close(self) -> None:
        self.connection.half_close()

    def finish(self) -> None:
        self.connection.close_lingering()

    def reset(self) -> None:
        self.connection.reset()

    def stop(self) -> None:
        self.connection.close()

    # What the connection and its reader report.

    def wants_more(self) -> bool:
        return self._host.wants(self._conversation)

    def received(self, data: bytes) -> None:
        self._host.received(self._conversation, data)

    def peer_ended(self) -> None:
        self._host.ended(self._conversation)

    def drained(self) -> None:
        self._host.wake()

    def closed(self, result: Result) -> None:
        failure = result.failure if result.unsent else None
        self._host.closed(self._conversation, result.error or failure)
