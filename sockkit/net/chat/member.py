"""A connection to a chat room: its bytes in, its lines out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sockkit.core.chat.actions import Disconnect
from sockkit.core.chat.input import MemberInput
from sockkit.core.ending import Limit
from sockkit.core.units import show_size
from sockkit.events import Closed, Peer
from sockkit.net.connection import Connection, Direction, Outcome
from sockkit.net.ends.end import End
from sockkit.net.loop import Timer
from sockkit.net.reader import Reader

if TYPE_CHECKING:
    from sockkit.net.chat.server import ChatServer

MAX_OUTBOX = 4 * 1024 * 1024  # bytes that wait for a member
MAX_RECEIVE = 64 * 1024  # bytes of one receive
MAX_TELNET_RECEIVE = 16 * 1024  # the same where telnet commands come, which take longer than text
_LOST, _TOO_SLOW = "connection lost", "too slow"


class Member:
    """Nobody waits for it: beyond MAX_OUTBOX it is dropped. Too fast a speaker is read slowly."""

    def __init__(self, server: ChatServer, end: End) -> None:
        self._server = server
        self.peer: Peer = end.peer
        self.number = end.peer.number
        self.since: float = math.inf  # of the present turn, the lines for all that it hears
        self.timers: dict[str, Timer] = {}  # what is done for it later, while it is here
        self._turn: Timer | None = None  # until it may speak again
        self._input = MemberInput(server.options.encoding, server.options.client_encoding)
        self.closed_for = ""  # why it is not a member any more, if it did not want to go
        self.departed = False
        self._connection = Connection(server.loop, end, self, server.closer)
        self._reader = Reader(
            server.loop, self._connection, self, server.buffer[:MAX_TELNET_RECEIVE]
        )

    @property
    def encoding(self) -> str:
        return self._input.encoding

    def start(self) -> None:
        self._connection.start(self._reader)

    def send(self, data: bytes) -> None:
        if not data or self.departed:
            return
        self._connection.send(data)
        if self._connection.outbox.size > MAX_OUTBOX:
            self.leave(_TOO_SLOW)

    def leave(self, why: str = "") -> None:
        """Close once the last lines are delivered, unless it is too slow for them."""
        if self._depart(why):
            self._connection.leave(drop=why == _TOO_SLOW)

    def close(self) -> None:
        """Close now."""
        if self._depart(""):
            self._connection.close()

    def _depart(self, why: str) -> bool:
        """Be a member no longer; whether it was one."""
        if self.departed:
            return False
        self.departed, self.closed_for = True, why
        if self._turn:
            self._turn.cancel()
        self._server.departed(self)
        return True

    # What the connection and its reader tell.

    def wants_more(self) -> bool:
        """Whether it has not sent more than its share; otherwise it is read later."""
        if not self._turn:
            room, now, number = self._server.room, self._server.loop.now, self.number
            self._wait(max(room.resume_delay(number, now), room.charge_delay(number, now)))
        return not self._turn

    def received(self, data: bytes) -> None:
        commands = self._input.has_commands(data)
        self._reader.buffer = self._server.buffer[: MAX_TELNET_RECEIVE if commands else None]
        if commands:
            self._server.admit(self)  # it does not begin with the mark
            self._server.room.charge(self.number, len(data))
        self._hear(self._input.feed(data))

    def _hear(self, text: bytes) -> None:
        room, now = self._server.room, self._server.loop.now
        if self._input.known:
            self._server.admit(self)
        if text and not self.departed:
            self._server.handle(room.feed(self.number, text, now))
        if not self.departed:
            self._wait(room.resume_delay(self.number, now))

    def peer_ended(self) -> None:
        self._hear(self._input.flush())
        if not self.departed:
            self._server.handle(self._server.room.feed(self.number, b"", self._server.loop.now))
            self._go_on_or_end()

    def _wait(self, seconds: float) -> None:
        if seconds and not self._turn:
            self._turn = self._server.loop.later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._turn = None
        self._server.handle(self._server.room.resume(self.number, self._server.loop.now))
        self._go_on_or_end()

    def _go_on_or_end(self) -> None:
        if self.departed:
            return
        self._wait(self._server.room.resume_delay(self.number, self._server.loop.now))
        if self._turn:
            return
        if self._connection.receiving is not Direction.OPEN:
            self._server.handle([Disconnect(self.number)])
        else:
            self._reader.resume()

    def drained(self) -> None:
        pass

    def held_up(self, limit: Limit) -> bool:
        return False

    def over(self, limit: Limit | None) -> None:
        self.leave()

    def closed(self, outcome: Outcome) -> None:
        """What a member throws away by a reset is its own affair, and no problem."""
        self._depart(_LOST if outcome.error else "")
        why, connection = self.closed_for, self._connection
        unsent = 0 if outcome.error or outcome.failure else outcome.unsent
        problems = [why] if why == _TOO_SLOW else []
        problems += [f"{show_size(unsent)} not sent"] if unsent else []
        kind = (why or "part was not sent") if problems else ""
        sent, received = connection.bytes_sent - outcome.undelivered, connection.bytes_received
        closed = Closed(self.peer, sent, received, ", ".join(problems), kind)
        self._server.closed(closed, missed=bool(unsent) and not why)
