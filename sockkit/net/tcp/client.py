"""One client of a server of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sockkit.core.ending import EndOptions, Limit, idle_error, next_check
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import SendError, SockkitError, TextError
from sockkit.events import Closed, Notice, PeerEnded
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Direction, Outcome
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.loop import Timer
from sockkit.net.reader import Reader
from sockkit.values import Value


class ClientOptions(Value):
    """`outbound` and `inbound` make each client's own transforms.

    A client that accepts nothing of what waits for it in `slow_timeout` seconds is dropped.
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
        """Whether bytes that arrive can be written out; `resume` follows when not."""
        ...

    def received(self, client: Client, data: bytes) -> None: ...

    def busy(self, client: Client, waits: bool) -> None:
        """The client's outbox has begun, or ceased, to wait."""
        ...

    def held_up(self) -> bool:
        """Whether standard input is silent because some client is slow."""
        ...

    def departed(self, client: Client) -> None:
        """It is a client no longer; its connection may still be closing."""
        ...

    def closed(self, client: Client) -> None: ...


class Client:
    """Bytes sent and received by it never wait for another client."""

    def __init__(self, host: Host, end: End, options: ClientOptions) -> None:
        self._host, self._options = host, options
        self._outbound, self._inbound = options.outbound(), options.inbound()
        loop = host.context.loop
        self._connection = Connection(loop, end, self, host.closer, options.ending)
        self._reader = Reader(loop, self._connection, self, host.buffer)
        self._slow_timer: Timer | None = None
        self._waiting_since: float | None = None
        self._departed = False
        self._unsent: int | None = None  # once it is closed
        self.undecoded = False  # whether it sent what is no text
        self.peer = end.peer
        self.last_received = loop.now

    def start(self) -> None:
        self._connection.start(self._reader)

    @property
    def unsent(self) -> int:
        """Bytes the peer's system has not acknowledged, or had not when it was closed."""
        return self._connection.unsent if self._unsent is None else self._unsent

    @property
    def totals(self) -> str:
        sent, received = self._connection.bytes_sent, self._connection.bytes_received
        return f"sent {show_size(sent)}, received {show_size(received)}"

    def send(self, data: bytes, *, raw: bool = False, whole: bool = False) -> None:
        """Send what standard input gave; `raw` bytes pass as they are, a `whole` text is ended.

        Raises TextError, after sending what it allows; of a `whole` text nothing then.
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
        """Standard input has ended: the client may leave as soon as it ends its side."""
        if self._outbound:
            self._put(self._outbound.flush())
        self._connection.end_input()

    def resume(self) -> None:
        """Read on, while its own outbox and the server have space."""
        self._reader.resume()

    def leave(self, error: SockkitError | None = None, *, drop: bool = False) -> None:
        """Close the connection once the peer has what was sent; `drop` what still waits."""
        if self._depart():
            self._connection.leave(error, drop=drop)

    def close(self) -> None:
        """Close the connection now."""
        if self._depart():
            self._connection.close()

    def _depart(self) -> bool:
        """Be a client no longer; whether it was one."""
        if self._departed:
            return False
        self._departed = True
        self._wait_no_more()
        self._host.departed(self)  # which shows what it sent last, before its end is told
        return True

    # What the connection and its reader tell.

    def wants_more(self) -> bool:
        return not self._connection.outbox.size and self._host.has_space()

    def received(self, data: bytes) -> None:
        self.last_received = self._host.context.loop.now
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Hand `data`, or at the end what is held in the transform, to standard output."""
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
            self.leave(problem)

    def peer_ended(self) -> None:
        self._pass_on(b"")
        if self._departed:
            return
        emit = self._host.context.emit
        if self._inbound and (cut := self._inbound.cut):
            told = f"the last character of {self.peer.address} was cut: {cut!r}"
            emit(Notice(told, "the last character was cut"))
        emit(PeerEnded(self.peer, self._connection.bytes_received))

    def held_up(self, limit: Limit) -> bool:
        if self._waiting_since is not None:
            return True
        return limit is Limit.INPUT_SILENT and self._host.held_up()

    def over(self, limit: Limit | None) -> None:
        if self._waiting_since is None:
            idle = limit is Limit.IDLE
            self.leave(idle_error(self._options.ending.idle or 0) if idle else None)

    def closed(self, outcome: Outcome) -> None:
        self._depart()
        connection, unsent = self._connection, outcome.unsent
        self._unsent = unsent
        problem = str(outcome.error) if outcome.error else ""
        if outcome.failure and unsent and not problem:
            problem = "connection reset"
        kind = outcome.error.kind if outcome.error and outcome.error.kind else problem
        if unsent:
            problem += f"{', ' if problem else ''}{show_size(unsent)} not sent"
        kind = kind or ("part was not sent" if unsent else "")
        # A peer that only leaves in its way has lost nothing.
        lost = connection.receiving is not Direction.FAILED or bool(unsent)
        sent = connection.bytes_sent - outcome.undelivered
        received = connection.bytes_received
        self._host.context.emit(Closed(self.peer, sent, received, problem, kind, lost))
        self._host.closed(self)

    # A client that is too slow.

    def _put(self, data: bytes) -> None:
        self._connection.send(data)
        if self._connection.outbox.size and self._waiting_since is None:
            self._waiting_since = self._host.context.loop.now
            self._host.busy(self, True)
            self._wait()

    def drained(self) -> None:
        self._waiting_since = None
        self._wait_no_more()
        self._host.busy(self, False)
        self.resume()

    def _wait(self) -> None:
        """Until it is too slow, unless it accepts some of what waits before."""
        loop, since = self._host.context.loop, self._waiting_since
        if since is None or self._departed:
            return
        too_slow_at = max(since, self._connection.acknowledged_at()) + self._options.slow_timeout
        if too_slow_at > loop.now:
            self._slow_timer = loop.at(next_check(too_slow_at, loop.now), self._wait)
            return
        bound = show_seconds(self._options.slow_timeout)
        told = f"dropped, it was too slow for {bound} (--slow-timeout)"
        self.leave(SendError(told), drop=True)

    def _wait_no_more(self) -> None:
        if self._slow_timer:
            self._slow_timer.cancel()
