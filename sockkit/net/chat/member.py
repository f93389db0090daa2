"""A member of a chat room: one connection, its input and its outbox."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sockkit.core.chat.actions import Disconnect
from sockkit.core.chat.input import MemberInput
from sockkit.core.chat.protocol import NO_TLS
from sockkit.core.ending import Limit, silence_only
from sockkit.events import Peer
from sockkit.net.connection import Connection, Direction, Owner, Result, closed_event
from sockkit.net.ends.end import End
from sockkit.net.loop import Timer
from sockkit.net.reader import Reader

if TYPE_CHECKING:
    from sockkit.net.chat.server import ChatServer

MAX_OUTBOX_BYTES = 4 * 1024 * 1024  # a member for which more bytes wait is dropped
MAX_HELD_BYTES = MAX_OUTBOX_BYTES // 4  # for a newcomer; with more it is admitted at once
MAX_RECEIVE_BYTES = 64 * 1024  # of one receive by default
MAX_TELNET_RECEIVE_BYTES = 16 * 1024  # of one receive with telnet commands: they take longer
_LOST, _TOO_SLOW, _IDLE = "connection lost", "too slow", "silent for too long"
_TLS = "speaks TLS, and the room has no --tls"
_TOLD = (_TOO_SLOW, _IDLE, _TLS)  # reasons that the operator reads
_TLS_HANDSHAKE = b"\x16"  # the first byte of a client that speaks TLS, RFC 8446, section 5.1


class Member(Owner):
    """One connection. It is dropped when its outbox grows beyond MAX_OUTBOX_BYTES.

    A member that sends faster than the room allows is read more slowly.
    """

    def __init__(self, server: ChatServer, end: End) -> None:
        self._server = server
        self.peer: Peer = end.peer
        self.number = end.peer.number
        self.since: float = math.inf  # how many of the turn's lines came before it
        self.held: list[bytes] | None = None  # public lines, until the member is admitted
        self.timers: dict[str, Timer] = {}  # by purpose; they are cancelled when it departs
        self._pause: Timer | None = None  # until we read it again
        self._input = MemberInput(server.options.encoding, server.options.client_encoding)
        self.close_reason = ""  # why it departed; empty if it left by itself
        ending = silence_only(server.options.idle)
        self.connection = Connection(server.loop, end, self, server.closer, ending)
        self._reader = Reader(
            server.loop, self.connection, self, server.buffer[:MAX_TELNET_RECEIVE_BYTES]
        )

    @property
    def encoding(self) -> str:
        return self._input.encoding

    @property
    def departed(self) -> bool:
        return not self.connection.is_open

    def start(self) -> None:
        self.connection.start(self._reader)

    def send(self, data: bytes) -> None:
        if not data or self.departed:
            return
        self.connection.send(data)
        if self.connection.outbox.size > MAX_OUTBOX_BYTES:
            self.close_reason = _TOO_SLOW
            self.connection.close_lingering(drop=True)

    def deliver(self, data: bytes) -> None:
        """Send `data`, or hold it back until the member is admitted; at most MAX_HELD_BYTES."""
        if self.held is None:
            self.send(data)
            return
        self.held.append(data)
        if sum(map(len, self.held)) > MAX_HELD_BYTES:
            self._server.loop.call_soon(lambda: self._server.introduce(self))

    # What the connection and its reader report.

    def wants_more(self) -> bool:
        """Whether to read the member now. If it has sent too much, we read it later."""
        if not self._pause:
            room, now, number = self._server.room, self._server.loop.now, self.number
            self._wait(max(room.resume_delay(number, now), room.charge_delay(number, now)))
        return not self._pause

    def received(self, data: bytes) -> None:
        if not self._input.known and data.startswith(_TLS_HANDSHAKE):
            self._refuse_tls()
            return
        commands = self._input.has_commands(data)
        self._reader.buffer = self._server.buffer[: MAX_TELNET_RECEIVE_BYTES if commands else None]
        if commands:
            self._server.admit(self)  # it has not sent the mark first
            self._server.room.charge(self.number, len(data))
        self._process(self._input.feed(data))

    def _refuse_tls(self) -> None:
        """Close the connection. The line that it gets shows its client that we do not speak TLS."""
        self.close_reason = _TLS
        self.send(f"{NO_TLS}\n".encode())
        self.connection.close_lingering()

    def _process(self, text: bytes) -> None:
        room, now = self._server.room, self._server.loop.now
        if self._input.known:
            self._server.admit(self)
        if text and not self.departed:
            self._server.handle(room.feed(self.number, text, now))
        if not self.departed:
            self._wait(room.resume_delay(self.number, now))

    def peer_ended(self) -> None:
        self._process(self._input.flush())
        if not self.departed:
            self._server.handle(self._server.room.feed(self.number, b"", self._server.loop.now))
            self._read_or_end()

    def _wait(self, seconds: float) -> None:
        if seconds and not self._pause:
            self._pause = self._server.loop.later(seconds, self._continue)

    def _continue(self) -> None:
        self._pause = None
        self._server.handle(self._server.room.resume(self.number, self._server.loop.now))
        self._read_or_end()

    def _read_or_end(self) -> None:
        if self.departed:
            return
        self._wait(self._server.room.resume_delay(self.number, self._server.loop.now))
        if self._pause:
            return
        if self.connection.receiving is not Direction.OPEN:
            self._server.handle([Disconnect(self.number)])
        else:
            self._reader.resume()

    def held_up(self, limit: Limit) -> bool:
        return self._pause is not None  # it may have sent bytes that we have not read yet

    def over(self, limit: Limit | None) -> None:
        self.close_reason = _IDLE
        self.connection.close_lingering()

    def closing(self) -> None:
        """The member departs."""
        if self.connection.error and not self.close_reason:
            self.close_reason = _LOST
        if self._pause:
            self._pause.cancel()
        self._server.departed(self)

    def closed(self, result: Result) -> None:
        """Bytes that a member loses by its own reset are not reported as a problem."""
        unsent = 0 if result.error or result.failure else result.unsent
        why = self.close_reason if self.close_reason in _TOLD else ""
        closed = closed_event(self.connection, result, unsent, why)
        self._server.closed(closed, missed=bool(unsent) and not why)
