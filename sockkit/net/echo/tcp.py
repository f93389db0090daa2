"""The responder over TCP: answers every client, and no client waits for another.

A connection that is only echoed takes a faster path, PlainEcho. All others are AnsweredEcho.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockkit.core.ending import Limit, idle_error, silence_only
from sockkit.core.responder import Responder
from sockkit.errors import SockkitError, TimedOut
from sockkit.events import Closed, SocketCall
from sockkit.net.closing import Closer
from sockkit.net.connection import (
    Connection,
    Direction,
    Owner,
    Result,
    closed_event,
    closed_with_reason,
)
from sockkit.net.context import Context
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.echo.plain import MAX_RECEIVE_BYTES, PlainEcho
from sockkit.net.ends.end import End, Kind
from sockkit.net.loop import Timer
from sockkit.net.options import SocketOptions
from sockkit.net.reader import Reader
from sockkit.net.scheduler import Scheduler, Task
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value


class EchoOptions(Value):
    """`responder` makes a responder for each connection, and one for all datagrams; None: echo.

    `delay` is in seconds. `drop` is the share of datagrams that get no answer, 0 to 1. A connection
    is closed after `close_after` answers, or after `idle` seconds of silence.
    """

    responder: Callable[[], Responder] | None = None
    greet: bytes = b""
    delay: float = 0.0
    drop: float = 0.0
    close_after: int | None = None
    sockets: SocketOptions = SocketOptions()
    idle: float | None = None

    @property
    def plain(self) -> bool:
        timed = self.delay or self.idle is not None
        return not (self.responder or self.greet or timed or self.close_after)


class TcpEcho:
    """Answers all clients of `listener`. Owns their connections, and the listener."""

    def __init__(
        self, context: Context, listener: Listener, options: EchoOptions, scheduler: Scheduler
    ) -> None:
        self.context, self.options, self.scheduler = context, options, scheduler
        self.buffer = memoryview(bytearray(options.sockets.buffer_size or MAX_RECEIVE_BYTES))
        self.closer = Closer(context.loop)
        self._listener = listener
        self._connections: set[PlainEcho | AnsweredEcho] = set()

    def start(self) -> None:
        self._listener.accept(self._accepted)

    def close(self) -> None:
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        self.closer.close_all()

    def _accepted(self, end: End) -> None:
        self.closer.make_space()
        connection = (
            PlainEcho if self.options.plain and end.kind is Kind.SOCKET else AnsweredEcho
        )(self, end)
        self._connections.add(connection)
        connection.start()

    def closed(
        self, connection: PlainEcho | AnsweredEcho, closed: Closed, error: SockkitError | None
    ) -> None:
        self._connections.discard(connection)
        if error:  # a client's reset is not an error of the server
            self.context.emit(SocketCall("reset", str(error)))
        self.context.emit(closed)
        self._listener.released()


class AnsweredEcho(Task, Owner):
    """A connection whose answers are made by a responder, or delayed.

    It makes answers, and reads, only while the client accepts the answers.
    """

    def __init__(self, echo: TcpEcho, end: End) -> None:
        self._echo, loop = echo, echo.context.loop
        self._answers = Answers(echo.options)
        self._delayed: DelayQueue[bytes] = DelayQueue(loop, echo.options.delay, self._send_delayed)
        self._delayed_bytes = 0  # bytes of answers that are delayed
        self._silence: Timer | None = None  # until a silence completes a message
        ending = silence_only(echo.options.idle)
        self._connection = Connection(loop, end, self, echo.closer, ending)
        self._reader = Reader(loop, self._connection, self, echo.buffer)

    def start(self) -> None:
        self._connection.start(self._reader)
        self._connection.send(self._echo.options.greet)

    def close(self) -> None:
        """Close at once."""
        self._connection.close()

    # What the connection and its reader report.

    def wants_more(self) -> bool:
        return self._has_space() and not (self._answers.waiting or self._answers.finished)

    def received(self, data: bytes) -> None:
        self._answers.feed(data)
        self._review()

    def peer_ended(self) -> None:
        self._answers.feed(b"")
        self._review()

    def drained(self) -> None:
        self._review()

    def held_up(self, limit: Limit) -> bool:
        return bool(self._delayed_bytes) or self._answers.waiting

    def over(self, limit: Limit | None) -> None:
        self._connection.close_lingering(idle_error(self._echo.options.idle or 0))

    def closing(self) -> None:
        self._delayed.stop()
        self._answers.stop()
        if self._silence:
            self._silence.cancel()

    def closed(self, result: Result) -> None:
        error = result.error
        if isinstance(error, TimedOut):
            self._echo.closed(self, closed_with_reason(self._connection, result), None)
            return
        # A client that departs before it has sent all is not an error of the server.
        unsent = 0 if error else result.unsent
        self._echo.closed(self, closed_event(self._connection, result, unsent), error)

    # Answers.

    def _has_space(self) -> bool:
        return not self._connection.outbox.size and self._delayed_bytes < MAX_RECEIVE_BYTES

    def _review(self) -> None:
        """Decide what to do next: make answers, read more, or close."""
        if not self._connection.is_open:
            return
        if self._answers.waiting:  # make these before we read more
            if self._has_space():
                self._echo.scheduler.schedule(self)
        elif self._connection.receiving is Direction.OPEN and not self._answers.finished:
            self._reader.resume()
            if self._answers.due is not None and not self._silence:
                self._silence = self._echo.context.loop.at(self._answers.due, self._expire)
        elif not (self._delayed_bytes or self._connection.outbox.size):
            self._connection.close_lingering()

    def _expire(self) -> None:
        self._silence = None
        if not self._answers.waiting:
            self._answers.expire()
        self._review()

    def serve(self, should_yield: Callable[[], bool]) -> bool:
        if not self._connection.is_open:
            return False
        self._send(self._answers.make(MAX_RECEIVE_BYTES - self._delayed_bytes, should_yield))
        if not self._answers.waiting:
            self._review()
            return False
        return self._connection.is_open and self._has_space()

    def _send(self, data: bytes) -> None:
        if not self._echo.options.delay:
            self._connection.send(data)
        elif data:
            self._delayed_bytes += len(data)
            self._delayed.put(data)

    def _send_delayed(self, data: bytes) -> None:
        self._delayed_bytes -= len(data)
        self._connection.send(data)
        self._review()


class Answers:
    """The answers for one client. Each is made when it is requested."""

    def __init__(self, options: EchoOptions) -> None:
        self._responder = options.responder() if options.responder else None
        self._remaining = options.close_after
        self._iterator: Iterator[bytes] | None = None  # the answers to the bytes fed last

    @property
    def waiting(self) -> bool:
        """Whether answers may remain to be made. Then feed nothing more."""
        return self._iterator is not None

    @property
    def finished(self) -> bool:
        """Whether `close_after` answers have been made."""
        return self._remaining == 0

    def feed(self, data: bytes) -> None:
        """Answer `data`; b"" means the end of the client's bytes."""
        self._iterator = self._iterate(data)

    def stop(self) -> None:
        """Make no more answers, and free the bytes of the client."""
        self._iterator = self._responder = None

    @property
    def due(self) -> float | None:
        """When to call `expire`, unless more bytes are fed before; None for never."""
        return self._responder.due if self._responder else None

    def expire(self) -> None:
        """Answer a message that a silence has completed."""
        if self._responder:
            self._iterator = iter(self._responder.expire())

    def _iterate(self, data: bytes) -> Iterator[bytes]:
        if self._responder:
            yield from self._responder.feed(data) if data else self._responder.flush()
        elif data:
            yield data

    def make(self, size: int, should_yield: Callable[[], bool]) -> bytes:
        """Make answers: all, or until there are `size` bytes, or until `should_yield()`."""
        made: list[bytes] = []
        while self._iterator and not self.finished and size > 0:
            answer = next(self._iterator, None)
            if answer is None:
                self._iterator = None
                break
            made.append(answer)
            size -= len(answer)
            if self._remaining is not None:
                self._remaining -= 1
            if should_yield():
                break
        if self.finished:
            self._iterator = None
        return b"".join(made)
