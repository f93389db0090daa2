"""The server of a chat room. It moves the bytes; `core.chat.room.Room` has the rules.

No member waits for another. All lines that one turn of the loop has for a member go out in one
send. Bytes that its connection does not accept wait in its outbox; if that grows beyond
MAX_OUTBOX_BYTES, the member is dropped. If a member sends faster than the room allows, we read it
more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto

from sockkit.core.chat.actions import OPERATOR, Action, Deliver, Disconnect
from sockkit.core.chat.admission import PASSWORD_SECONDS
from sockkit.core.chat.room import Room
from sockkit.errors import SendError, SockkitError
from sockkit.events import Closed, Named, Peer
from sockkit.net.chat.fanout import Fanout
from sockkit.net.chat.member import MAX_OUTBOX_BYTES, MAX_RECEIVE_BYTES, Member
from sockkit.net.chat.presence import PresenceClock
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.outbox import LineOutbox
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value

MARK_WAIT_SECONDS = 0.3  # wait for the mark of chat join, if other clients have another encoding
NAME_WAIT_SECONDS = 0.2  # a newcomer has so long to send its name, before it becomes a guest


class ChatOptions(Value):
    """`encoding` is the encoding of the members.

    `client_encoding`, if given, is for members that do not begin with MARK. `kept` is called with
    each line for the history file. `shown` converts lines for the operator. A member is dropped
    after `idle` seconds without a byte in either direction.
    """

    sockets: SocketOptions = SocketOptions()
    encoding: str = "utf-8"
    client_encoding: str | None = None
    kept: Callable[[str], None] | None = None
    shown: Callable[[str], bytes] = str.encode
    idle: float | None = None


class _State(Enum):
    OPEN = auto()
    CLOSING = auto()  # `quit` was called: members still get all lines from before
    STOPPED = auto()


class ChatServer:
    """Owns its members, but neither the listener nor the standard streams.

    `quit` ends the run once all members have received all lines.
    """

    def __init__(
        self, context: Context, listener: Listener, room: Room, options: ChatOptions
    ) -> None:
        self._context, self._listener = context, listener
        self.loop, self.room, self.options = context.loop, room, options
        self.buffer = memoryview(bytearray(options.sockets.buffer_size or MAX_RECEIVE_BYTES))
        self.closer = Closer(context.loop)
        self._connected: set[Member] = set()  # members, and connections that are not admitted yet
        self._members: dict[int, Member] = {}
        self._fanout = Fanout(context.loop, self._members, self._show)
        self._presence = PresenceClock[Deliver](
            context.loop,
            lambda lines: self.handle(out._replace(presence=None) for out in lines),
            Deliver,
        )
        self._state = _State.OPEN
        self._missed = 0  # members that did not get everything before the end
        self._output = LineOutbox(
            context.stdio.output,
            MAX_OUTBOX_BYTES,
            on_empty=self._review_quit,
            on_fail=self._output_failed,
        )

    def run(self, on_typed: Callable[[bytes], None]) -> None:
        """Serve until `quit`. Raises SockkitError, also for a signal.

        `on_typed` is called with the bytes that the operator types, and with b"" at their end.
        """
        try:
            self._context.stdio.output.when_gone(self._output_failed)
            self._listener.accept(self._join)
            self._context.stdio.input.deliver_to(on_typed)
            self.loop.run()
            if self._missed:
                raise SendError(f"{_members(self._missed)} did not receive every line")
        except SockkitError as error:
            error.so_far = self._output.lost()
            raise
        finally:
            self._state = _State.STOPPED
            self._listener.close()
            for member in list(self._connected):
                member.connection.close()
            self.closer.close_all()
            self._output.stop()

    # Members.

    def _join(self, end: End) -> None:
        self.closer.make_space()
        member = Member(self, end)
        self._connected.add(member)
        if self.options.client_encoding:
            member.timers["mark"] = self.loop.later(MARK_WAIT_SECONDS, lambda: self.admit(member))
        else:
            self.admit(member)
        member.start()

    def admit(self, member: Member) -> None:
        """Make the connection a member. Call it when its encoding is known."""
        if member.departed or member.number in self._members:
            return
        if self._state is _State.CLOSING:
            member.connection.close()
            return
        self._members[member.number] = member
        self.handle(self.room.join(member.number, self.loop.now, member.peer.address))
        if member.departed:
            return
        room, number, later = self.room, member.number, self.loop.later
        if room.holds(number):
            self._fanout.hold(member)
        waited = member.connection.seconds  # for the mark
        member.timers["name"] = later(
            max(0.0, NAME_WAIT_SECONDS - waited), lambda: self.introduce(member)
        )
        member.timers["password"] = later(
            PASSWORD_SECONDS, lambda: self.handle(room.expire(number))
        )

    def introduce(self, member: Member) -> None:
        self.handle(self.room.introduce(member.number))

    def departed(self, member: Member) -> None:
        """A member has departed. Its connection may still be closing."""
        self._connected.discard(member)
        for timer in member.timers.values():
            timer.cancel()
        if self._members.pop(member.number, None) and self._state is not _State.STOPPED:
            self.handle(self.room.leave(member.number, member.close_reason))

    def closed(self, closed: Closed, *, missed: bool) -> None:
        """A connection is closed. `missed` is True if it did not get everything."""
        self._context.emit(closed)
        self._missed += missed and self._state is _State.CLOSING
        self._listener.released()
        self.loop.call_soon(self._review_quit)

    def handle(self, events: Iterable[Action]) -> None:
        """Handle what the room's rules return. Lines are delivered at the end of the turn."""
        for event in events:
            if isinstance(event, Deliver):
                if event.presence and self._presence.hold_back(event, event.presence):
                    continue
                self._fanout.put(event)
            elif member := self._members.get(event.member):  # type: ignore[call-overload]
                if isinstance(event, Disconnect):
                    self._fanout.close(member)
                else:
                    self._context.emit(Named(member.peer, event.name))
                    self._fanout.greet(member, event)

    # The operator.

    def _show(self, outs: list[Deliver]) -> None:
        if kept := self.options.kept:
            for out in outs:
                for line in out.lines if out.said else ():
                    kept(line)
        text = "".join([f"{out.text}\n" for out in outs if out.to in (None, OPERATOR)])
        self._output.put_lines(lambda: self.options.shown(text), text.count("\n"))

    def _output_failed(self, error: SockkitError) -> None:
        if self._state is not _State.STOPPED:
            raise error

    def peers(self) -> list[tuple[Peer, str]]:
        """Each connection, with its name and how much was sent and received."""
        return [(member.peer, self._about(member)) for member in self._members.values()]

    def _about(self, member: Member) -> str:
        name = self.room.name(member.number) or "(no name yet)"
        return f"{name}: {member.connection.totals}"

    def quit(self) -> None:
        self._listener.close()
        self._state = _State.CLOSING
        for number in list(self._members):
            self.handle(self.room.admit(number))
        self.handle(Disconnect(number) for number in list(self._members))
        self.loop.call_soon(self._review_quit)

    def _review_quit(self) -> None:
        waits = self._members or len(self.closer) or self._fanout.waits or self._output.size
        if self._state is _State.CLOSING and not waits:
            self.loop.stop()


def _members(count: int) -> str:
    return f"{count:,} members" if count > 1 else "1 member"
