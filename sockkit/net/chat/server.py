"""The server of a chat room: it moves the bytes, `core.chat.room.Room` has the rules.

Nobody waits for anybody: what one turn of the loop has for a member goes out in one send,
what its connection does not take waits in its outbox, and a member whose outbox grows past
OUTBOX is dropped. A member that sends faster than the room's limit is read as slowly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate

from sockkit.core.chat.door import PASSWORD_SECONDS
from sockkit.core.chat.outcome import Admitted, Gone, Out, Outcome
from sockkit.core.chat.room import Room
from sockkit.errors import SendError, SockkitError
from sockkit.events import Closed, Emit
from sockkit.net.chat.crowd import CrowdClock
from sockkit.net.chat.member import MAX_OUTBOX, MAX_RECEIVE, Member
from sockkit.net.closing import Closer
from sockkit.net.ends.end import End
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.outbox import LineOutbox
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value

MARK_WAIT = 0.3  # seconds it is waited for, where others speak another
UNNAMED = 0.2  # seconds a newcomer has to say a name before others are told of it


class ChatOptions(Value):
    """`size` is the most bytes one receive takes.

    `encoding` is what members speak, and `client_encoding`, where given, what those do who do
    not begin with MARK. `kept` is told of each line worth keeping, `shown` makes what the
    operator sees of whole lines.
    """

    size: int = MAX_RECEIVE
    encoding: str = "utf-8"
    client_encoding: str | None = None
    kept: Callable[[str], None] | None = None
    shown: Callable[[str], bytes] = str.encode


class ChatServer:
    """Owns its members; listener and standard streams are closed elsewhere.

    `quit` closes the room once all have what was said.
    """

    def __init__(
        self,
        loop: Loop,
        listener: Listener,
        room: Room,
        stdio: Stdio,
        options: ChatOptions,
        emit: Emit,
    ) -> None:
        self.loop, self.room, self.options, self.emit = loop, room, options, emit
        self.buffer = memoryview(bytearray(options.size))
        self.closer = Closer(loop)
        self._listener, self._stdio = listener, stdio
        self._members: dict[int, Member] = {}
        self._turn: list[Out] = []
        self._crowd = CrowdClock[Out](
            loop, lambda lines: self.handle(out._replace(move=None) for out in lines), Out
        )
        self._leaving: list[Member] = []
        self._missed = 0
        self._quitting = self._closing = False
        self._output = LineOutbox(
            stdio.output, MAX_OUTBOX, on_empty=self._review_quit, on_fail=self._output_failed
        )

    def run(self, on_typed: Callable[[bytes], None]) -> None:
        """Serve until `quit`, or until something raises: a signal.

        `on_typed` is given what is typed, and nothing for its end.
        """
        try:
            self._stdio.output.when_gone(self._output_failed)
            self._listener.accept(self._join)
            self._stdio.input.feed(on_typed)
            self.loop.run()
            if self._missed:
                raise SendError(
                    f"part of what was said did not reach {self._missed} of the members"
                )
        except SockkitError as error:
            error.so_far = self._output.lost()
            raise
        finally:
            self._quitting = True
            self._listener.close()
            for member in list(self._members.values()):
                member.close()
            self.closer.stop()
            self._output.stop()

    # Members.

    def _join(self, end: End) -> None:
        self.closer.make_space()
        member = Member(self, end)
        if self.options.client_encoding:
            member.timers["mark"] = self.loop.later(MARK_WAIT, lambda: self.admit(member))
        else:
            self.admit(member)
        member.start()

    def admit(self, member: Member) -> None:
        """Let a connection in: it speaks what it has shown to speak."""
        if member.departed or member.number in self._members:
            return
        if self._closing:
            member.close()
            return
        self._members[member.number] = member
        self.handle(self.room.join(member.number, self.loop.now, member.peer.address))
        if member.departed:
            return
        room, number, later = self.room, member.number, self.loop.later
        member.timers["name"] = later(UNNAMED, lambda: self.handle(room.introduce(number)))
        member.timers["password"] = later(
            PASSWORD_SECONDS, lambda: self.handle(room.expire(number))
        )

    def departed(self, member: Member) -> None:
        """A member is one no longer; its connection may still be closing."""
        for timer in member.timers.values():
            timer.cancel()
        if self._members.pop(member.number, None) and not self._quitting:
            self.handle(self.room.leave(member.number, member.closed_for))

    def closed(self, closed: Closed, *, missed: bool) -> None:
        """A connection is over; `missed` is whether we let it go with words on their way."""
        self.emit(closed)
        self._missed += self._closing and missed
        self._listener.resume()
        self.loop.call_soon(self._review_quit)

    def handle(self, events: Iterable[Outcome]) -> None:
        """Take what the room says; it is delivered at the end of the turn."""
        for event in events:
            if isinstance(event, Out):
                if event.move and self._crowd.holds(event, event.move):
                    continue
                if not self._turn:
                    self.loop.call_soon(self._deliver)
                self._turn.append(event)
            elif member := self._members.get(event.member):  # type: ignore[call-overload]
                if isinstance(event, Gone):
                    self._leaving.append(member)
                else:
                    self._greet(member, event)
        if self._leaving and not self._turn:
            self.loop.call_soon(self._deliver)

    def _greet(self, member: Member, event: Admitted) -> None:
        """From here on it hears what is for all. Newcomers share what was said before."""
        if any(out.to == member.number for out in self._turn):
            self._deliver()
        encoding = member.encoding
        greeting = "".join([f"{line}\n" for line in event.greeting])
        member.send(greeting.encode(encoding, "backslashreplace"))
        for block in event.past:
            member.send(block.encoded(encoding))
        member.since = len(self._turn)

    def _deliver(self) -> None:
        turn, self._turn = self._turn, []
        leaving, self._leaving = self._leaving, []
        if not (turn or leaving):
            return  # a newcomer's greeting has come first, and took them along
        special: defaultdict[Hashable, list[int]] = defaultdict(list)
        for index, out in enumerate(turn):
            special[out.author if out.to is None else out.to].append(index)
        rendered: dict[str, _Rendered] = {}
        for member in list(self._members.values()):
            if member.encoding not in rendered:
                rendered[member.encoding] = _Rendered(turn, member.encoding)
            lines = rendered[member.encoding]
            if member.number in special or member.since:
                member.send(lines.of(member, special.get(member.number, ())))
                member.since = 0 if member.since < math.inf else math.inf
            else:
                member.send(lines.public)
        self._show(turn)
        for member in leaving:
            member.leave()

    # The operator.

    def _show(self, turn: list[Out]) -> None:
        if kept := self.options.kept:
            for out in turn:
                for line in out.lines if out.said else ():
                    kept(line)
        text = "".join([f"{out.text}\n" for out in turn if out.to is None])
        self._output.put_lines(lambda: self.options.shown(text), text.count("\n"))

    def _output_failed(self, error: SockkitError) -> None:
        if not self._quitting:
            raise error

    def quit(self) -> None:
        self._listener.close()
        self._closing = True
        self.handle(Gone(number) for number in list(self._members))
        self.loop.call_soon(self._review_quit)

    def _review_quit(self) -> None:
        connected = self._members or len(self.closer)
        if self._closing and not connected and not self._turn and not self._output.size:
            self.loop.stop()


class _Rendered:
    """A turn's lines in one encoding. `public` are those for all."""

    def __init__(self, turn: list[Out], encoding: str) -> None:
        self._turn = turn
        self._lines = [f"{out.text}\n".encode(encoding, "backslashreplace") for out in turn]
        each = [
            line if out.to is None else b"" for out, line in zip(turn, self._lines, strict=True)
        ]
        self.public = b"".join(each)
        self._places = [0, *accumulate(map(len, each))]  # in `public`, of each line of the turn

    def of(self, member: Member, special: Sequence[int]) -> bytes:
        """What `member` hears; `special` are the places of the lines by it, or for it alone."""
        end = len(self._turn)
        place = self._places[end if member.since > end else int(member.since)]
        pieces: list[bytes] = []
        for index in special:
            pieces.append(self.public[place : self._places[index]])
            place = max(place, self._places[index + 1])
            if self._turn[index].to is not None:
                pieces.append(self._lines[index])
        return b"".join(pieces) + self.public[place:]
