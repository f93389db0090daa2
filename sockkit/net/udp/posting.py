"""Standard input and output over one datagram socket: what UDP's client and server share.

In: a line without its end is a datagram, or standard input is cut at a size. Out: what was
received, as it came or as a line for each datagram.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.core.lines import Lines
from sockkit.errors import SendError, SockkitError, TextError
from sockkit.events import Emit, Exchanged, Failure, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop, Timer
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.udp.datagrams import LARGEST, DatagramOutbox, DatagramSocket, Received, segments
from sockkit.values import Value

HOLD = 0.01  # seconds in which a datagram that is not full may yet become so
EARLY = 1024 * 1024  # bytes that may be sent again when the first address refuses
EARLY_WAIT = 1.0  # seconds in which a refusal still concerns the first of them
TURNS = 64  # calls of the system for receiving, before the loop looks elsewhere


class PostOptions(Value):
    """With `pack` standard input is lines, and it makes a datagram of each (raises TextError).

    Without it is cut at `size` bytes; with `hold` a datagram that is not full waits a moment for
    the rest. `show` gives what is written for each datagram; without its bytes are. `first` and
    `last` are datagrams before and after all others. A line that is one of `quit_words` ends
    standard input.
    """

    size: int = LARGEST
    hold: bool = False
    pack: Callable[[bytes], bytes] | None = None
    show: Callable[[Peer, bytes], bytes] | None = None
    first: bytes | None = None
    last: bytes | None = None
    quit_words: tuple[bytes, ...] = ()


class Total:
    """Datagrams and their bytes."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def add(self, size: int, segment: int) -> None:
        self.count += max(-(-size // segment), 1)
        self.size += size


class Posting:
    """Owns neither the socket nor the standard streams. Errors of either leave the loop.

    `targets` are the addresses that standard input goes to, at the moment: it is not read
    while there are none, or while the system takes no more. `heard` is told of each receive
    and says from whom it is. `on_input_end` is called once, `on_fail` for each datagram that
    cannot be sent or received. `cut` and `unshown` count those that came in part or could
    not be decoded, `sent_at` is when the last one left, `output` what waits for standard output.
    """

    def __init__(
        self,
        loop: Loop,
        sock: DatagramSocket,
        stdio: Stdio,
        options: PostOptions,
        emit: Emit,
        *,
        targets: Callable[[], list[Any]],
        heard: Callable[[Received], Peer],
        on_input_end: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
    ) -> None:
        self.sent, self.received = Total(), Total()
        self._loop, self._socket, self._options, self._emit = loop, sock, options, emit
        self._input, self._targets, self._heard = stdio.input, targets, heard
        self._on_input_end, self._on_fail = on_input_end, on_fail
        self._on_typed: Callable[[bytes], None] | None = None
        self.output = ReceivedOutbox(stdio.output, on_empty=self.review)
        self._outgoing = self._outbox()
        self._early: list[tuple[bytes, int]] | None = None  # what may have to be sent again
        self._early_room, self._early_until = EARLY, 0.0
        self._lines = Lines(LARGEST)
        self._buffer = memoryview(bytearray(segments(options.size) * options.size))
        self._filled = 0
        self._timer: Timer | None = None
        self._input_ended = self._closing = False
        self.cut = self.unshown = 0  # datagrams
        self.sent_at = loop.now

    def start(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Send and receive from now on. With `on_typed` standard input goes there instead."""
        self._on_typed = on_typed
        if self._options.first is not None:
            self.post(self._options.first, self._targets(), LARGEST)
        self.review()

    def _outbox(self) -> DatagramOutbox:
        return DatagramOutbox(
            self._loop,
            self._socket,
            on_empty=self.review,
            on_fail=self._on_fail,
            on_sent=self._sent,
        )

    def remember(self) -> None:
        """Keep what is posted first, for `move`."""
        self._early, self._early_room = [], EARLY

    def move(self, other: Callable[[], DatagramSocket | None]) -> bool:
        """Use the `other` socket, and send by it what was sent by the first one in vain.

        False where there is no other, or where that is not known: something has come from the
        peer, or much was sent, or long ago.
        """
        if self._early is None or self._loop.now > self._early_until:
            return False
        self._outgoing.stop()
        self._loop.when_readable(self._socket.descriptor, None)
        sock = other()
        if not sock:
            return False
        self._socket, early = sock, self._early
        self._outgoing = self._outbox()
        self.remember()
        self.sent = Total()
        for data, size in early:
            self.post(data, self._targets(), size)
        self.review()
        return True

    def _remember(self, data: bytes | memoryview, size: int) -> None:
        if self._early is None:
            return
        if not self._early:
            self._early_until = self._loop.now + EARLY_WAIT
        self._early_room -= len(data) + 64  # an empty one is kept, too
        if self._early_room < 0 or self._loop.now > self._early_until:
            self._early = None
        else:
            self._early.append((bytes(data), size))

    def finish(self) -> None:
        """Take no more, and end the loop's run once everything taken is given."""
        self._closing = True
        self.review()

    def stop(self) -> None:
        self.finish()
        if self._timer:
            self._timer.cancel()
        self._outgoing.stop()
        self.output.stop()
        for direction, total in (("sent", self.sent), ("received", self.received)):
            self._emit(Exchanged(direction, total.count, total.size))

    @property
    def idle(self) -> bool:
        """Whether everything taken is given."""
        return not self._outgoing.waits and not self.output.size

    def review(self) -> None:
        """Wait for what can be gone on with. To be called when the targets have changed."""
        if self._closing and self.idle:
            self._loop.stop()
        reads = not self._input_ended and not self._closing
        if not self._on_typed:
            reads = reads and not self._outgoing.waits and bool(self._targets())
        receives = not self._closing and not self.output.size and not self._outgoing.waits
        self._input.when_readable(self._read if reads else None)
        self._loop.when_readable(self._socket.descriptor, self._receive if receives else None)

    # Standard input.

    def _read(self) -> None:
        ended = self._fill()
        data = self._buffer[: self._filled]
        self._filled = 0
        if self._on_typed:
            if data:
                self._on_typed(bytes(data))
            if ended:
                self._on_typed(b"")
        elif self._options.pack:
            lines = self._lines.feed(bytes(data)) + (self._lines.flush() if ended else [])
            for word in self._options.quit_words:
                if word in lines:
                    lines, ended = lines[: lines.index(word)], True
            self.post_lines(lines, self._targets())
        elif data:
            self._post_whole(data, ended)
        self._input_ended = ended
        self.review()
        if ended:
            if self._options.last is not None:
                self.post(self._options.last, self._targets(), LARGEST)
            self._on_input_end()

    def _post_whole(self, data: memoryview, ended: bool) -> None:
        """Send what makes whole datagrams, and in a while the rest."""
        if self._timer:
            self._timer.cancel()
        rest = len(data) % self._options.size if self._options.hold and not ended else 0
        if whole := data[: len(data) - rest]:
            self.post(whole, self._targets())
        self._buffer[:rest] = bytes(data[len(data) - rest :])
        self._filled = rest
        if rest:
            self._timer = self._loop.later(HOLD, self._post_rest)

    def _post_rest(self) -> None:
        data, self._filled = self._buffer[: self._filled], 0
        self.post(data, self._targets())

    def _fill(self) -> bool:
        """Read what there is, at most a call's worth of datagrams; whether that is all."""
        while self._filled < len(self._buffer):
            try:
                size = self._input.read_into(self._buffer[self._filled :])
            except BlockingIOError:
                return False
            if not size:
                return True
            self._filled += size
            if not self._input.never_waits:
                break
        return False

    def post_lines(self, lines: list[bytes], targets: list[Any]) -> None:
        """Send each of `lines` as a datagram."""
        assert self._options.pack
        for line in lines:
            try:
                self.post(_fitting(self._options.pack(line)), targets, LARGEST)
            except SockkitError as error:
                self._on_fail(error)

    def _sent(self, size: int, segment: int) -> None:
        self.sent.add(size, segment)
        self.sent_at = self._loop.now

    def post(self, data: bytes | memoryview, targets: list[Any], size: int | None = None) -> None:
        """Send datagrams of `size` bytes to each of `targets`. What has to wait is kept."""
        self._remember(data, size or self._options.size)
        for target in targets:
            self._outgoing.put(data, size or self._options.size, target)

    # The socket.

    def _receive(self) -> None:
        shown: list[bytes] = []
        size = 0
        failure: SockkitError | None = None
        for _ in range(TURNS):
            try:
                got = self._socket.receive()
            except BlockingIOError:
                break
            except SockkitError as error:
                failure = error
                break
            self._early = None
            peer = self._heard(got)
            self.received.add(len(got.data), got.size)
            if problem := got.cut(peer.address):
                self.cut += 1
                self._emit(Failure(problem, "a datagram was cut"))
            if self._options.show:
                shown += self._shown(peer, got)
                size += len(got.data)
            else:
                self.output.put_received(got.data, len(got.data))
            if self.output.size or self._outgoing.waits:
                break
        self.output.put_received(b"".join(shown), size)
        if failure:
            self._on_fail(failure)
        if self.output.size or self._outgoing.waits:
            self.review()

    def _shown(self, peer: Peer, got: Received) -> list[bytes]:
        """What there is to see of each datagram; one that cannot be decoded is told of."""
        assert self._options.show
        lines: list[bytes] = []
        for datagram in got.datagrams():
            try:
                lines.append(self._options.show(peer, datagram))
            except TextError as error:
                self.unshown += 1
                told = f"a datagram from {peer.address} is not shown: {error}"
                self._emit(Failure(told, "a datagram is not shown"))
        return lines


def _fitting(datagram: bytes) -> bytes:
    if len(datagram) > LARGEST:
        raise SendError(
            f"a line of {len(datagram):,} bytes does not fit a datagram, which has "
            f"{LARGEST:,} at most"
        )
    return datagram
