"""Events and errors as lines on stderr. What others wrote in them cannot drive a terminal."""

from __future__ import annotations

import sys
from typing import NamedTuple

from sockkit.core.printable import escape
from sockkit.core.units import show_seconds, show_size
from sockkit.events import (
    Closed,
    Connected,
    ConnectFailed,
    Connecting,
    Emit,
    Event,
    Failure,
    InputEnded,
    Listening,
    Moved,
    Notice,
    Peer,
    PeerEnded,
    Step,
)

QUIET, NORMAL, VERBOSE, STEPS = -1, 0, 1, 2


def complain(message: str) -> None:
    """One line that says what went wrong."""
    _say(f"sockkit: {message}")


def _say(line: str) -> None:
    try:
        if sys.stderr:
            sys.stderr.write(f"{escape(line)}\n")
            sys.stderr.flush()
    except OSError:
        pass  # there is nobody left to tell


class Talk(NamedTuple):
    """How much is said: `level`, and more of it where a `terminal` is being typed at."""

    level: int
    terminal: bool

    def emitter(self) -> Emit:
        return self._render

    def _render(self, event: Event) -> None:
        level, line = _line(event)
        if self.terminal and _concerns_a_typist(event):
            level = min(level, NORMAL)
        if level <= self.level:
            if level is QUIET:
                complain(line)
            else:
                _say(f"* {line}")


def _concerns_a_typist(event: Event) -> bool:
    """Who comes and goes; of a client's one peer, that it says no more."""
    match event:
        case Connected() | Closed():
            return True
        case PeerEnded(peer, _):
            return peer.number == 0
        case _:
            return False


def _line(event: Event) -> tuple[int, str]:
    """The level an event is said at, and its words."""
    match event:
        case Listening(address, loopback):
            only = " (this machine only; --bind 0.0.0.0 opens it to others)" if loopback else ""
            return NORMAL, f"listening on {address}{only}"
        case Notice(text):
            return NORMAL, text
        case Failure(text):
            return QUIET, text
        case Closed(peer, sent, received, problem):
            totals = f"sent {show_size(sent)}, received {show_size(received)}"
            if problem:
                return QUIET, f"{_label(peer)}{problem} ({totals})"
            return VERBOSE, f"{_label(peer)}closed ({totals})"
        case Step(call, detail):
            return STEPS, f"{call}: {detail}"
        case _:
            return VERBOSE, _progress(event)


def _progress(event: Event) -> str:
    match event:
        case Connecting(address):
            return f"connecting to {address}"
        case ConnectFailed(address, reason):
            return f"no connection to {address}: {reason}"
        case Connected(Peer(0, address), local):
            return f"connected to {address} from {local}"
        case Connected(peer, _):
            return f"{_label(peer)}connected"
        case InputEnded(peer, sent):
            return f"{_label(peer)}input ended, sending side closed after {show_size(sent)}"
        case PeerEnded(peer, received):
            return f"{_label(peer)}the peer has ended its side after {show_size(received)}"
        case Moved(peer, direction, size, lane, seconds):
            speed = f", {size / seconds / 1e6:,.0f} MB/s" if size and seconds else ""
            took = show_seconds(round(seconds, 3))
            return f"{_label(peer)}{direction} {show_size(size)} by {lane} in {took}{speed}"
        case _:
            raise AssertionError(event)


def _label(peer: Peer) -> str:
    return f"[{peer.number} {peer.address}] " if peer.number else ""
