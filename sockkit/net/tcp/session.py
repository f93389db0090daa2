"""A session: one connection joined to standard input and standard output.

tcp-client runs one once it is connected, and so do tcp-server --once and chat join. When it ends
without an error, everything read from either side has been written to the other. Otherwise the
error says how many bytes were.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.ending import EndOptions, Limit, idle_error
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_size
from sockkit.errors import OutputGone, SendError, SockkitError, TextError
from sockkit.events import Failure, InputEnded, Notice, PeerEnded, StreamTotal
from sockkit.net.closing import Closer
from sockkit.net.coalesce import Coalescer
from sockkit.net.connection import Connection, Result
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.pump import Pump
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

AT_ONCE_SECONDS = 1.0  # a peer that closes so early, and has sent nothing, refuses us
CLOSED_AT_ONCE_HINT = "the peer closed at once: does it expect TLS, or refuse this address?"


class SessionOptions(Value):
    """What a session sends besides standard input, and its transforms, which it alone may use.

    `opening` is sent first, unchanged. `greet` and `reply` are in the user's encoding, and are
    transformed like standard input. With a `reply` standard input is not read: the reply is sent
    once the peer has sent something. `label` begins each line that is written, unless it is empty.
    """

    ending: EndOptions
    outbound: Transform | None = None
    inbound: Transcoder | None = None
    opening: bytes = b""
    greet: bytes = b""
    reply: bytes | None = None
    label: bytes = b""


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


class Session:
    """Owns `end`. `start` begins it, and `close` ends it at any time."""

    def __init__(
        self, context: Context, end: End, options: SessionOptions, sockets: SocketOptions
    ) -> None:
        self._context, self._options, self._sockets = context, options, sockets
        self._began = context.loop.now
        self._on_done: OnDone[None] = lambda _: None
        self._then: Callable[[], None] = self._start_input
        self._replied = self._closed_at_once = self._failed = False
        self._closer = Closer(context.loop, alone=True)
        self._connection = Connection(context.loop, end, self, self._closer, options.ending)
        self._lenient: Lenient | None = None
        if options.outbound and context.stdio.input.terminal:
            from sockkit.core.transforms import Lenient

            self._lenient = Lenient(options.outbound, self._line_refused)
        self._sender = self._make_sender()
        self._receiver = self._make_receiver()

    def _make_sender(self) -> Pump:
        return Pump(
            self._context.loop,
            self._context.stdio.input,
            self._connection.end,
            self._outbound,
            self._sockets.buffer_size,
            on_progress=self._connection.sent,
            on_end=self._input_ended,
            on_fail=self._connection.sending_failed,
        )

    def _make_receiver(self) -> Pump:
        shown: Transform | None = self._options.inbound
        if self._options.label:
            from sockkit.core.lines import LineLabeller
            from sockkit.core.transforms import Chain

            labeller = LineLabeller(self._options.label)
            shown = Chain(shown, labeller) if shown else labeller
        loop, connection, coalescer = self._context.loop, self._connection, Coalescer()
        return Pump(
            loop,
            connection.end,
            self._context.stdio.output,
            shown,
            self._sockets.buffer_size,
            on_progress=self._received,
            on_end=self._received_all,
            on_fail=self._receiving_failed,
            should_pause=lambda size: coalescer.should_pause(size, loop.now, connection.bytes_sent),
        )

    def start(self, on_done: OnDone[None]) -> Pending:
        """Start. Calls `on_done` once: with None if nothing was lost. `close` ends it earlier."""
        self._on_done = on_done
        self._context.stdio.output.when_gone(self._receiving_failed)
        self._connection.start(self._receiver, self._sender)
        self._connection.outbox.put(self._options.opening)
        self._send_text(self._options.greet, self._start_input)
        self._connection.review()
        return Done()

    def close(self) -> None:
        """Close what is open, and emit how much was moved. Call it once, at the end."""
        self._on_done = lambda _: None
        self._connection.close()
        self._closer.close_all()  # if the lingering close had begun
        self._sender.close()
        self._receiver.close()
        self._report()

    @property
    def input_ended(self) -> bool:
        assert self._connection.ending
        return self._connection.ending.input_ended

    @property
    def sent_input(self) -> bool:
        """Whether anything of standard input was read."""
        return bool(self._sender.bytes_read)

    # Our direction: opening and greeting, then standard input or the reply, then half-close.

    @property
    def _outbound(self) -> Transform | None:
        return self._lenient or self._options.outbound

    def _send_text(self, text: bytes, then: Callable[[], None], *, last: bool = False) -> None:
        """Send `text` as standard input is sent, and call `then` when all of it is written.

        `last` says that it ends our input.
        """
        self._then = then
        if outbound := self._outbound:
            text = outbound.feed(text) + (outbound.flush() if last else b"")
        self._connection.outbox.put(text)
        if not self._connection.outbox.size and not self._connection.error:
            then()

    def _line_refused(self, error: TextError) -> None:
        self._context.emit(Failure(f"this line was not sent: {error}"))

    def _start_input(self) -> None:
        if self._options.reply is None:
            self._sender.start()

    def _input_ended(self) -> None:
        self._connection.half_close()
        self._context.emit(InputEnded(self._connection.end.peer, self._connection.bytes_sent))
        self._connection.end_input()

    def drained(self) -> None:
        if not self._connection.error:
            self._then()

    # The peer's direction.

    def _received(self) -> None:
        self._connection.received()
        if self._options.reply is not None:
            self._reply(self._options.reply)

    def _reply(self, text: bytes) -> None:
        if not self._replied:
            self._replied = True
            self._send_text(text, self._input_ended, last=True)

    def _received_all(self) -> None:
        if self._options.inbound and (cut := self._options.inbound.cut):
            shown = " ".join(f"0x{byte:02x}" for byte in cut)
            told = f"the peer's last character was cut: it ended after {shown}"
            self._context.emit(Notice(told))
        self._connection.receiver_ended()

    def peer_ended(self) -> None:
        connection = self._connection
        self._context.emit(PeerEnded(connection.end.peer, self._receiver.bytes_read))
        silent = not (self._receiver.bytes_read or connection.bytes_sent or self.input_ended)
        early = self._context.loop.now - self._began < AT_ONCE_SECONDS
        self._closed_at_once = silent and early and connection.end.peer.number == 0
        if self._options.reply is not None:
            self._reply(b"")

    def _receiving_failed(self, error: SockkitError) -> None:
        """The peer or standard output failed: this error replaces any earlier one."""
        self._connection.error = error
        self._connection.receiving_failed(error)
        self._closer.close_all()  # do not wait for acknowledgements either

    # The end.

    def held_up(self, limit: Limit) -> bool:
        match limit:
            case Limit.IDLE:
                return False
            case Limit.INPUT_SILENT:
                return self._sender.blocked or bool(self._connection.outbox.size)
            case Limit.PEER_SILENT:
                return self._receiver.blocked

    def over(self, limit: Limit | None) -> None:
        if limit is Limit.IDLE:
            self._connection.close(idle_error(self._options.ending.idle or 0))
            return
        if limit is Limit.INPUT_SILENT:
            told = "the peer has ended and standard input gives nothing: leaving"
            self._context.emit(Notice(told))
        unsent = self._sender.lane.held + self._connection.outbox.size
        lost = f"{show_size(unsent)} of the input did not reach the peer"
        self._connection.finish(SendError(lost) if unsent else None)

    def closed(self, result: Result) -> None:
        error = result.error or (result.failure if result.undelivered else None)
        if not error and self._lenient and self._lenient.refused:
            error = TextError("part of what was typed was not sent")
        self._failed = isinstance(error, SendError | TextError)
        if error:
            self.record_progress(error, result.undelivered)
        self._on_done(error)

    def record_progress(self, error: SockkitError, undelivered: int | None = None) -> None:
        """Record in `error.so_far` how many bytes were moved."""
        if isinstance(error, OutputGone):
            return
        if undelivered is None:
            undelivered = self._connection.end.undelivered()
        text = f"sent {show_size(self._connection.bytes_sent)}"
        if undelivered:
            text += f", {show_size(undelivered)} of it not delivered"
        text += f", received {show_size(self._receiver.bytes_read)}"
        if unwritten := min(
            self._receiver.lane.held, self._receiver.bytes_read
        ):  # a label is not counted
            text += f", {show_size(unwritten)} of it not written"
        error.so_far = text

    def _report(self) -> None:
        peer, sent = self._connection.end.peer, self._connection.bytes_sent
        if self._closed_at_once and (self._failed or not sent):  # and it has accepted nothing
            self._context.emit(Notice(CLOSED_AT_ONCE_HINT))
        for direction, pump, size in (
            ("sent", self._sender, sent),
            ("received", self._receiver, self._receiver.bytes_read),
        ):
            self._context.emit(StreamTotal(peer, direction, size, pump.lane.name, pump.seconds))
