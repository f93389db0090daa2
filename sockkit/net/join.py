"""Joins a connection to another source and sink: the bytes read from one are written to the other.

When that source ends, we half-close the connection.
"""

from __future__ import annotations

from contextlib import suppress

from sockkit.core.ending import EndOptions, HalfClose, Limit, idle_error
from sockkit.core.text import Transform
from sockkit.core.units import show_size
from sockkit.errors import ReceiveError, SendError, SockkitError
from sockkit.events import Emit, HalfClosed, InputEnded, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Owner
from sockkit.net.context import Context
from sockkit.net.ends.end import End, Sink, Source
from sockkit.net.pump import Pump
from sockkit.values import Value


class InputEnd:
    """Half-closes the connection after our input has ended: at once, later, or never."""

    __slots__ = ("_at_once", "_connection", "_emit")

    def __init__(self, emit: Emit, connection: Connection, when: HalfClose) -> None:
        self._emit, self._connection = emit, connection
        self._at_once = when is HalfClose.NOW

    def reached(self) -> None:
        """All of our input is written."""
        connection = self._connection
        if self._at_once:
            connection.half_close()
        self._emit(InputEnded(connection.end.peer, connection.bytes_sent, self._at_once))
        connection.end_input()

    def half_close(self) -> None:
        """Half-close now: the peer has answered, or it may be waiting for the end of our input."""
        connection = self._connection
        assert connection.ending
        connection.half_close()
        self._emit(HalfClosed(connection.end.peer, connection.ending.answered))
        connection.review()


class Joined(Owner):
    """The common part of all joins: the connection, and a pump for each direction.

    A subclass makes the pumps. This class finds out who causes a silence, and ends the connection
    when a silence is too long.
    """

    __slots__ = (
        "_connection",
        "_emit",
        "_idle",
        "_input_end",
        "_receiver",
        "_sender",
        "_source",
        "_views",
    )

    _sender: Pump  # to the peer
    _receiver: Pump

    def __init__(
        self,
        context: Context,
        end: End,
        closer: Closer,
        options: EndOptions,
        source: str = "stdin",
    ) -> None:
        """Owns `end`. `source` is the name of the input in notices."""
        self._views, self._emit = context.views, context.emit
        self._idle, self._source = options.idle or 0, source
        self._connection = Connection(context.loop, end, self, closer, options)
        self._input_end = InputEnd(context.emit, self._connection, options.half_close)

    def held_up(self, limit: Limit) -> bool:
        if limit is not Limit.IDLE and self._views and self._views.full:
            return True
        match limit:
            case Limit.IDLE:
                return False
            case Limit.INPUT_SILENT:
                return self._sender.blocked or bool(self._connection.outbox.size)
            case Limit.PEER_SILENT:
                return self._receiver.blocked
            case Limit.HALF_CLOSE:
                return self._receiver.blocked or bool(self._connection.end.queued())

    def over(self, limit: Limit | None) -> None:
        if limit is Limit.HALF_CLOSE:
            self._input_end.half_close()
            return
        if limit is Limit.IDLE:
            self._connection.close(idle_error(self._idle))
            return
        if limit is Limit.INPUT_SILENT:
            told = f"peer closed and {self._source} is silent: closing"
            self._emit(Notice(told, told))
        unsent = self._unsent()
        lost = f"{show_size(unsent)} of the input did not reach the peer"
        self._connection.finish(SendError(lost) if unsent else None)

    def _unsent(self) -> int:
        """How many bytes of the input were read and not written."""
        return self._sender.lane.held + self._connection.outbox.size


class JoinOptions(Value):
    """`outbound` transforms the bytes for the peer, `inbound` the bytes that it sends.

    `opening` is sent first, without a transform.
    """

    ending: EndOptions
    outbound: Transform | None = None
    inbound: Transform | None = None
    opening: bytes = b""
    buffer_size: int | None = None


class Join(Joined):
    """Joins a connection to another end: reads its `source` and writes its `sink`.

    Owns the connection's end. A subclass owns the other end: it ends its sink (`end_sink`), closes
    it (`closing`), and may override how its failures are handled (`other_failed`).
    """

    def __init__(
        self,
        context: Context,
        end: End,
        other: tuple[Source, Sink],
        closer: Closer,
        options: JoinOptions,
    ) -> None:
        source, sink = other
        super().__init__(context, end, closer, options.ending, source.name)
        self._opening = options.opening
        self._sender = Pump(
            context.loop,
            source,
            end,
            options.outbound,
            options.buffer_size,
            on_progress=self.sent,
            on_end=self.input_ended,
            on_fail=self._sending_failed,
        )
        self._receiver = Pump(
            context.loop,
            end,
            sink,
            options.inbound,
            options.buffer_size,
            on_progress=self._connection.received,
            on_end=self._connection.receiver_ended,
            on_fail=self._receiving_failed,
        )

    def start(self) -> None:
        connection = self._connection
        connection.start(self._receiver, self._sender)
        connection.send(self._opening)
        if not connection.outbox.size:
            self.drained()
        connection.review()

    def end_sink(self) -> None:
        """End the sink: the peer has half-closed, and everything that it sent is written."""
        raise NotImplementedError

    def other_failed(self, error: SockkitError) -> None:
        """The source or the sink has failed, with ReceiveError or SendError."""
        self._connection.close(error)

    def sent(self) -> None:
        """Some of the source was sent."""
        self._connection.sent()

    def input_ended(self) -> None:
        """All of the source was sent."""
        self._input_end.reached()

    def drained(self) -> None:
        if not self._connection.error:
            self._sender.start()

    def peer_ended(self) -> None:
        connection = self._connection
        self._emit(PeerEnded(connection.end.peer, connection.bytes_received))
        with suppress(SockkitError):  # the other end has failed: reading it reports that
            self.end_sink()

    def closing(self) -> None:
        self._sender.close()
        self._receiver.close()
        peer = self._connection.end.peer
        for direction, pump in (("sent", self._sender), ("received", self._receiver)):
            size = pump.bytes_read if pump is self._receiver else self._connection.bytes_sent
            self._emit(StreamTotal(peer, direction, size, pump.lane.name, pump.seconds))

    def _sending_failed(self, error: SockkitError) -> None:
        if isinstance(error, ReceiveError):
            self.other_failed(error)
        else:
            self._connection.sending_failed(error)

    def _receiving_failed(self, error: SockkitError) -> None:
        if isinstance(error, SendError):
            self.other_failed(error)
        else:
            self._connection.receiving_failed(error)
