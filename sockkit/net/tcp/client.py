"""One client of a server of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sockkit.core.ending import FAULT_LINGER, Ending, EndOptions, Limit, idle_error, next_look
from sockkit.core.text import Transcoder, Transform
from sockkit.core.units import show_seconds, show_size
from sockkit.errors import SockkitError, TextError
from sockkit.events import Closed, Emit, Notice, PeerEnded
from sockkit.net.closing import Closings, close_now
from sockkit.net.coalesce import PAUSE, Gather
from sockkit.net.ends.socket_end import Progress, Stream
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import Outbox
from sockkit.values import Value

HELD_UP_CHECK = 0.1  # seconds between looks at a standard input that another client holds up


class MemberOptions(Value):
    """`outbound` and `inbound` make each client's own transforms.

    A client that takes nothing of what waits for it in `slow_timeout` seconds is dropped.
    """

    ending: EndOptions
    outbound: Callable[[], Transform | None]
    inbound: Callable[[], Transcoder | None]
    slow_timeout: float


class Host(Protocol):
    """What a client needs of its server."""

    loop: Loop
    buffer: memoryview
    closings: Closings

    def room(self) -> bool:
        """Whether bytes that arrive can be written out; `resume` follows when not."""
        ...

    def arrived(self, member: Member, data: bytes) -> None: ...

    def busy(self, member: Member, waits: bool) -> None:
        """The client's outbox has begun, or ceased, to wait."""
        ...

    def held_up(self) -> bool:
        """Whether standard input is silent because some client is slow."""
        ...

    def left(self, member: Member) -> None:
        """It is a client no longer; its connection may still be closing."""
        ...

    def closed(self, member: Member) -> None: ...


