"""The responder's connections: each client gets its answers, and nobody waits.

A client that is only echoed has a path of its own (PlainEcho): what it does not accept is kept, at
most a buffer of it, and it is not read meanwhile. A stream of much data is left to the kernel,
which moves it through a pipe (measured on messages of 1 MiB: 1.2 to 1.6 times as fast as a copy;
on 64 bytes a copy is a quarter faster).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockkit.core.ending import Limit
from sockkit.core.responder import Responder
from sockkit.core.units import show_size
from sockkit.errors import SockkitError
from sockkit.events import Closed, SocketCall
from sockkit.net.closing import Closer
from sockkit.net.coalesce import PAUSE, Coalescer
from sockkit.net.connection import Connection, Direction, Outcome, Stage
from sockkit.net.context import Context
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.echo.turns import Asker, Turns
from sockkit.net.ends.end import End
from sockkit.net.pump import Pump
from sockkit.net.reader import Reader
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value

BUFFER = 256 * 1024  # bytes of one receive, and most that are kept for a client
MUCH = 4  # receives in a row that fill the buffer: then the kernel may move the rest


class EchoOptions(Value):
    """`responder` makes one for each connection, and answers datagrams; None only echoes.

    `delay` is in seconds, `drop` the share of datagrams that get no answer, and a connection
    is closed after `close_after` answers. `size` is the most bytes one receive takes.
    """

    responder: Callable[[], Responder] | None = None
    greet: bytes = b""
    delay: float = 0.0
    drop: float = 0.0
    close_after: int | None = None
    size: int = BUFFER

    @property
    def plain(self) -> bool:
        return not (self.responder or self.greet or self.delay or self.close_after)


class TcpEcho:
    """Answers every connection of `listener`."""

    def __init__(
        self, context: Context, listener: Listener, options: EchoOptions, turns: Turns
    ) -> None:
        self.context, self.options, self.turns = context, options, turns
        self.buffer = memoryview(bytearray(options.size))
        self.closer = Closer(context.loop)
        self._listener = listener
        self._connections: set[PlainEcho | AnsweredEcho] = set()

    def start(self) -> None:
        self._listener.accept(self._accepted)

    def stop(self) -> None:
        self._listener.close()
        for connection in list(self._connections):
            connection.close()
        self.closer.stop()

    def _accepted(self, end: End) -> None:
        self.closer.make_space()
        connection = (PlainEcho if self.options.plain else AnsweredEcho)(self, end)
        self._connections.add(connection)
        connection.start()

    def closed(
        self, connection: PlainEcho | AnsweredEcho, closed: Closed, error: SockkitError | None
    ) -> None:
        self._connections.discard(connection)
        if error:  # a client that leaves as it likes is no fault of the server's
            self.context.emit(SocketCall("reset", str(error)))
        self.context.emit(closed)
        self._listener.resume()


class PlainEcho:
    """A connection that is only echoed, and so has no outbox: what comes goes back at once.

    FIGURES
    """

    __slots__ = (
        "_closed", "_coalescer", "_echo", "_full", "_kept", "_pump", "_size", "end",
    )  # fmt: skip

    def __init__(self, echo: TcpEcho, end: End) -> None:
        self._echo, self.end = echo, end
        self._kept = b""
        self._size = self._full = 0
        self._pump: Pump | None = None
        self._closed = False
        self._coalescer = Coalescer()

    def start(self) -> None:
        self.end.when_readable(self._read)

    def _read(self) -> None:
        buffer = self._echo.buffer
        try:
            size = self.end.read_into(buffer)
            if not size:
                self.close()
                return
        except BlockingIOError:
            return
        except SockkitError as error:
            self.close(error)
            return
        self._size += size
        try:
            written = self.end.write(buffer[:size])
        except BlockingIOError:
            written = 0
        except SockkitError as error:
            self.close(error)
            return
        if written < size:
            self._keep(bytes(buffer[written:size]))
        elif size == BUFFER:  # the largest there is, and full
            self._full += 1
            if self._full == MUCH:
                self._hand_over()
        else:
            self._full = 0
            if self._coalescer.due(size, self._echo.context.loop.now):
                self.end.when_readable(None)
                self._echo.context.loop.later(PAUSE, self._read_on)

    def _read_on(self) -> None:
        if not self._closed:
            self.end.when_readable(self._read)

    def _keep(self, data: bytes) -> None:
        self._kept = data
        self.end.when_readable(None)
        self.end.when_writable(self._write_kept)

    def _write_kept(self) -> None:
        try:
            self._kept = self._kept[self.end.write(self._kept) :]
        except BlockingIOError:
            return
        except SockkitError as error:
            self.close(error)
            return
        if not self._kept:
            self.end.when_writable(None)
            self.end.when_readable(self._read)

    def _hand_over(self) -> None:
        """Let the kernel move the rest."""
        self.end.when_readable(None)
        loop, coalescer = self._echo.context.loop, Coalescer()
        self._pump = Pump(
            loop,
            self.end,
            self.end,
            None,
            None,
            on_progress=lambda: None,
            on_end=self.close,
            on_fail=self.close,
            rests=lambda size: coalescer.due(size, loop.now),
        )
        self._pump.start()

    def close(self, error: SockkitError | None = None) -> None:
        if self._closed:
            return
        self._closed = True
        sent, received = self._size - len(self._kept), self._size
        if self._pump:
            self._pump.close()
            sent, received = sent + self._pump.bytes_written, received + self._pump.bytes_read
        else:
            self.end.when_readable(None)
            self.end.when_writable(None)
        self.end.close()
        self._echo.closed(self, Closed(self.end.peer, sent, received), error)


class AnsweredEcho(Asker):
    """A connection whose answers are made, or come late.

    It answers, and reads more, only while the client accepts its answers.
    """

    def __init__(self, echo: TcpEcho, end: End) -> None:
        self._echo, loop = echo, echo.context.loop
        options = echo.options
        self._responder = options.responder() if options.responder else None
        self._remaining = options.close_after  # answers until it is closed
        self._delayed: DelayQueue[bytes] = DelayQueue(loop, options.delay, self._in_time)
        self._answers: Iterator[bytes] | None = None  # to what was read, until all are made
        self._owed = 0  # bytes of answers that are delayed
        self._connection = Connection(loop, end, self, echo.closer)
        self._reader = Reader(loop, self._connection, self, echo.buffer)

    def start(self) -> None:
        self._connection.start(self._reader)
        self._connection.send(self._echo.options.greet)

    def close(self) -> None:
        """Close now."""
        self._connection.close()

    # What the connection and its reader tell.

    def wants_more(self) -> bool:
        return self._has_space() and self._answers is None and self._remaining != 0

    def received(self, data: bytes) -> None:
        self._answers = self._made(data)
        self._review()

    def peer_ended(self) -> None:
        self._answers = self._made(b"")
        self._review()

    def drained(self) -> None:
        self._review()

    def held_up(self, limit: Limit) -> bool:
        return False

    def over(self, limit: Limit | None) -> None:
        self._connection.leave()

    def closed(self, outcome: Outcome) -> None:
        self._delayed.stop()
        connection = self._connection
        sent, received = connection.bytes_sent - outcome.undelivered, connection.bytes_received
        closed = Closed(connection.end.peer, sent, received)
        # What a client throws away by a reset is its own affair.
        if outcome.unsent and not (outcome.error or outcome.failure):
            lost = f"{show_size(outcome.unsent)} not sent"
            closed = closed._replace(problem=lost, kind="part was not sent")
        self._echo.closed(self, closed, outcome.error)

    # Answers.

    def _has_space(self) -> bool:
        return not self._connection.outbox.size and self._owed < BUFFER

    def _review(self) -> None:
        """Go on with what is due: answers, what the client sends next, or the end."""
        if self._connection.stage is not Stage.OPEN:
            return
        if self._answers is not None:  # before anything else is read
            if self._has_space():
                self._echo.turns.ask(self)
        elif self._connection.receiving is Direction.OPEN and self._remaining != 0:
            self._reader.resume()
        elif not (self._owed or self._connection.outbox.size):
            self._connection.leave()

    def take_turn(self, over: Callable[[], bool]) -> bool:
        if self._connection.stage is not Stage.OPEN:
            return False
        self._send(self._next_answers(over))
        if self._answers is None:
            self._review()
            return False
        return self._connection.stage is Stage.OPEN and self._has_space()

    def _next_answers(self, over: Callable[[], bool]) -> bytes:
        """Those that are due, or as many as there is space and time for."""
        made: list[bytes] = []
        size = self._owed
        while self._answers is not None and self._remaining != 0 and size < BUFFER:
            answer = next(self._answers, None)
            if answer is None:
                self._answers = None
                break
            made.append(answer)
            size += len(answer)
            if self._remaining is not None:
                self._remaining -= 1
            if over():
                break
        if self._remaining == 0:
            self._answers = None
        return b"".join(made)

    def _made(self, data: bytes) -> Iterator[bytes]:
        """The answers to `data`, or to its end, each of which is made when it is asked for."""
        if self._responder:
            yield from self._responder.feed(data) if data else self._responder.flush()
        elif data:
            yield data

    def _send(self, data: bytes) -> None:
        if not self._echo.options.delay:
            self._connection.send(data)
        elif data:
            self._owed += len(data)
            self._delayed.put(data)

    def _in_time(self, data: bytes) -> None:
        self._owed -= len(data)
        self._connection.send(data)
        self._review()
