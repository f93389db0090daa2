"""A client's session: standard input to one peer, what it sends to standard output.

This is tcp-client once it is connected, tcp-server --once, and chat join. When it is over without
an error, everything read from either side has been written to the other; otherwise the error says
how far it got.
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
from sockkit.net.connection import Connection, Outcome
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.pump import Pump
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

AT_ONCE = 1.0  # seconds in which a peer that closes without a word has not listened
SHUNNED = "the peer closed at once: does it expect TLS, or refuse this address?"


class Talk(Value):
    """What is said, and how. The transforms belong to this session alone.

    `opening` comes first, as it is. `greet` and `reply` are in the user's encoding, as standard
    input is. `reply` takes its place once the peer has said something. Lines that arrive are
    marked with `label`, where it is not empty. `size` is the most one receive takes, in bytes.
    """

    ending: EndOptions
    outbound: Transform | None = None
    inbound: Transcoder | None = None
    opening: bytes = b""
    greet: bytes = b""
    reply: bytes | None = None
    label: bytes = b""
    size: int | None = None


def converse(context: Context, session: Session) -> None:
    """Run `session` until it is over. Raises SockkitError, which says how far it got."""
    try:
        wait_for(context.loop, session.start)
    except SockkitError as error:
        if not error.so_far:
            session.explain(error)
        raise
    finally:
        session.stop()


class Session:
    """Owns `end`. `start` begins it, and `stop` ends it wherever it is."""

    def __init__(self, context: Context, end: End, talk: Talk) -> None:
        self._context, self._talk = context, talk
        self._began = context.loop.now
        self._on_over: OnDone[None] = lambda _: None
        self._then: Callable[[], None] = self._start_input
        self._replied = self._shunned = self._failed = False
        self._closer = Closer(context.loop, alone=True)
        self._connection = Connection(context.loop, end, self, self._closer, talk.ending)
        self._lenient: Lenient | None = None
        if talk.outbound and context.stdio.input.terminal:
            from sockkit.core.transforms import Lenient

            self._lenient = Lenient(talk.outbound, self._refused)
        self._up = self._upward()
        self._down = self._downward()

    def _upward(self) -> Pump:
        return Pump(
            self._context.loop,
            self._context.stdio.input,
            self._connection.end,
            self._outbound,
            self._talk.size,
            on_progress=self._connection.sent,
            on_end=self._input_ended,
            on_fail=self._connection.sending_failed,
        )

    def _downward(self) -> Pump:
        shown: Transform | None = self._talk.inbound
        if self._talk.label:
            from sockkit.core.lines import LineLabeller
            from sockkit.core.transforms import Chain

            labeller = LineLabeller(self._talk.label)
            shown = Chain(shown, labeller) if shown else labeller
        loop, connection, coalescer = self._context.loop, self._connection, Coalescer()
        return Pump(
            loop,
            connection.end,
            self._context.stdio.output,
            shown,
            self._talk.size,
            on_progress=self._received,
            on_end=self._received_all,
            on_fail=self._receiving_failed,
            rests=lambda size: coalescer.due(size, loop.now, connection.bytes_sent),
        )

    def start(self, on_over: OnDone[None]) -> Pending:
        """Call `on_over` once: with None when nothing was lost. To end it earlier, `stop` it."""
        self._on_over = on_over
        self._context.stdio.output.when_gone(self._receiving_failed)
        self._connection.start(self._down, self._up)
        self._connection.outbox.put(self._talk.opening)
        self._say(self._talk.greet, self._start_input)
        self._connection.review()
        return Done()

    def stop(self) -> None:
        """Close what is open, and tell how much was moved. To be called once, at the end."""
        self._on_over = lambda _: None
        self._connection.close()
        self._closer.stop()  # where it was already waiting for the peer
        self._up.close()
        self._down.close()
        self._report()

    @property
    def input_ended(self) -> bool:
        assert self._connection.ending
        return self._connection.ending.input_ended

    @property
    def sent_input(self) -> bool:
        """Whether anything of standard input was read."""
        return bool(self._up.bytes_read)

    # Our side: what was to be said first, then standard input or the reply, then half-close.

    @property
    def _outbound(self) -> Transform | None:
        return self._lenient or self._talk.outbound

    def _say(self, text: bytes, then: Callable[[], None], *, last: bool = False) -> None:
        """Send `text` as if it had been typed, as the `last` or not, and then do `then`."""
        self._then = then
        if outbound := self._outbound:
            text = outbound.feed(text) + (outbound.flush() if last else b"")
        self._connection.outbox.put(text)
        if not self._connection.outbox.size and not self._connection.error:
            then()

    def _refused(self, error: TextError) -> None:
        self._context.emit(Failure(f"this line was not sent: {error}"))

    def _start_input(self) -> None:
        if self._talk.reply is None:
            self._up.start()

    def _input_ended(self) -> None:
        self._connection.half_close()
        self._context.emit(InputEnded(self._connection.end.peer, self._connection.bytes_sent))
        self._connection.end_input()

    def drained(self) -> None:
        if not self._connection.error:
            self._then()

    # The peer's side.

    def _received(self) -> None:
        self._connection.received()
        if self._talk.reply is not None:
            self._reply(self._talk.reply)

    def _reply(self, text: bytes) -> None:
        if not self._replied:
            self._replied = True
            self._say(text, self._input_ended, last=True)

    def _received_all(self) -> None:
        if self._talk.inbound and (cut := self._talk.inbound.cut):
            shown = " ".join(f"0x{byte:02x}" for byte in cut)
            told = f"the peer's last character was cut: it ended after {shown}"
            self._context.emit(Notice(told))
        self._connection.receiver_ended()

    def peer_ended(self) -> None:
        connection = self._connection
        self._context.emit(PeerEnded(connection.end.peer, self._down.bytes_read))
        silent = not (self._down.bytes_read or connection.bytes_sent or self.input_ended)
        early = self._context.loop.now - self._began < AT_ONCE
        self._shunned = silent and early and connection.end.peer.number == 0
        if self._talk.reply is not None:
            self._reply(b"")

    def _receiving_failed(self, error: SockkitError) -> None:
        """Of the peer, or of standard output, where it is worse than anything before."""
        self._connection.error = error
        self._connection.receiving_failed(error)
        self._closer.stop()  # what was sent is not waited for either

    # The end.

    def held_up(self, limit: Limit) -> bool:
        match limit:
            case Limit.IDLE:
                return False
            case Limit.INPUT_SILENT:
                return self._up.blocked or bool(self._connection.outbox.size)
            case Limit.PEER_SILENT:
                return self._down.blocked

    def over(self, limit: Limit | None) -> None:
        if limit is Limit.IDLE:
            self._connection.close(idle_error(self._talk.ending.idle or 0))
            return
        if limit is Limit.INPUT_SILENT:
            told = "the peer has ended and standard input gives nothing: leaving"
            self._context.emit(Notice(told))
        unsent = self._up.lane.held + self._connection.outbox.size
        lost = f"{show_size(unsent)} of the input did not reach the peer"
        self._connection.finish(SendError(lost) if unsent else None)

    def closed(self, outcome: Outcome) -> None:
        error = outcome.error or (outcome.failure if outcome.undelivered else None)
        if not error and self._lenient and self._lenient.refused:
            error = TextError("part of what was typed was not sent")
        self._failed = error is not None
        if error:
            self.explain(error, outcome.undelivered)
        self._on_over(error)

    def explain(self, error: SockkitError, undelivered: int | None = None) -> None:
        """Have `error`, which ends the session, say how far it got."""
        if isinstance(error, OutputGone):
            return
        if undelivered is None:
            undelivered = self._connection.end.undelivered()
        text = f"sent {show_size(self._connection.bytes_sent)}"
        if undelivered:
            text += f", {show_size(undelivered)} of it not delivered"
        text += f", received {show_size(self._down.bytes_read)}"
        if unwritten := min(self._down.lane.held, self._down.bytes_read):  # but for a label
            text += f", {show_size(unwritten)} of it not written"
        error.so_far = text

    def _report(self) -> None:
        peer, sent = self._connection.end.peer, self._connection.bytes_sent
        if self._shunned and (self._failed or not sent):  # it accepted nothing either
            self._context.emit(Notice(SHUNNED))
        for direction, pump, size in (
            ("sent", self._up, sent),
            ("received", self._down, self._down.bytes_read),
        ):
            self._context.emit(StreamTotal(peer, direction, size, pump.lane.name, pump.seconds))
