"""Lines: a recorded conversation is replayed over a line. Here it is a connection.

In net/replay/datagram_line.py it is a datagram socket, and in net/replay/udp_server.py one peer of
a server's datagram socket.
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

MAX_WAITING_BYTES = 256 * 1024  # while more wait to be sent, we do not read on in the recording


class Host(Protocol):
    """Gets the reports of lines."""

    loop: Loop

    def wants(self, conversation: Conversation) -> bool:
        """Whether to receive now. If not, `resume` is called later."""
        ...

    def received(self, conversation: Conversation, data: bytes) -> None: ...

    def ended(self, conversation: Conversation) -> None:
        """The peer has half-closed."""
        ...

    def wake(self) -> None:
        """The line has sent all waiting bytes."""
        ...

    def closed(self, conversation: Conversation, error: SockkitError | None) -> None:
        """The line is closed. Called once."""
        ...


class Line(Protocol):
    """What a conversation is replayed over. `clogged` is whether many bytes wait to be sent."""

    @property
    def clogged(self) -> bool: ...

    @property
    def waiting(self) -> bool:
        """Whether any bytes wait to be sent."""
        ...

    @property
    def undelivered(self) -> int:
        """How many bytes the peer's system has not acknowledged, as far as we know."""
        ...

    def start(self) -> None: ...

    def resume(self) -> None: ...

    def send(self, data: bytes, /) -> None: ...

    def half_close(self) -> None:
        """End our direction. No bytes may wait."""
        ...

    def finish(self) -> None:
        """Close the line once all is delivered. Then it reports `closed`."""
        ...

    def reset(self) -> None: ...

    def stop(self) -> None:
        """Close the line at once."""
        ...


class StreamLine(Owner):
    """A connection as a line. Owns `end`."""

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
