"""A client of the server of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sockkit.core.ending import EndOptions, Limit, idle_error, next_check
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import SendError, SockkitError, TextError
from sockkit.events import Closed, Notice, PeerEnded
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Result
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.loop import Timer
from sockkit.net.reader import Reader
from sockkit.values import Value


class ClientOptions(Value):
    """`outbound` and `inbound` make the transforms of one client.

    A client that acknowledges nothing of what waits for it for `slow_timeout` seconds is dropped.
    """

    ending: EndOptions
    outbound: Callable[[], Transform | None]
    inbound: Callable[[], Transcoder | None]
    slow_timeout: float


class Host(Protocol):
    """What a client needs of its server."""

    context: Context
    buffer: memoryview
    closer: Closer

    def has_space(self) -> bool:
        """Whether received bytes can be written now. If not, `resume` is called later."""
        ...

    def received(self, client: Client, data: bytes) -> None: ...

    def busy(self, client: Client, waits: bool) -> None:
        """The client's outbox has begun to wait, or is empty again."""
        ...

    def held_up(self) -> bool:
        """Whether standard input is not read because some client is slow."""
        ...

    def departed(self, client: Client) -> None:
        """It has departed. Its connection may still be closing."""
        ...

    def closed(self, client: Client) -> None: ...


class Client:
    """What it sends and receives never waits for another client."""

    def __init__(self, host: Host, end: End, options: ClientOptions) -> None:
        self._host, self._options = host, options
        self._outbound, self._inbound = options.outbound(), options.inbound()
        loop = host.context.loop
        self._connection = Connection(loop, end, self, host.closer, options.ending)
        self._reader = Reader(loop, self._connection, self, host.buffer)
        self._slow_timer: Timer | None = None
        self._waiting_since: float | None = None
        self._departed = False
        self._unsent: int | None = None  # set when it is closed
        self.undecoded = False  # whether it sent bytes that are not text
        self.peer = end.peer
        self.last_received = loop.now

    def start(self) -> None:
        self._connection.start(self._reader)

    @property
    def unsent(self) -> int:
        """Bytes not acknowledged, now or when the connection was closed."""
        return self._connection.unsent if self._unsent is None else self._unsent

    @property
    def totals(self) -> str:
        sent, received = self._connection.bytes_sent, self._connection.bytes_received
        return f"sent {show_size(sent)}, received {show_size(received)}"

    def send(self, data: bytes, *, raw: bool = False, whole: bool = False) -> None:
        """Send input. `raw` bytes are not transformed, and a `whole` text flushes the transform.

        Raises TextError, after sending what comes before the fault; nothing of a `whole` text.
        """
        try:
            if self._outbound and not raw:
                data = self._outbound.feed(data) + (self._outbound.flush() if whole else b"")
            self._put(data)
        except TextError as error:
            if not whole:
                self._put(error.before)
            raise

    def end_input(self) -> None:
        """Standard input has ended. The connection is over as soon as the client half-closes."""
        if self._outbound:
            self._put(self._outbound.flush())
        self._connection.end_input()

    def resume(self) -> None:
        """Read on, if the server has space and its own outbox is empty."""
        self._reader.resume()

    def close_lingering(self, error: SockkitError | None = None, *, drop: bool = False) -> None:
        """Close the connection once the peer has what was sent. `drop` drops what waits."""
        if self._depart():
            self._connection.close_lingering(error, drop=drop)

    def close(self) -> None:
        """Close the connection at once."""
        if self._depart():
            self._connection.close()

    def _depart(self) -> bool:
        """Stop being a client. Returns False if it had departed before."""
        if self._departed:
            return False
        self._departed = True
        self._cancel_slow_timer()
        self._host.departed(self)  # which writes its last line before its end is reported
        return True

    # What the connection and its reader report.

    def wants_more(self) -> bool:
        return not self._connection.outbox.size and self._host.has_space()

    def received(self, data: bytes) -> None:
        self.last_received = self._host.context.loop.now
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Write `data` to standard output; no data means the end, and flushes the transform."""
        problem: TextError | None = None
        if self._inbound:
            try:
                data = self._inbound.feed(data) if data else self._inbound.flush()
            except TextError as error:
                data, problem = error.before, error
        self._host.received(self, data)
        if problem:
            problem.kind = "what was received is not text"
            self.undecoded = True
            self.close_lingering(problem)

    def peer_ended(self) -> None:
        self._pass_on(b"")
        if self._departed:
            return
        emit = self._host.context.emit
        if self._inbound and (cut := self._inbound.cut):
            told = f"the last character of {self.peer.address} was cut: {cut!r}"
            emit(Notice(told, "the last character was cut"))
        if not self._connection.error:  # else it may have been a reset, which sending was told of
            emit(PeerEnded(self.peer, self._connection.bytes_received))

    def held_up(self, limit: Limit) -> bool:
        if self._waiting_since is not None:
            return True
        return limit is Limit.INPUT_SILENT and self._host.held_up()

    def over(self, limit: Limit | None) -> None:
        if self._waiting_since is None:
            idle = limit is Limit.IDLE
            self.close_lingering(idle_error(self._options.ending.idle or 0) if idle else None)

    def closed(self, result: Result) -> None:
        self._depart()
        connection, unsent = self._connection, result.unsent
        self._unsent = unsent
        problem = str(result.error) if result.error else ""
        if result.failure and unsent and not problem:
            problem = "connection reset"
        kind = result.error.kind if result.error and result.error.kind else problem
        if unsent:
            problem += f"{', ' if problem else ''}{show_size(unsent)} not sent"
        kind = kind or ("part was not sent" if unsent else "")
        # A peer that resets when it has everything has lost nothing.
        lost = connection.receiving is not Direction.FAILED or bool(unsent)
        sent = connection.bytes_sent - result.undelivered
        received = connection.bytes_received
        self._host.context.emit(Closed(self.peer, sent, received, problem, kind, lost))
        self._host.closed(self)

    # A client that is too slow.

    def _put(self, data: bytes) -> None:
        self._connection.send(data)
        if self._connection.outbox.size and self._waiting_since is None:
            self._waiting_since = self._host.context.loop.now
            self._host.busy(self, True)
            self._watch_slow()

    def drained(self) -> None:
        self._waiting_since = None
        self._cancel_slow_timer()
        self._host.busy(self, False)
        self.resume()

    def _watch_slow(self) -> None:
        """Drop it after `slow_timeout` without an acknowledgement."""
        loop, since = self._host.context.loop, self._waiting_since
        if since is None or self._departed:
            return
        too_slow_at = max(since, self._connection.acknowledged_at()) + self._options.slow_timeout
        if too_slow_at > loop.now:
            self._slow_timer = loop.at(next_check(too_slow_at, loop.now), self._watch_slow)
            return
        bound = show_seconds(self._options.slow_timeout)
        told = f"dropped, it was too slow for {bound} (--slow-timeout)"
        self.close_lingering(SendError(told), drop=True)

    def _cancel_slow_timer(self) -> None:
        if self._slow_timer:
            self._slow_timer.cancel()
