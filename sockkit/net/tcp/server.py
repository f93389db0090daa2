"""A server of many: standard input to all clients, what they send to standard output.

What keeps memory bounded: standard input is read only while nobody's outbox waits, a client
is read only while standard output and its own outbox take what comes of it, and a client
whose outbox waits too long is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.lines import Merger
from sockkit.core.text import Transform
from sockkit.core.units import show_size
from sockkit.errors import OutputGone, SendError, SockkitError, TextError, raise_lost
from sockkit.events import Emit, Failure, Peer
from sockkit.net.closing import Closings
from sockkit.net.ends.socket_end import Stream
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.tcp.client import Member, MemberOptions
from sockkit.net.tcp.listen import Listener
from sockkit.values import Value

CHUNK = 64 * 1024  # most bytes one receive takes, and so most that wait for a client
LINE_PATIENCE = 1.0  # seconds a client may pause in a line before the line is written anyway
LINE_PATIENCE_TERMINAL = 0.1  # the same where somebody is looking


class HubOptions(Value):
    """`shared` is what standard input passes once, before the members' own transforms;
    `greet` and `reply` are as if they had passed it. `label` begins a peer's lines.
    """

    members: MemberOptions
    shared: Transform | None = None
    greet: bytes = b""
    reply: bytes = b""
    label: Callable[[Peer], bytes] = lambda _: b""
    size: int | None = None


class Hub:
    """Owns its members; the listener and the standard streams are closed elsewhere."""

    def __init__(
        self, loop: Loop, listener: Listener, stdio: Stdio, options: HubOptions, emit: Emit
    ) -> None:
        self.loop = loop
        self.buffer = memoryview(bytearray(min(options.size or CHUNK, CHUNK)))
        self._listener, self._stdio, self._options = listener, stdio, options
        self._emit = emit
        self.closings = Closings(loop)
        self._members: dict[int, Member] = {}
        self._leaving: set[Member] = set()  # those that are being closed
        self._busy: set[Member] = set()
        self._input_ended = self._closing = self._quitting = False
        self._missed = 0  # clients that part of the input did not reach
        self._refused = 0  # parts of the input that could not be encoded
        self._undecoded = 0  # clients that sent what could not be decoded
        self._on_typed: Callable[[bytes], None] | None = None
        self._merger = Merger()
        self._pausing: set[Member] = set()  # members whose unfinished line has a timer
        self._patience = LINE_PATIENCE_TERMINAL if stdio.output.terminal else LINE_PATIENCE
        self._output = ReceivedOutbox(
            loop, stdio.output, on_empty=self._output_empty, on_fail=self._output_failed
        )

    def run(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Serve until `quit`, or until something raises: a signal, an output that is full.

        With `on_typed` standard input goes there instead of to the clients.
        """
        try:
            self._on_typed = on_typed
            self._watch_input()
            self._stdio.output.watch(self.loop)
            self._listener.accept(self._join)
            self.loop.run()
            self._raise_lost()
        except OutputGone:
            raise
        except SockkitError as error:
            members = (*self._members.values(), *self._leaving)
            unsent = sum(member.unsent for member in members)
            lost = [f"{show_size(unsent)} of the input not sent"] if unsent else []
            self._close()
            error.so_far = ", ".join([*lost, *filter(None, [self._output.lost()])])
            raise
        finally:
            self._close()

    def _close(self) -> None:
        """Close all there is; what clients have not finished is still written."""
        self._closing = True
        self._listener.close()
        for member in list(self._members.values()):
            member.close()
        self.closings.stop()
        self._output.stop()

    def _raise_lost(self) -> None:
        raise_lost(
            (self._missed, "part of the input did not reach {} of the clients", SendError),
            (self._refused, "part of the input could not be encoded", TextError),
            (self._undecoded, "what {} of the clients sent could not be decoded", TextError),
        )

    def _join(self, stream: Stream) -> None:
        self.closings.make_room()
        member = Member(self, stream, self._options.members, self._emit)
        self._members[member.peer.number] = member
        if self._input_ended:
            member.end_input()
        member.resume()
        member.send(self._options.greet)
        self._watch_input()

    # What the operator's console needs.

    def peers(self) -> list[tuple[Peer, str]]:
        return [(member.peer, member.totals) for member in list(self._members.values())]

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        members = list(self._members.values()) if number is None else [self._members[number]]
        self._send(data, members, raw=raw, whole=True)

    def kick(self, number: int) -> None:
        self._members[number].leave()

    def quit(self) -> None:
        """End `run` once everything taken is delivered; nothing more is taken."""
        self._quitting = True
        self._listener.close()
        self._watch_input()
        for member in list(self._members.values()):
            member.leave()
        self._review_quit()

    def _review_quit(self) -> None:
        if self._quitting and not (self._members or self._leaving or self._output.size):
            self.loop.stop()

    # What members tell.

    def room(self) -> bool:
        return not self._output.size and not self._quitting

    def arrived(self, member: Member, data: bytes) -> None:
        if not data:
            return
        received = self._merger.holds(member) + len(data)
        out = self._merger.feed(member, self._options.label(member.peer), data)
        self._output.put_received(out, received - self._merger.holds(member))
        if self._merger.holds(member) and member not in self._pausing:
            self._pausing.add(member)
            self.loop.later(self._patience, lambda: self._release(member))
        if self._options.reply:
            member.send(self._options.reply, whole=True)

    def busy(self, member: Member, waits: bool) -> None:
        if waits:
            self._busy.add(member)
        else:
            self._busy.discard(member)
        self._watch_input()

    def held_up(self) -> bool:
        return bool(self._busy)

    def left(self, member: Member) -> None:
        self._members.pop(member.peer.number, None)
        self._leaving.add(member)
        held = self._merger.holds(member)
        out = self._merger.end(member, self._options.label(member.peer))
        self._output.put_received(out, held)
        self.busy(member, False)

    def closed(self, member: Member) -> None:
        self._missed += bool(member.unsent)
        self._undecoded += member.undecoded
        self._leaving.discard(member)
        self._review_quit()
        self._listener.resume()

    def _release(self, member: Member) -> None:
        """Write the line a member has not finished, once it has paused for long enough."""
        self._pausing.discard(member)
        if not self._merger.holds(member):
            return
        paused_since = member.last_received
        if self.loop.now < paused_since + self._patience:
            self._pausing.add(member)
            self.loop.at(paused_since + self._patience, lambda: self._release(member))
        else:
            held = self._merger.holds(member)
            out = self._merger.release(member, self._options.label(member.peer))
            self._output.put_received(out, held)

    def _output_empty(self) -> None:
        self._review_quit()
        for member in self._members.values():
            member.resume()

    def _output_failed(self, error: SockkitError) -> None:
        if not self._closing:  # then what ends the run is already on its way
            raise error

    # Standard input.

    def _watch_input(self) -> None:
        wanted = self._on_typed or (self._members and not self._busy)
        wanted = wanted and not self._input_ended and not self._quitting
        self.loop.when_readable(self._stdio.input.descriptor, self._read_input if wanted else None)

    def _read_input(self) -> None:
        try:
            size = self._stdio.input.read_into(self.buffer)
        except BlockingIOError:
            return
        data = bytes(self.buffer[:size])
        if self._on_typed:
            self._on_typed(data)
        else:
            self._send(data, list(self._members.values()))
        if not size:
            self._end_input()

    def _send(
        self, data: bytes, members: list[Member], *, raw: bool = False, whole: bool = False
    ) -> None:
        """Send part of the input, or with no `data` what its end releases."""
        problems = []
        if (shared := self._options.shared) and not raw:
            try:
                data = shared.feed(data) if data else shared.flush()
            except TextError as error:
                data = b"" if whole else error.before
                problems.append(str(error))
        for member in members:
            try:
                member.send(data, raw=raw, whole=whole)
            except TextError as error:
                problems.append(str(error))
        for problem in dict.fromkeys(problems):
            self._refused += 1
            self._emit(Failure(f"part of the input was not sent: {problem}"))

    def _end_input(self) -> None:
        self._input_ended = True
        self._watch_input()
        for member in list(self._members.values()):
            member.end_input()
