"""The server of a chat room: it moves the bytes, `core.chat.Room` has the rules.

Nobody waits for anybody: what one turn of the loop has for a member goes out in one send,
what its connection does not take waits in its outbox, and a member whose outbox grows past
OUTBOX is dropped. A member that sends faster than the room's limit is read as slowly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from itertools import accumulate

from sockkit.core.chat import PASSWORD_WAIT, Admitted, Gone, Out, Outcome, Room
from sockkit.core.chat_lines import MARK
from sockkit.core.telnet import IAC, Telnet
from sockkit.core.text import TextOptions, Transcoder
from sockkit.core.units import show_size
from sockkit.errors import SendError, SockkitError
from sockkit.events import Closed, Emit, Peer
from sockkit.net.chat.crowd import CrowdClock
from sockkit.net.closing import Closings, close_now
from sockkit.net.coalesce import PAUSE, Gather
from sockkit.net.ends.socket_end import Stream
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import LineOutbox, Outbox
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value

OUTBOX = 4 * 1024 * 1024  # most bytes that wait for a member
RECEIVE = 64 * 1024  # bytes of one receive
TELNET = 16 * 1024  # of one after a telnet client's commands, which take longer than text
MARK_WAIT = 0.3  # seconds it is waited for, where others speak another
_LOST, _TOO_SLOW = "connection lost", "too slow"
UNNAMED = 0.2  # seconds a newcomer has to say a name before others are told of it


class ChatOptions(Value):
    """`size` is the most bytes one receive takes.

    `encoding` is what members speak, and `client_encoding`, where given, what those do who do
    not begin with MARK. `kept` is told of each line worth keeping, `shown` makes what the
    operator sees of whole lines.
    """

    size: int = RECEIVE
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
        self.closings = Closings(loop)
        self._listener, self._stdio = listener, stdio
        self._members: dict[int, _Member] = {}
        self._turn: list[Out] = []
        self._crowd = CrowdClock[Out](
            loop, lambda lines: self.handle(out._replace(move=None) for out in lines), Out
        )
        self._leaving: list[_Member] = []
        self._missed = 0
        self._quitting = self._closing = False
        self._output = LineOutbox(
            loop, stdio.output, OUTBOX, on_empty=self._review_quit, on_fail=self._output_failed
        )

    def run(self, on_typed: Callable[[bytes], None]) -> None:
        """Serve until `quit`, or until something raises: a signal.

        `on_typed` is given what is typed, and nothing for its end.
        """
        try:
            self._stdio.output.watch(self.loop)
            self._listener.accept(self._join)
            self._stdio.input.give(self.loop, on_typed)
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
            self.closings.stop()
            self._output.stop()

    # Members.

    def _join(self, stream: Stream) -> None:
        self.closings.make_room()
        member = _Member(self, stream)
        if self.options.client_encoding:
            member.timers["mark"] = self.loop.later(MARK_WAIT, lambda: self.admit(member))
        else:
            self.admit(member)
        member.resume()

    def admit(self, member: _Member) -> None:
        """Let a connection in: it speaks what it has shown to speak."""
        if member.closed or member.number in self._members:
            return
        if self._closing:
            member.close()
            return
        self._members[member.number] = member
        self.handle(self.room.join(member.number, self.loop.now, member.peer.address))
        if member.closed:
            return
        room, number, later = self.room, member.number, self.loop.later
        member.timers["name"] = later(UNNAMED, lambda: self.handle(room.introduce(number)))
        member.timers["password"] = later(PASSWORD_WAIT, lambda: self.handle(room.expire(number)))

    def left(self, member: _Member, why: str) -> None:
        """A member is one no longer; its connection may still be closing."""
        for timer in member.timers.values():
            timer.cancel()
        if self._members.pop(member.number, None) and not self._quitting:
            self.handle(self.room.leave(member.number, why))

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

    def _greet(self, member: _Member, event: Admitted) -> None:
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
        lines = [out.line for out in turn if out.to is None]
        if kept := self.options.kept:
            for out in turn:
                if out.said:
                    kept(out.line)
        text = "".join([f"{line}\n" for line in lines])
        self._output.put_lines(lambda: self.options.shown(text), len(lines))

    def _output_failed(self, error: SockkitError) -> None:
        if not self._quitting:
            raise error

    def quit(self) -> None:
        self._listener.close()
        self._closing = True
        self.handle(Gone(number) for number in list(self._members))
        self.loop.call_soon(self._review_quit)

    def _review_quit(self) -> None:
        connected = self._members or len(self.closings)
        if self._closing and not connected and not self._turn and not self._output.size:
            self.loop.stop()


class _Rendered:
    """A turn's lines in one encoding. `public` are those for all."""

    def __init__(self, turn: list[Out], encoding: str) -> None:
        self._turn = turn
        self._lines = [f"{out.line}\n".encode(encoding, "backslashreplace") for out in turn]
        each = [
            line if out.to is None else b"" for out, line in zip(turn, self._lines, strict=True)
        ]
        self.public = b"".join(each)
        self._places = [0, *accumulate(map(len, each))]  # in `public`, of each line of the turn

    def of(self, member: _Member, special: Sequence[int]) -> bytes:
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


class _Member:
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
