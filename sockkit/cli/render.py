"""Shows events and errors as lines on stderr. Escapes text from other people in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from sockkit.cli.status_lines import write_stderr
from sockkit.core.printable import escape, escape_address
from sockkit.core.units import (
    show_amount,
    show_average,
    show_count,
    show_seconds,
    show_size,
)
from sockkit.errors import BROKEN_OFF
from sockkit.events import (
    Answer,
    Closed,
    CommandsOffered,
    Connected,
    ConnectFailed,
    Connecting,
    DatagramTotal,
    Emit,
    Event,
    Failure,
    FaultInjected,
    FrameTotal,
    HalfClosed,
    Hint,
    InputEnded,
    Listening,
    Named,
    NewPeer,
    Notice,
    Peer,
    PeerEnded,
    PeerForgotten,
    PeerUser,
    ProgramEnded,
    ProgramStarted,
    Secured,
    SocketCall,
    StreamTotal,
    TargetChosen,
    Transferred,
    Tunnelled,
    Unanswered,
    Unreachable,
    Waiting,
)
from sockkit.term.color import Palette, wanted
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.event_throttle import EventThrottle
    from sockkit.net.loop import Loop, Timer

QUIET, NORMAL, VERBOSE, STEPS = -1, 0, 1, 2
# For one kind of events that peers cause; five seconds' worth may be shown at once.
EVENTS_PER_SECOND = 1.0
ONE_AT_ONCE = 0.2  # for events that are shown once, and then counted
VERBOSE_EVENTS_PER_SECOND = 20.0  # for events that only -v shows

_COUNTED: dict[type, str] = {
    Connected: "connected",
    Named: "got a name",
    Secured: "encrypted with TLS",
    PeerEnded: "peer closed",
    InputEnded: "input ended",
    HalfClosed: "half-closed later",
    StreamTotal: "totals of one direction",
    FrameTotal: "totals of frames",
    PeerUser: "process of a peer",
    NewPeer: "new peer",
    PeerForgotten: "peer forgotten to make room",
    ProgramStarted: "program started",
    ProgramEnded: "program ended",
    Unreachable: "closed: the target could not be reached",
}
Passes = Callable[[str, float], bool]  # (kind, rate): whether to show one more


def complain(message: str) -> None:
    """Write an error to stderr, in one line."""
    terminal = bool(sys.stderr) and sys.stderr.isatty()
    write_stderr(_failure(Palette(wanted(terminal, os.environ)), message))


def _failure(palette: Palette, message: str, label: str = "") -> str:
    return f"{palette.paint('sockkit:', 'red')} {label}{escape(message)}"


class Counts:
    """Shows how many more events of a kind there were than lines.

    Calls `say` with a line when a count is due, and with the last counts in `finish`. `words` are
    the line's, with `count` and `kind` to fill in.
    """

    def __init__(
        self, loop: Loop, say: Callable[[str], None], words: str = "* {count:,} more: {kind}"
    ) -> None:
        self._loop, self._say, self._words = loop, say, words
        self._throttle: EventThrottle | None = None
        self._timer: Timer | None = None

    def passes(self, kind: str, rate: float) -> bool:
        """Whether to show one more event of `kind`, as EventThrottle decides for this `rate`."""
        if not self._throttle:
            from sockkit.core.event_throttle import EventThrottle  # few runs need it

            self._throttle = EventThrottle()
        passes = self._throttle.passes(kind, rate, self._loop.now)
        if not passes and not self._timer:
            self._wait()
        return passes

    def finish(self) -> None:
        """Show the last counts, when the run is over."""
        self._tell(final=True)

    def _wait(self) -> None:
        if self._throttle and (due := self._throttle.due) is not None:
            self._timer = self._loop.at(due, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tell()
        self._wait()

    def _tell(self, *, final: bool = False) -> None:
        if not self._throttle:
            return
        for kind, count in self._throttle.counts(self._loop.now, final=final):
            self._say(self._words.format(count=count, kind=kind))


class Renderer(Value):
    """Shows events up to `level`, and with `typist` also those that a person who types needs.

    `watched` says that a person may read the lines. Then they also say what the command waits for.
    """

    level: int
    typist: bool
    palette: Palette
    watched: bool = False

    def emitter(self, say: Callable[[str], None], passes: Passes = lambda kind, rate: True) -> Emit:
        """Returns a function that shows events by `say`, if `passes` allows one of their kind."""
        return lambda event: self._render(event, say, passes)

    def _render(self, event: Event, say: Callable[[str], None], passes: Passes) -> None:
        level, words = _line(event)
        if self.typist and _concerns_a_typist(event):
            level = min(level, NORMAL)
        if self.watched and isinstance(event, Waiting):
            level = NORMAL
        if level > self.level:
            return
        kind = _kind(event)
        rate = EVENTS_PER_SECOND if level <= NORMAL else VERBOSE_EVENTS_PER_SECOND
        rate = ONE_AT_ONCE if isinstance(event, Unreachable) or kind == BROKEN_OFF else rate
        if kind and not passes(kind, rate):
            return
        label = self._label(event)
        if _failed(event):
            say(_failure(self.palette, words, label))
        else:
            say(f"* {label}{escape(words)}")

    def _label(self, event: Event) -> str:
        """The label of the peer that the event is about, if a server has many."""
        peer = getattr(event, "peer", None)
        if not isinstance(peer, Peer) or not peer.number:
            return ""
        label = f"[{peer.number}] {escape_address(peer.address)}"
        return f"{self.palette.paint(label, self.palette.of_peer(peer))} "


def _failed(event: Event) -> bool:
    match event:
        case Failure() | Unreachable():
            return True
        case Closed():
            return bool(event.problem)
        case _:
            return isinstance(event, ProgramEnded) and event.crashed


def _concerns_a_typist(event: Event) -> bool:
    """Whether a person who types needs it: a peer has connected or closed, a client's peer has
    ended its side, or commands can be typed.
    """
    match event:
        case CommandsOffered():
            return True
        case Connected() | Named() | Tunnelled() | Closed() | TargetChosen() | NewPeer():
            return True
        case PeerEnded(peer, _):
            return peer.number == 0
        case _:
            return False


def _kind(event: Event) -> str:
    """The kind as which the event is counted; empty if no peer can cause the event."""
    match event:
        case Closed():
            return event.kind or event.problem or "closed"
        case Failure() | Notice():
            return event.kind
        case FaultInjected(_, direction, fault):
            return f"{direction}: {fault} on purpose" if direction else f"{fault} on purpose"
        case Unanswered(_, why):
            return f"not answered: {why}"
        case SocketCall(call):
            return call
        case _:
            return _COUNTED.get(type(event), "")


def _line(event: Event) -> tuple[int, str]:
    """The level at which an event is shown, and its text."""
    match event:
        case Listening(address, loopback):
            return NORMAL, f"listening on {address}{_reach(address) if loopback else ''}"
        case Notice(text):
            return NORMAL, text
        case Answer(text):
            return QUIET, text
        case Failure() | Unreachable():
            return QUIET, event.text
        case FaultInjected():
            return (VERBOSE if event.detail else NORMAL), _fault(event)
        case Closed():
            return _closed(event)
        case Secured():
            return VERBOSE, _secured(event)
        case Transferred():
            return NORMAL, _transferred(event)
        case SocketCall(call, detail):
            return STEPS, f"{call}: {detail}"
        case _:
            return (QUIET if _failed(event) else VERBOSE), _progress(event)


def _reach(address: str) -> str:
    """Who can connect to a loopback address, in a line of at most 80 columns."""
    every = {"127.0.0.1": "0.0.0.0", "[::1]": "::"}.get(address.rpartition(":")[0])
    return f" (this machine only; --bind {every} for others)" if every else " (this machine only)"


def _closed(event: Closed) -> tuple[int, str]:
    _, sent, received, problem, *_ = event
    totals = _totals(sent, received, event.seconds)
    if problem:
        shown = totals if event.lost or sent or received else ""
        return (QUIET if event.lost else NORMAL), f"{problem}{shown}"
    return VERBOSE, f"closed{totals}"


def _fault(event: FaultInjected) -> str:
    """`sent: stalled on purpose after 1,000 bytes`."""
    of = f"{event.direction}: " if event.direction else ""
    after = f" after {show_size(event.passed)}" if event.passed else ""
    return of + (event.detail or f"{event.fault} on purpose{after}")


def _totals(sent: int | None, received: int | None, seconds: float | None) -> str:
    if sent is None or received is None:
        return ""
    took = "" if seconds is None else f", in {show_seconds(round(seconds, 3))}"
    return f" (sent {show_size(sent)}, received {show_size(received)}{took})"


def _timed(size: int, seconds: float) -> str:
    """` in 2 s, 545 MB/s`; the rate only where it was measured."""
    took, rate = show_seconds(round(seconds, 3)), show_average(size, seconds)
    return f" in {took}, {rate}" if rate else f" in {took}"


def _transferred(event: Transferred) -> str:
    told = []
    directions = (
        ("sent", event.sent, event.sent_seconds),
        ("received", event.received, event.received_seconds),
    )
    for direction, size, seconds in directions:
        rate = show_average(size, seconds)
        told.append(f"{direction} {show_amount(size)}" + (rate and f" at {rate}"))
    return f"{', '.join(told)}, in {show_seconds(round(event.seconds, 1))}"


def _progress(event: Event) -> str:
    match event:
        case InputEnded(_, sent, half_closed):
            closed = ", half-closed" if half_closed else ""
            return f"input ended ({show_size(sent)} sent){closed}"
        case HalfClosed(_, answered):
            why = "answered and is silent" if answered else "does not answer"
            return f"peer {why}: half-closed"
        case Hint(text) | Waiting(text):
            return text
        case CommandsOffered(key):
            return f"{key} for commands"
        case FrameTotal(_, direction, frames):
            return f"{direction} {show_count(frames, 'frame')}"
        case PeerEnded(_, received):
            return f"peer closed ({show_size(received)} received)"
        case StreamTotal(_, direction, size, lane, seconds):
            return f"{direction} {show_size(size)} by {lane}{_timed(size, seconds)}"
        case _:
            return _connecting(event)


def _connecting(event: Event) -> str:
    match event:
        case Connecting(address):
            return f"connecting to {address}"
        case ConnectFailed(address, reason):
            return f"could not connect to {address}: {reason}"
        case Connected(Peer(0, address), local):
            return f"connected to {address} from {local}"
        case Connected():
            return "connected"
        case Named(_, name):
            return f"is {name}"
        case Tunnelled(peer):
            return f"connected to {peer.address}"
        case _:
            return _datagrams(event)


def _process(event: Event) -> str:
    match event:
        case PeerUser(_, process, user, group):
            return f"peer is process {process} of {_user_name(user)}, group {group}"
        case ProgramStarted(_, name, process, streams):
            return f"{name} started as process {process} on {streams}"
        case ProgramEnded(_, name, code, _):
            from sockkit.core.programs import signal_name  # few runs need it

            how = f"was killed by {signal_name(-code)}" if code < 0 else f"exited with {code}"
            return f"{name} {how}"
        case _:
            raise AssertionError(event)


@cache
def _user_name(number: int) -> str:
    """`alice (user 1000)`; the number alone if it has no name."""
    try:
        import pwd

        return f"{pwd.getpwuid(number).pw_name} (user {number})"
    except (ImportError, KeyError, OverflowError):
        return f"user {number}"


def _secured(event: Secured) -> str:
    words = [f"encrypted with {event.version}, {event.cipher}"]
    words += [f"protocol {event.protocol}"] if event.protocol else []
    if event.subject:
        words.append(f"certificate {event.subject}")
        words.append(f"signed by {event.issuer}, valid until {event.expires}")
    words += [f"SHA-256 {event.fingerprint}"] if event.fingerprint else []
    return "; ".join(words)


def _datagrams(event: Event) -> str:
    match event:
        case TargetChosen(address, local):
            return f"sending to {address} from {local}"
        case NewPeer():
            return "new peer"
        case PeerForgotten():
            return "forgotten to make room: silent the longest"
        case Unanswered(address, why):
            return f"datagram from {address} not answered: {why}"
        case DatagramTotal(direction, datagrams, size, seconds):
            count = show_count(datagrams, "datagram")
            timed = _timed(size, seconds) if show_average(size, seconds) else ""
            return f"{direction} {show_size(size)} in {count}{timed}"
        case _:
            return _process(event)
