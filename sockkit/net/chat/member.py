"""A connection to a chat room: its bytes in, its lines out."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from sockkit.core.chat.lines import MARK
from sockkit.core.chat.outcome import Gone
from sockkit.core.telnet import IAC, Telnet
from sockkit.core.text import TextOptions, Transcoder
from sockkit.core.units import show_size
from sockkit.errors import SockkitError
from sockkit.events import Closed, Peer
from sockkit.net.closing import close_now
from sockkit.net.coalesce import PAUSE, Gather
from sockkit.net.ends.socket_end import Stream
from sockkit.net.loop import Timer
from sockkit.net.outbox import Outbox

if TYPE_CHECKING:
    from sockkit.net.chat.server import ChatServer

OUTBOX = 4 * 1024 * 1024  # most bytes that wait for a member
RECEIVE = 64 * 1024  # bytes of one receive
TELNET = 16 * 1024  # of one after a telnet client's commands, which take longer than text
_LOST, _TOO_SLOW = "connection lost", "too slow"


class Member:
    """A connection; owns its stream."""

    def __init__(self, server: ChatServer, stream: Stream) -> None:
        self._server, self._loop, self._stream = server, server.loop, stream
        self.peer: Peer = stream.peer
        self.number = stream.peer.number
        self.since: float = math.inf  # of the present turn, the lines for all that it hears
        self._outbox = Outbox(
            self._loop, stream, on_empty=lambda: None, on_fail=lambda _: self.close(_LOST)
        )
        self.timers: dict[str, Timer] = {}  # what is done for it later, while it is here
        self._received = 0
        self._gather, self._rest = Gather(), 0.0
        self._ended = self.closed = False
        options = server.options
        self.encoding = options.client_encoding or options.encoding
        self._transcoder: Transcoder | None = None  # to what the room speaks, where that differs
        self._telnet = None if _is_letter(b"\xff", self.encoding) else Telnet()
        self._most = TELNET  # bytes of the next receive
        self._first: bytes | None = b""  # what has come, until it is known whether it is MARK

    def resume(self) -> None:
        """Read on, unless it has sent more than its share."""
        if self.closed or self._ended:
            return
        room, now = self._server.room, self._loop.now
        wait = max(room.waits(self.number, now), room.owes(self.number, now), self._rest)
        self._rest = 0.0
        self._loop.when_readable(self._stream.descriptor, None if wait else self._read)
        if wait:
            self.timers["turn"] = self._loop.later(wait, self._go_on)

    def send(self, data: bytes) -> None:
        if not data or self.closed:
            return
        self._outbox.put(data)
        if self._outbox.size > OUTBOX:
            self.leave(_TOO_SLOW)

    def leave(self, why: str = "") -> None:
        """Close once the last lines are delivered, unless it is too slow for them."""
        if self._leaves(why):
            if why == _TOO_SLOW:
                self._outbox.stop()
            closed = partial(self._closed, why)
            self._server.closings.add(self._stream, self._outbox, closed, ended=self._ended)

    def close(self, why: str = "") -> None:
        """Close now."""
        if self._leaves(why):
            self._closed(why, close_now(self._loop, self._stream, self._outbox), why == _LOST)

    def _leaves(self, why: str) -> bool:
        if self.closed:
            return False
        self.closed = True
        self._server.left(self, why)
        return True

    def _closed(self, why: str, undelivered: int, reset: bool) -> None:
        """What a member throws away by a reset is its own affair, and no problem."""
        unsent = 0 if reset else self._outbox.dropped + undelivered
        problems = [why] if why == _TOO_SLOW else []
        problems += [f"{show_size(unsent)} not sent"] if unsent else []
        sent = self._outbox.given - undelivered
        kind = (why or "part was not sent") if problems else ""
        closed = Closed(self.peer, sent, self._received, ", ".join(problems), kind)
        self._server.closed(closed, missed=bool(unsent) and not why)

    def _read(self) -> None:
        try:
            size = self._stream.read_into(self._server.buffer[: self._most])
        except BlockingIOError:
            return
        except SockkitError:
            self.close(_LOST)
            return
        rests = self._gather.due(size, self._loop.now, self._outbox.given)
        self._rest = PAUSE if rests else 0.0
        self._received += size
        self._ended = not size
        data = self._unmarked(self._typed(bytes(self._server.buffer[:size])))
        if data is None or self.closed:
            self.resume()
            return
        if self._transcoder:
            data = self._transcoder.feed(data) + (b"" if size else self._transcoder.flush())
        room, now = self._server.room, self._loop.now
        if data:
            self._server.handle(room.feed(self.number, data, now))
        if self._ended:
            self._server.handle(room.feed(self.number, b"", now))
        self._go_on_or_end()

    def _typed(self, data: bytes) -> bytes:
        """`data` without a telnet client's commands, which cost it as much as text."""
        if not self._telnet:
            return data
        commands = IAC in data  # or what is no text either, which takes as long to look at
        self._most = TELNET if commands else RECEIVE
        if commands:
            self._server.admit(self)  # no client that begins with MARK
            self._server.room.charge(self.number, len(data))
        return self._telnet.feed(data) if data else self._telnet.flush()

    def _unmarked(self, data: bytes) -> bytes | None:
        """`data` without MARK at the beginning of all; None while it may yet become that."""
        if self._first is None:
            return data
        self._first += data
        mark = f"{MARK}\n".encode()
        if mark.startswith(self._first) and not self._ended:
            return None
        first, self._first = self._first, None
        options = self._server.options
        if first.startswith(mark):
            first = first[len(mark) :]
            self.encoding = options.encoding
        elif self.encoding != options.encoding:
            self._transcoder = TextOptions(self.encoding).inbound(options.encoding)
        self._server.admit(self)
        return first

    def _go_on(self) -> None:
        if self.closed:
            return
        self._server.handle(self._server.room.go_on(self.number, self._loop.now))
        self._go_on_or_end()

    def _go_on_or_end(self) -> None:
        wait = self._server.room.waits(self.number, self._loop.now)
        if self._ended and not wait:
            self._loop.when_readable(self._stream.descriptor, None)
            self._server.handle([Gone(self.number)])
        elif self._ended:
            self._loop.when_readable(self._stream.descriptor, None)
            self.timers["turn"] = self._loop.later(wait, self._go_on)
        else:
            self.resume()


def _is_letter(data: bytes, encoding: str) -> bool:
    try:
        return bool(data.decode(encoding))
    except UnicodeDecodeError:
        return False
