"""A session: one connection joined to standard input and standard output.

tcp-client, tcp-server --once and chat join run a session on their connection. If it ends without an
error, all bytes read from either side have been written to the other. Otherwise the error says how
many were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.ending import EndOptions
from sockkit.core.hints import (
    STDIN_ENDED,
    Glance,
    Hints,
    Stream,
    is_http_request,
    is_tls_alert,
)
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_size
from sockkit.errors import OutputError, OutputGone, SockkitError, TextError
from sockkit.events import Failure, Notice, Peer, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.coalesce import Coalescer
from sockkit.net.connection import Connection, Direction, Result
from sockkit.net.context import Context
from sockkit.net.ends.end import End, Kind
from sockkit.net.join import Joined
from sockkit.net.options import SocketOptions
from sockkit.net.pump import Pump
from sockkit.net.waiting import Done, OnDone, Pending, Silence, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule
    from sockkit.core.transforms import Lenient
    from sockkit.net.file_feed import FileFeed


class SessionOptions(Value):
    """The transforms of a session, and what it sends besides standard input.

    No other session may use the same transforms. `opening` is sent first, unchanged. `greet` and
    `reply` are in the user's encoding, and are transformed like standard input. With a `reply`,
    standard input is not read; the reply is sent once the peer has sent something. With
    `holds_input`, standard input is not read before `release_input` is called. `label` makes the
    beginning of each line that is written, or of each frame if there is a rule `frame`.
    `may_half_close` is whether the command has an option for the half-close, which a hint may name.
    With `ends_output`, standard output is closed once the peer has ended and all is written.
    """

    ending: EndOptions
    outbound: Transform | None = None
    inbound: Transcoder | None = None
    opening: bytes = b""
    greet: bytes = b""
    reply: bytes | None = None
    label: Callable[[], bytes] | None = None
    frame: FrameRule | None = None
    may_half_close: bool = False
    ends_output: bool = False
    holds_input: bool = False


def run_session(context: Context, session: Session) -> None:
    """Run `session` until it is over, and close it.

    Raises SockkitError, whose `so_far` says how many bytes were moved.
    """
    try:
        wait_for(context.loop, session.start)
    except SockkitError as error:
        if not error.so_far:
            session.record_progress(error)
        raise
    finally:
        session.close()


class Session(Joined):
    """Owns `end`. `start` begins it, and `close` ends it at any time."""

    def __init__(
        self, context: Context, end: End, options: SessionOptions, sockets: SocketOptions
    ) -> None:
        self._context = context
        self._on_done: OnDone[None] = lambda _: None
        self._closer = Closer(context.loop, alone=True)
        self._ends_output = options.ends_output
        unbounded = options.ending.linger is None and options.ending.idle is None
        self._may_wonder = unbounded and options.may_half_close and options.reply is None
        super().__init__(context, end, self._closer, options.ending)
        self._input = SessionInput(
            context, self._connection, options, sockets.buffer_size, self._input_written
        )
        self._output = SessionOutput(
            context,
            self._connection,
            options,
            sockets.buffer_size,
            self._input.peer_sent,
            self._receiving_failed,
        )
        self._sender, self._receiver = self._input.pump, self._output.pump
        self._silence = Silence(context.loop, context.emit, STDIN_ENDED, self._heard)
        self._totals = SessionTotals(context, self._connection, options, self._input, self._output)

    def start(self, on_done: OnDone[None]) -> Pending:
        """Start. Calls `on_done` once, with None or with the error. After `close`, not at all."""
        self._on_done = on_done
        self._context.stdio.output.when_gone(self._receiving_failed)
        self._connection.start(self._receiver, self._sender)
        self._input.start()
        self._connection.review()
        return Done()

    def close(self) -> None:
        """Close the connection, and emit how many bytes were moved. Call it once, at the end."""
        self._on_done = lambda _: None
        self._silence.stop()
        self._input.close()
        self._connection.close()
        self._closer.close_all()  # if the lingering close had begun
        self._sender.close()
        self._receiver.close()
        self._totals.report()

    @property
    def input_ended(self) -> bool:
        assert self._connection.ending
        return self._connection.ending.input_ended

    @property
    def sent_input(self) -> bool:
        """Whether any byte of standard input was read."""
        return bool(self._sender.bytes_read)

    def release_input(self) -> None:
        """With `holds_input`, read standard input from now on."""
        self._input.release()

    def say_text(self, text: bytes) -> None:
        """Send `text`, converted like standard input. Call it between two reads of that."""
        self._input.say_text(text)

    def moved(self) -> tuple[int, int]:
        """The bytes sent and received so far."""
        return self._connection.bytes_sent, self._connection.bytes_received

    def record_progress(self, error: SockkitError) -> None:
        """Record in `error.so_far` how many bytes were moved."""
        self._totals.record(error, self._connection.end.undelivered())

    # For the commands of the Ctrl-] prompt.

    def peers(self) -> list[tuple[Peer, str]]:
        return [(self._connection.end.peer, self._connection.totals)]

    def say(self, data: bytes) -> None:
        self._input.say(data)

    def send_file(self, path: str) -> None:
        self._input.send_file(path)

    # What the connection and its two directions report.

    def _unsent(self) -> int:
        return super()._unsent() + self._input.file_left

    def drained(self) -> None:
        self._input.drained()

    def _input_written(self) -> None:
        """All of our input is written. If no timeout bounds the silence, say what we wait for."""
        self._input_end.reached()
        if self._connection.is_open and self._may_wonder:
            self._silence.start()

    def _heard(self) -> int | None:
        """How many bytes were received; None while we wait for standard output."""
        return None if self._receiver.blocked else self._connection.bytes_received

    def peer_ended(self) -> None:
        self._context.emit(PeerEnded(self._connection.end.peer, self._connection.bytes_received))
        self._totals.peer_ended()
        if self._ends_output:
            self._context.stdio.output.end()
        self._input.peer_ended()

    def _receiving_failed(self, error: SockkitError) -> None:
        """The peer or standard output failed: this error replaces any earlier one."""
        self._connection.error = error
        if isinstance(error, OutputError):
            self._connection.reset()  # a regular end would say that all it sent was taken
        else:
            self._connection.receiving_failed(error)
        self._closer.close_all()  # do not wait for acknowledgements either

    def closed(self, result: Result) -> None:
        error = result.error or (result.failure if result.undelivered else None)
        if not error and self._input.refused:
            error = TextError("part of what was typed was not sent", "the lines above say why")
        if error:
            self._totals.record(error, result.undelivered)
        self._on_done(error)


class SessionTotals:
    """Reports how many bytes a session has moved, and a hint if an answer is missing."""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        options: SessionOptions,
        sent: SessionInput,
        received: SessionOutput,
    ) -> None:
        self._context, self._connection = context, connection
        self._sender, self._receiver = sent.pump, received.pump
        self._sent, self._received = sent.glance, received.glance
        stream = Stream(
            dialled=connection.end.peer.number == 0,
            typed=context.stdio.input.terminal,
            encrypted=connection.end.kind is Kind.ENCRYPTED,
            half_close=options.may_half_close,
        )
        assert connection.ending
        self._hints = Hints(stream, connection.ending, context.loop.now)

    def peer_ended(self) -> None:
        connection = self._connection
        self._hints.peer_ended(
            connection.bytes_sent, connection.bytes_received, self._context.loop.now
        )

    def record(self, error: SockkitError, undelivered: int) -> None:
        """Record in `error.so_far` how many bytes were moved, and how many were not delivered."""
        self._hints.failed(error, self._connection.bytes_received, self._context.loop.now)
        if isinstance(error, OutputGone):
            return
        text = f"sent {show_size(self._connection.bytes_sent)}"
        if undelivered:
            text += f", {undelivered:,} of them not delivered"
        text += f", received {show_size(self._receiver.bytes_read)}"
        # A label is not counted.
        if unwritten := min(self._receiver.lane.held, self._receiver.bytes_read):
            text += f", {unwritten:,} of them not written"
        error.so_far = text

    def report(self) -> None:
        connection = self._connection
        hint = self._hints.hint(
            connection.bytes_sent,
            connection.bytes_received,
            request=bool(self._sent.verdict),
            alert=bool(self._received.verdict) and connection.receiving is not Direction.OPEN,
        )
        if hint:
            self._context.emit(hint)
        for direction, pump, size in (
            ("sent", self._sender, connection.bytes_sent),
            ("received", self._receiver, connection.bytes_received),
        ):
            lane, peer = pump.lane.name, connection.end.peer
            self._context.emit(StreamTotal(peer, direction, size, lane, pump.seconds))


class SessionInput:
    """The sending direction: the opening and greeting, then standard input or the reply.

    `on_end` is called once, when all of it is written.
    """

    def __init__(
        self,
        context: Context,
        connection: Connection,
        options: SessionOptions,
        buffer_size: int | None,
        on_end: Callable[[], None],
    ) -> None:
        self._context, self._connection, self._options = context, connection, options
        self._on_end = on_end
        self._then: Callable[[], None] = self._start_pump  # once the outbox is empty
        self._held = options.holds_input
        self._replied = False
        self._lenient: Lenient | None = None
        self._file: FileFeed | None = None
        self._outbound: Transform | None = options.outbound
        if options.outbound and context.stdio.input.terminal:
            from sockkit.core.transforms import Lenient

            self._outbound = self._lenient = Lenient(options.outbound, self._refuse_line)
        self.glance = Glance(is_http_request, self._outbound, after=True)
        self.pump = Pump(
            context.loop,
            context.stdio.input,
            connection.end,
            self._outbound,
            buffer_size,
            on_progress=connection.sent,
            on_end=on_end,
            on_fail=connection.sending_failed,
            glance=self.glance,
        )

    @property
    def refused(self) -> bool:
        """Whether a line that was typed could not be converted."""
        return bool(self._lenient and self._lenient.refused)

    @property
    def file_left(self) -> int:
        """How many bytes of a file that is being sent are not sent yet."""
        return self._file.left if self._file else 0

    def start(self) -> None:
        self._put(self._options.opening)
        self._send_text(self._options.greet, self._start_pump)

    def release(self) -> None:
        """Read standard input, once everything to be sent before it is written."""
        self._held = False
        if not self._connection.outbox.size:
            self.drained()

    def close(self) -> None:
        if self._file:
            self._file.stop()

    def say(self, data: bytes) -> None:
        """Send `data` unchanged. Call it between two reads of standard input."""
        self._put(data)
        if self._connection.outbox.size and not self._held:
            self.pump.pause()

    def say_text(self, text: bytes) -> None:
        """Send `text`, converted like standard input."""
        self.say(self._converted(text))

    def send_file(self, path: str) -> None:
        """Send the file at `path`, and read standard input afterwards. Raises UsageError."""
        from sockkit.net.file_feed import PIECE_BYTES, FileFeed  # few runs need it

        self._file = FileFeed(
            self._context,
            path,
            PIECE_BYTES,
            ready=lambda: not self._connection.outbox.size,
            send=self._put,
            on_end=self._file_ended,
        )
        self.pump.pause()
        self._file.resume()

    def _file_ended(self) -> None:
        self._file = None
        self.pump.resume()

    def peer_sent(self) -> None:
        if self._options.reply is not None:
            self._reply(self._options.reply)

    def peer_ended(self) -> None:
        if self._options.reply is not None:
            self._reply(b"")  # it has said nothing to reply to

    def drained(self) -> None:
        if self._connection.error:
            return
        if self._file:
            self._file.resume()
        else:
            self._then()

    def _start_pump(self) -> None:
        if self._options.reply is None and not self._held:
            self._then = self.pump.resume
            self.pump.start()

    def _reply(self, text: bytes) -> None:
        if not self._replied:
            self._replied = True
            self._send_text(text, self._on_end)

    def _send_text(self, text: bytes, then: Callable[[], None]) -> None:
        """Send a whole text, converted like standard input. Call `then` when it is written."""
        self._then = then
        self._put(self._converted(text))
        if not self._connection.outbox.size:
            self.drained()

    def _converted(self, text: bytes) -> bytes:
        if self._outbound:
            return self._outbound.feed(text) + self._outbound.flush()
        return text

    def _put(self, data: bytes) -> None:
        if data:
            self.glance.look(data)
            self._connection.send(data)

    def _refuse_line(self, error: TextError) -> None:
        self._context.emit(Failure(f"this line was not sent: {error}"))


class SessionOutput:
    """The receiving direction: writes what the peer sends to standard output.

    `on_received` is called after each step.
    """

    def __init__(
        self,
        context: Context,
        connection: Connection,
        options: SessionOptions,
        buffer_size: int | None,
        on_received: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        self._emit, self._connection = context.emit, connection
        self._inbound, self._on_received = options.inbound, on_received
        loop, coalescer = context.loop, Coalescer()
        shown: Transform | None = options.inbound
        if options.label:
            from sockkit.core.merging import Labeller

            shown = Labeller(options.label, options.frame, options.inbound, lambda: loop.now)
        self.glance = Glance(is_tls_alert, shown)
        self.pump = Pump(
            loop,
            connection.end,
            context.stdio.output,
            shown,
            buffer_size,
            on_progress=self._received,
            on_end=self._received_all,
            on_fail=on_fail,
            should_pause=lambda size: coalescer.should_pause(size, loop.now, connection.bytes_sent),
            glance=self.glance,
        )

    def _received(self) -> None:
        self._connection.received()
        self._on_received()

    def _received_all(self) -> None:
        if self._inbound and (cut := self._inbound.cut):
            shown = " ".join(f"0x{byte:02x}" for byte in cut)
            told = f"the peer's last character is incomplete: it ended after {shown}"
            self._emit(Notice(told))
        self._connection.receiver_ended()
