"""A client of tcp-server, which serves many clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sockkit.core.ending import EndOptions, Limit, idle_error, next_check
from sockkit.core.merging import Part, splitter
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_seconds
from sockkit.errors import SendError, TextError
from sockkit.events import Notice, PeerEnded
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Owner, Result, closed_with_reason
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.loop import Loop, Timer
from sockkit.net.reader import Reader
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule


class ClientOptions(Value):
    """`outbound` and `inbound` make the transforms of one client.

    What it sends is split into frames by the rule `frame`, or into lines without a rule. A client
    is dropped if bytes wait for it and it acknowledges none for `slow_timeout` seconds.
    """

    ending: EndOptions
    outbound: Callable[[], Transform | None]
    inbound: Callable[[], Transcoder | None]
    slow_timeout: float
    frame: FrameRule | None = None


class Host(Protocol):
    """The server, as a client uses it."""

    context: Context
    buffer: memoryview
    closer: Closer

    def has_space(self) -> bool:
        """Whether received bytes can be written now. If not, `resume` is called later."""
        ...

    def received(self, client: Client, parts: list[Part]) -> None: ...

    def reply(self, client: Client) -> None:
        """The client has sent something: send it the reply, if the server has one."""
        ...

    def busy(self, client: Client, waits: bool) -> None:
        """Bytes have begun to wait in the client's outbox (`waits`), or it is empty again."""
        ...

    def held_up(self) -> bool:
        """Whether a slow client keeps the server from reading standard input."""
        ...

    def departed(self, client: Client) -> None:
        """The client has departed. Its connection may still be closing."""
        ...

    def closed(self, client: Client, *, missed: bool) -> None:
        """The client's connection is closed. `missed` is True if it did not get everything."""
        ...


class Client(Owner):
    """One client. Owns `end`. It never waits for another client, except for standard streams."""

    def __init__(self, host: Host, end: End, options: ClientOptions) -> None:
        self._host, self._options = host, options
        self._outbound, self._inbound = options.outbound(), options.inbound()
        self.splitter = splitter(options.frame, self._inbound)
        loop = host.context.loop
        self.connection = Connection(loop, end, self, host.closer, options.ending)
        self._reader = Reader(loop, self.connection, self, host.buffer)
        self._slow = SlowTimer(loop, self.connection, options.slow_timeout, self._too_slow)
        self.undecoded = False  # whether it has sent bytes that could not be decoded
        self.peer = end.peer
        self.last_received = loop.now

    def start(self) -> None:
        self.connection.start(self._reader)

    def send(self, data: bytes, *, raw: bool = False, whole: bool = False) -> None:
        """Send input. `raw` bytes are not transformed; a `whole` text flushes the transform.

        Raises TextError if it cannot be converted. The text before the fault is sent, unless it is
        `whole`.
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
        self.connection.end_input()

    def resume(self) -> None:
        """Continue reading, if the server has space and the client's outbox is empty."""
        self._reader.resume()

    # What the connection and its reader report.

    def wants_more(self) -> bool:
        return not self.connection.outbox.size and self._host.has_space()

    def received(self, data: bytes) -> None:
        self.last_received = self._host.context.loop.now
        self._pass_on(self.splitter.feed(data, self.last_received))
        if self.connection.is_open:
            self._host.reply(self)

    def _pass_on(self, parts: list[Part]) -> None:
        """Write `parts` to standard output."""
        self._host.received(self, parts)
        if (problem := self.splitter.problem) and not self.undecoded:
            problem.kind = "what was received is not text"
            self.undecoded = True
            self.connection.close_lingering(problem)

    def peer_ended(self) -> None:
        self._pass_on(self.splitter.flush())
        if not self.connection.is_open:
            return
        emit = self._host.context.emit
        if self._inbound and (cut := self._inbound.cut):
            told = f"the last character of {self.peer.address} is incomplete: 0x{cut.hex()}"
            emit(Notice(told, "the last character is incomplete"))
        if not self.connection.error:  # otherwise it may be a reset, which sending has reported
            emit(PeerEnded(self.peer, self.connection.bytes_received))

    def drained(self) -> None:
        self._slow.stop()
        self._host.busy(self, False)
        self.resume()

    def held_up(self, limit: Limit) -> bool:
        return self._slow.runs or (limit is Limit.INPUT_SILENT and self._host.held_up())

    def over(self, limit: Limit | None) -> None:
        if not self._slow.runs:
            idle = limit is Limit.IDLE
            error = idle_error(self._options.ending.idle or 0) if idle else None
            self.connection.close_lingering(error)

    def closing(self) -> None:
        self._slow.stop()
        self._host.departed(self)  # writes its last line before we report its end

    def closed(self, result: Result) -> None:
        self._host.context.emit(closed_with_reason(self.connection, result))
        self._host.closed(self, missed=bool(result.unsent))

    def _put(self, data: bytes) -> None:
        if not self.connection.is_open:
            return
        self.connection.send(data)
        if self.connection.outbox.size and not self._slow.runs:
            self._host.busy(self, True)
            self._slow.start()

    def _too_slow(self) -> None:
        bound = show_seconds(self._options.slow_timeout)
        told = f"dropped: too slow for {bound} (--slow-timeout)"
        self.connection.close_lingering(SendError(told), drop=True)


class SlowTimer:
    """Calls `on_slow` once the peer has acknowledged nothing for `timeout` seconds.

    Start it when bytes begin to wait for the peer, and stop it when none wait.
    """

    def __init__(
        self, loop: Loop, connection: Connection, timeout: float, on_slow: Callable[[], None]
    ) -> None:
        self._loop, self._connection, self._timeout = loop, connection, timeout
        self._on_slow, self._since = on_slow, 0.0
        self._timer: Timer | None = None

    @property
    def runs(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        self._since = self._loop.now
        self._check()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        slow_at = max(self._since, self._connection.acknowledged_at()) + self._timeout
        if slow_at > self._loop.now:
            self._timer = self._loop.at(next_check(slow_at, self._loop.now), self._check)
        else:
            self._on_slow()