class Member:
    """Owns its stream. Bytes sent and received by it never wait for another client."""

    def __init__(self, host: Host, stream: Stream, options: MemberOptions, emit: Emit) -> None:
        self._host, self._loop, self._options, self._emit = host, host.loop, options, emit
        self._stream = stream
        self._outbound, self._inbound = options.outbound(), options.inbound()
        self._ending = Ending(options.ending, self._loop.now)
        self._outbox = Outbox(
            self._loop, stream, on_empty=self._caught_up, on_fail=self._sending_failed
        )
        self._waiting_since: float | None = None
        self._progress = Progress(stream, self._loop.now)
        self._timer: Timer | None = None
        self._problem = self._kind = ""
        self._gather = Gather()
        self._received = 0
        self._left, self._lost = False, True
        self._undelivered: int | None = None
        self.undecoded = False  # whether it sent what is no text
        self.peer = stream.peer
        self.last_received = self._loop.now
        self._review()

    @property
    def unsent(self) -> int:
        """Bytes the peer's system has not acknowledged, or had not when it was closed."""
        undelivered = self._undelivered
        if undelivered is None:
            undelivered = self._stream.undelivered()
        return self._outbox.size + self._outbox.dropped + undelivered

    @property
    def totals(self) -> str:
        return f"sent {show_size(self._outbox.given)}, received {show_size(self._received)}"

    def send(self, data: bytes, *, raw: bool = False, whole: bool = False) -> None:
        """Send what standard input gave; `raw` bytes pass as they are, a `whole` text is ended.

        Raises TextError, after sending what it allows; of a `whole` text nothing then.
        """
        self._ending.sent(self._loop.now)
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
        self._ending.end_input(self._loop.now)
        self._review()

    def resume(self) -> None:
        """Read the client while its own outbox has room; `Host.room` may pause it again."""
        wanted = not (self._outbox.size or self._ending.peer_ended or self._left)
        self._loop.when_readable(self._stream.descriptor, self._receive if wanted else None)

    def leave(self, problem: str = "", *, kind: str = "", drop: bool = False) -> None:
        """Close the connection once the peer has what was sent; `drop` what still waits."""
        if self._leaves(problem, kind):
            if drop:
                self._outbox.stop()
            ended = self._ending.peer_ended
            self._host.closings.add(self._stream, self._outbox, self._closed, ended=ended)

    def close(self, problem: str = "", *, kind: str = "", lost: bool = True) -> None:
        """Close the connection now; nothing is `lost` where the peer has only left in its way."""
        if self._leaves(problem, kind):
            self._lost = lost
            self._closed(close_now(self._loop, self._stream, self._outbox), False)

    def _leaves(self, problem: str, kind: str) -> bool:
        """Be a client no longer; whether it was one."""
        if self._left:
            return False
        self._left = True
        self._problem = self._problem or problem
        if self._timer:
            self._timer.cancel()
        self._kind = self._kind or kind or self._problem
        self._host.left(self)  # which shows what it sent last, before its end is told
        return True

    def _closed(self, undelivered: int, reset: bool) -> None:
        self._undelivered = undelivered
        if reset and self.unsent and not self._problem:
            self._problem = self._kind = "connection reset"
        problem = self._problem
        if unsent := self.unsent:
            problem += f"{', ' if problem else ''}{show_size(unsent)} not sent"
        sent = self._outbox.given - undelivered
        kind = self._kind or ("part was not sent" if unsent else "")
        lost = self._lost or bool(unsent)
        self._emit(Closed(self.peer, sent, self._received, problem, kind, lost))
        self._host.closed(self)

    def _receive(self) -> None:
        if not self._host.room():
            self._loop.when_readable(self._stream.descriptor, None)
            return
        try:
            size = self._stream.read_into(self._host.buffer)
        except BlockingIOError:
            return
        except SockkitError as error:
            self.close(str(error), kind=error.kind, lost=False)
            return
        self._received += size
        if size:
            self.last_received = self._loop.now
            self._ending.received(self._loop.now)
            self._deliver(bytes(self._host.buffer[:size]))
        else:
            self._peer_ended()
        rests = self._gather.due(size, self._loop.now, self._outbox.given)
        if rests and not self._left:
            self._loop.when_readable(self._stream.descriptor, None)
            self._loop.later(PAUSE, self._read_on)

    def _read_on(self) -> None:
        if not self._left:
            self.resume()

    def _deliver(self, data: bytes) -> None:
        """Give `data`, or at the end what is left in the transform, to standard output."""
        problem = ""
        if self._inbound:
            try:
                data = self._inbound.feed(data) if data else self._inbound.flush()
            except TextError as error:
                data, problem = error.before, str(error)
        self._host.arrived(self, data)
        if problem:
            self.undecoded = True
            self.leave(problem, kind="what was received is not text")
        elif self._outbox.size:
            self.resume()  # which pauses it

    def _peer_ended(self) -> None:
        self._deliver(b"")
        if self._left:
            return
        if self._inbound and (cut := self._inbound.cut):
            told = f"the last character of {self.peer.address} was cut: {cut!r}"
            self._emit(Notice(told, "the last character was cut"))
        self._emit(PeerEnded(self.peer, self._received))
        if self._problem:
            self.close()
            return
        self._ending.end_peer(self._loop.now)
        self.resume()
        self._review()

    def _put(self, data: bytes) -> None:
        self._outbox.put(data)
        if self._outbox.size and self._waiting_since is None:
            self._waiting_since = self._loop.now
            self._host.busy(self, True)
            self._review()

    def _caught_up(self) -> None:
        if self._left:
            return
        self._waiting_since = None
        self._host.busy(self, False)
        self.resume()
        self._review()

    def _sending_failed(self, error: SockkitError) -> None:
        """Send no more; what the client has sent is still read to its end."""
        if self._left:
            return
        self._problem, self._kind = str(error), error.kind
        if self._ending.peer_ended:
            self.close()
        else:
            self._loop.later(FAULT_LINGER, self.close)
            self._caught_up()

    def _review(self) -> None:
        """Leave when it is over; otherwise wait, for as long as the present state may last."""
        if self._left:
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        bound = self._ending.bound()
        if self._waiting_since is not None:
            self._timer = self._loop.at(next_look(self._slow_at, self._loop.now), self._slow)
        elif self._ending.over():
            self.leave()
        elif bound:
            self._timer = self._loop.at(next_look(bound[0], self._loop.now), self._silent)

    @property
    def _slow_at(self) -> float:
        """When the client is too slow, unless it takes some of what waits before."""
        assert self._waiting_since is not None
        since = max(self._waiting_since, self._progress.moved_at)
        return since + self._options.slow_timeout

    def _slow(self) -> None:
        self._progress.look(self._outbox.given, self._loop.now)
        if self._slow_at > self._loop.now:
            self._review()
            return
        bound = show_seconds(self._options.slow_timeout)
        self.leave(f"dropped, it was too slow for {bound} (--slow-timeout)", drop=True)

    def _silent(self) -> None:
        self._progress.look(self._outbox.given, self._loop.now)
        self._ending.delivered(self._progress.moved_at)
        bound = self._ending.bound()
        if not bound or bound[0] >= self._loop.now:
            self._review()
        elif bound[1] is Limit.IDLE:
            self.leave(str(idle_error(self._options.ending.idle or 0)))
        elif bound[1] is Limit.INPUT_SILENT and self._host.held_up():
            self._timer = self._loop.later(HELD_UP_CHECK, self._silent)
        else:
            self.leave()
