"""A conversation with one peer: standard input to it, what it sends to standard output.

This is tcp-client once it is connected, and tcp-server --once. Each direction is a pump;
`Ending` says when the two together are over. Whatever was taken from either side has been
given to the other when `run` returns; otherwise it raises, and says how far it got.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sockkit.core.ending import FAULT_LINGER, Ending, EndOptions, Limit, idle_error, next_look
from sockkit.core.text import Chain, Lenient, Transcoder, Transform
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import OutputGone, SendError, SockkitError, TextError
from sockkit.events import Emit, Failure, InputEnded, Moved, Notice, PeerEnded
from sockkit.net.ends.socket_end import STALL, Progress, Stream
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.net.pump import Pump
from sockkit.values import Value

AT_ONCE = 1.0  # seconds in which a peer that leaves without a word has not listened
SHUNNED = "the peer closed at once: does it expect TLS, or refuse this address?"
BLOCKED_CHECK = 0.1  # seconds between looks at an end that the other holds up
DELIVERY_CHECK = 0.01  # seconds between looks at what the peer has not acknowledged


class Talk(Value):
    """What is said, and how. The transforms belong to this conversation alone.

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


class Session:
    """Owns nothing: the loop, the stream and the standard streams are closed elsewhere."""

    def __init__(self, loop: Loop, stream: Stream, stdio: Stdio, talk: Talk, emit: Emit) -> None:
        self._loop, self._stream, self._talk, self._emit = loop, stream, talk, emit
        self._output = stdio.output
        self._ending = Ending(talk.ending, loop.now)
        self._began = loop.now
        self._fault: SockkitError | None = None
        self._timer: Timer | None = None
        self._finishing = self._replied = self._shunned = False
        self._outbound, self._lenient = talk.outbound, None
        if talk.outbound and stdio.input.terminal:
            self._outbound = self._lenient = Lenient(talk.outbound, self._refused)
        self._progress = Progress(stream, loop.now)
        self._delivering_since = math.inf
        self._then: Callable[[], None] = self._start_input
        self._said = Outbox(
            loop,
            stream,
            on_progress=self._sent,
            on_empty=lambda: self._then(),
            on_fail=self._sending_failed,
        )
        self._up = Pump(
            loop,
            stdio.input,
            stream,
            self._outbound,
            talk.size,
            on_progress=self._sent,
            on_end=self._input_ended,
            on_fail=self._sending_failed,
        )
        shown: list[Transform] = [talk.inbound] if talk.inbound else []
        if talk.label:
            from sockkit.core.lines import Labelled

            shown.append(Labelled(talk.label))
        self._down = Pump(
            loop,
            stream,
            stdio.output,
            Chain(*shown) if shown else None,
            talk.size,
            on_progress=self._received,
            on_end=self._peer_ended,
            on_fail=self._receiving_failed,
            sent=lambda: self._sent_size,
        )

    def run(self) -> None:
        """Return when the conversation is over and nothing was lost; raise otherwise."""
        try:
            self._output.watch(self._loop)
            self._down.start()
            self._said.put(self._talk.opening)
            self._say(self._talk.greet, self._start_input)
            self._review()
            self._loop.run()
            if self._lenient and self._lenient.refused:
                raise TextError("part of what was typed was not sent")
        except OutputGone:
            raise
        except SockkitError as error:
            error.so_far = self._so_far()
            raise
        finally:
            self._up.close()
            self._down.close()
            self._said.stop()
            self._cancel_timer()
            self._report()

    @property
    def input_ended(self) -> bool:
        return self._ending.input_ended

    @property
    def sent_input(self) -> bool:
        """Whether anything of standard input was taken."""
        return bool(self._up.taken)

    # Our side: what was to be said first, then standard input or the reply, then half-close.

    def _say(self, text: bytes, then: Callable[[], None], *, last: bool = False) -> None:
        """Send `text` as if it had been typed, as the `last` or not, and then do `then`."""
        self._then = then
        if outbound := self._outbound:
            text = outbound.feed(text) + (outbound.flush() if last else b"")
        self._said.put(text)
        if not self._said.size and not self._fault:
            then()

    def _refused(self, error: TextError) -> None:
        self._emit(Failure(f"this line was not sent: {error}"))

    def _start_input(self) -> None:
        if self._talk.reply is None and not self._finishing:
            self._up.start()

    def _sent(self) -> None:
        self._ending.sent(self._loop.now)

    def _input_ended(self) -> None:
        self._stream.half_close()
        self._emit(InputEnded(self._stream.peer, self._sent_size))
        self._ending.end_input(self._loop.now)
        self._review()

    def _sending_failed(self, error: SockkitError) -> None:
        """Nothing more can be sent, but what the peer has sent can still be received."""
        self._fault = error
        self._up.stop()
        if self._ending.peer_ended:
            raise error
        if isinstance(error, SendError):
            self._cancel_timer()
            self._timer = self._loop.later(FAULT_LINGER, self._finish)
        else:  # the input is at fault, not the connection
            self._finish()

    # The peer's side.

    def _received(self) -> None:
        self._ending.received(self._loop.now)
        if self._talk.reply is not None:
            self._reply(self._talk.reply)

    def _reply(self, text: bytes) -> None:
        if not self._replied:
            self._replied = True
            self._say(text, self._input_ended, last=True)

    def _peer_ended(self) -> None:
        if self._talk.inbound and (cut := self._talk.inbound.cut):
            shown = " ".join(f"0x{byte:02x}" for byte in cut)
            self._emit(Notice(f"the peer's last character was cut: it ended after {shown}"))
        if self._finishing:
            return self._deliver()
        self._emit(PeerEnded(self._stream.peer, self._down.taken))
        silent = not self._down.taken and not self._sent_size and not self._ending.input_ended
        early = self._loop.now - self._began < AT_ONCE
        self._shunned = silent and early and self._stream.peer.number == 0
        if self._fault:
            raise self._fault
        self._ending.end_peer(self._loop.now)
        if self._talk.reply is not None:
            self._reply(b"")
        return self._review()

    def _receiving_failed(self, error: SockkitError) -> None:
        raise error

    # The end.

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _review(self) -> None:
        """End what is over; otherwise wait, for as long as the silence may last."""
        if self._finishing or self._fault:
            return
        self._cancel_timer()
        if self._ending.over():
            self._finish()
        elif bound := self._ending.bound():
            self._timer = self._loop.at(next_look(bound[0], self._loop.now), self._silent)

    def _look(self) -> int:
        """How many bytes the peer's system does not have; that it got more is progress."""
        left = self._progress.look(self._sent_size, self._loop.now)
        self._ending.delivered(self._progress.moved_at)
        return left

    def _silent(self) -> None:
        self._look()
        bound = self._ending.bound()
        if not bound or bound[0] >= self._loop.now:
            return self._review()  # there has been progress since the timer was set
        match bound[1]:
            case Limit.IDLE:
                raise idle_error(self._talk.ending.idle or 0)
            case Limit.INPUT_SILENT if not (self._up.blocked or self._said.size):
                self._emit(Notice("the peer has ended and standard input gives nothing: leaving"))
                return self._finish()
            case Limit.PEER_SILENT if not self._down.blocked:
                return self._finish()
        # It is not silent: the other end holds it up.
        self._timer = self._loop.later(BLOCKED_CHECK, self._silent)
        return None

    def _finish(self) -> None:
        """Take no more from either side, and leave once everything taken is given."""
        if self._finishing:
            return None
        self._finishing = True
        self._cancel_timer()
        self._up.stop()
        unsent = self._up.lane.held + self._said.size
        if unsent and not self._fault:
            self._fault = SendError(f"{show_size(unsent)} of the input did not reach the peer")
        if self._ending.peer_ended:
            return self._deliver()
        return self._down.finish()

    def _deliver(self) -> None:
        """Leave when the peer's system has what we sent.

        To close a connection that still receives resets it, and a reset may overtake our
        last bytes, RFC 1122 section 4.2.2.13. A peer that has ended its side may have closed
        it, and then resets it when our bytes come.
        """
        self._delivering_since = min(self._delivering_since, self._loop.now)
        if self._look() and not self._fault:
            self._fault = self._stream.failure()
            moved_at = max(self._progress.moved_at, self._delivering_since)
            if not self._fault and self._loop.now <= moved_at + STALL:
                self._timer = self._loop.later(DELIVERY_CHECK, self._deliver)
                return
            self._fault = self._fault or SendError(
                f"the peer has taken nothing for {show_seconds(STALL)}"
            )
        self._leave()

    def _leave(self) -> None:
        if self._fault:
            raise self._fault
        self._loop.stop()

    @property
    def _sent_size(self) -> int:
        return self._said.given + self._up.given

    def _so_far(self) -> str:
        text = f"sent {show_size(self._sent_size)}"
        if undelivered := self._stream.undelivered():
            text += f", {show_size(undelivered)} of it not delivered"
        text += f", received {show_size(self._down.taken)}"
        if unwritten := min(self._down.lane.held, self._down.taken):  # a label is not received
            text += f", {show_size(unwritten)} of it not written"
        return text

    def _report(self) -> None:
        if self._shunned and (self._fault or not self._sent_size):  # it took nothing either
            self._emit(Notice(SHUNNED))
        for direction, pump, size in (
            ("sent", self._up, self._sent_size),
            ("received", self._down, self._down.taken),
        ):
            self._emit(Moved(self._stream.peer, direction, size, pump.lane.name, pump.seconds))
