"""Sends standard input as datagrams: one for each line, or cut at a size."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from sockkit.core.lines import LineSplitter
from sockkit.errors import SendError, SockkitError
from sockkit.net.context import Context
from sockkit.net.loop import Timer
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramOutbox, DatagramSocket, segments

if TYPE_CHECKING:
    from sockkit.net.udp.exchange import Handler, Messages

HOLD_SECONDS = 0.01  # a datagram that is not full waits so long for more input
MAX_RESENT_BYTES = 1024 * 1024  # kept, to be resent if the first address refuses
KEPT_OVERHEAD_BYTES = 64  # counted for each datagram that is kept, besides its data
REFUSAL_SECONDS = 1.0  # a refusal within this time is about the first datagrams


# A line may be longer than its datagram: \U00000041 is 10 bytes for 1. No notation takes more.
MAX_LINE_BYTES = 10 * MAX_PAYLOAD_BYTES


class Total:
    """Counts datagrams and their bytes, and the time from the first to the last."""

    def __init__(self) -> None:
        self.count = self.size = 0
        self._first = self._last = 0.0

    @property
    def seconds(self) -> float:
        return self._last - self._first

    def add(self, size: int, segment: int, now: float) -> None:
        """Count `size` bytes in datagrams of `segment` bytes; the last may be shorter."""
        if not self.count:
            self._first = now
        self._last = now
        self.count += max(-(-size // segment), 1)
        self.size += size


class FirstDatagrams:
    """Keeps all datagrams sent, as long as a refusal means that none has arrived. No I/O."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, int]] = []  # data, and the size of its datagrams
        self._space = MAX_RESENT_BYTES
        self._until = 0.0

    def keep(self, data: bytes | memoryview, size: int, now: float) -> bool:
        """Keep datagrams. False if they are too many or too late: then `kept` is incomplete."""
        if not self.kept:
            self._until = now + REFUSAL_SECONDS
        self._space -= len(data) + KEPT_OVERHEAD_BYTES
        if self._space < 0 or not self.may_be_sent_again(now):
            return False
        self.kept.append((bytes(data), size))
        return True

    def may_be_sent_again(self, now: float) -> bool:
        return now <= self._until


class DatagramSender:
    """Sends datagrams and counts them. `outbox` holds those that wait for the system.

    `sent_at` is the time when the last one was sent. The handler gets all errors.
    """

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        messages: Messages,
        handler: Handler,
        on_empty: Callable[[], None],
    ) -> None:
        self.total = Total()
        self.sent_at = context.loop.now
        self._loop, self._messages, self._handler = context.loop, messages, handler
        self._first: FirstDatagrams | None = None
        self.outbox = DatagramOutbox(
            sock, on_empty=on_empty, on_fail=handler.failed, on_sent=self._sent
        )

    def _sent(self, size: int, segment: int) -> None:
        self.total.add(size, segment, self._loop.now)
        self.sent_at = self._loop.now

    def send(self, data: bytes | memoryview, size: int, targets: list[Any]) -> None:
        """Send `data` to each target, in datagrams of `size` bytes; the last may be shorter."""
        if self._first and not self._first.keep(data, size, self._loop.now):
            self._first = None
        for target in targets:
            self.outbox.put(data, size, target)

    def send_lines(self, lines: list[bytes], targets: list[Any]) -> None:
        """Send each of `lines` as a datagram, unless the messages skip it."""
        for line in lines:
            if self._messages.skips(line):
                continue
            try:
                datagram = _fitting(self._messages.pack(_whole(line)))
            except SockkitError as error:
                self._handler.failed(error)
            else:
                self.send(datagram, MAX_PAYLOAD_BYTES, targets)

    def keep_first(self) -> None:
        """From now on keep the datagrams, for `resend`."""
        self._first = FirstDatagrams()

    def forget_first(self) -> None:
        """The peer has answered: the datagrams will not be resent."""
        self._first = None

    def can_resend(self) -> bool:
        """Whether all datagrams are kept: they were few, and sent not long ago."""
        return bool(self._first and self._first.may_be_sent_again(self._loop.now))

    def resend(self, sock: DatagramSocket, targets: list[Any]) -> None:
        """Send through `sock` from now on. First resend the datagrams that were refused."""
        assert self._first
        kept = self._first.kept
        self.outbox.use(sock)
        self.keep_first()
        self.total = Total()
        for data, size in kept:
            self.send(data, size, targets)


def _whole(line: bytes) -> bytes:
    """`line`, if it is complete. Raises SendError if the line splitter has cut it."""
    if len(line) > MAX_LINE_BYTES:
        raise SendError(
            f"a line of more than {MAX_LINE_BYTES:,} bytes does not fit in a datagram", "split it"
        )
    return line


def _fitting(datagram: bytes) -> bytes:
    if len(datagram) > MAX_PAYLOAD_BYTES:
        raise SendError(
            f"a line of {len(datagram):,} bytes does not fit in a datagram "
            f"(at most {MAX_PAYLOAD_BYTES:,} bytes)",
            "split it",
        )
    return datagram


class InputState(Enum):
    """The state of standard input."""

    OPEN = auto()
    CONSOLE = auto()  # the operator's console gets it
    HELD = auto()  # it waits while a file is sent
    ENDED = auto()


class InputReader:
    """Reads standard input and sends it. `on_change` is called when it ends or has to wait.

    Input that is not lines is cut into datagrams of `buffer_size` bytes, which a peer with the same
    buffer size receives whole. One that is not full waits HOLD_SECONDS for the rest. `size` is the
    most bytes of a datagram.
    """

    def __init__(
        self,
        context: Context,
        messages: Messages,
        handler: Handler,
        sender: DatagramSender,
        buffer_size: int | None,
        on_change: Callable[[], None],
    ) -> None:
        self._loop, self._input = context.loop, context.stdio.input
        self._messages, self._handler, self._sender = messages, handler, sender
        self._on_change = on_change
        self._state = InputState.OPEN
        self._cuts = buffer_size is not None
        self.size = min(buffer_size or MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
        self._buffer = memoryview(bytearray(segments(self.size) * self.size))
        self._filled = 0
        self._lines = LineSplitter(MAX_LINE_BYTES)
        self._timer: Timer | None = None

    def start(self, on_typed: Callable[[bytes], None] | None) -> None:
        """Send `hello`, and start reading. With `on_typed`, that gets the input; b"" is its end."""
        if self._messages.hello is not None:
            self._sender.send(self._messages.hello, MAX_PAYLOAD_BYTES, self._handler.targets())
        self.release(on_typed)

    def hold(self) -> None:
        """Read nothing until `release`."""
        if self._state is not InputState.ENDED:
            self._state = InputState.HELD
            self._input.when_readable(None)

    def release(self, on_typed: Callable[[bytes], None] | None) -> None:
        """Read standard input again. With `on_typed`, that gets the input."""
        if self._state is InputState.ENDED:
            return
        self._state = InputState.CONSOLE if on_typed else InputState.OPEN
        if on_typed:
            self._input.deliver_to(on_typed)

    def review(self) -> None:
        """Read, if there are targets and nothing waits to be sent."""
        if self._state is InputState.CONSOLE:
            return  # the console reads it all the time
        reads = self._state is InputState.OPEN and not self._sender.outbox.waits
        reads = reads and bool(self._handler.targets())
        self._input.when_readable(self._read if reads else None)

    def finish(self) -> None:
        """Read no more."""
        self._state = InputState.ENDED
        self._input.when_readable(None)

    def stop(self) -> None:
        """Drop the datagram that is not full."""
        if self._timer:
            self._timer.cancel()

    def _read(self) -> None:
        ended = self._fill()
        data, self._filled = self._buffer[: self._filled], 0
        if self._messages.packs:
            ended = self._send_lines(bytes(data), ended)
        elif data:
            self._send_whole(data, ended)
        if ended:
            self._end()
        elif self._sender.outbox.waits:
            self._on_change()

    def leave(self) -> None:
        """Read no more, and send `good_bye` if the input has not ended."""
        if self._state is InputState.ENDED:
            return
        self.finish()
        if self._messages.good_bye is not None:
            self._sender.send(self._messages.good_bye, MAX_PAYLOAD_BYTES, self._handler.targets())

    def _end(self) -> None:
        self.leave()
        self._on_change()
        self._handler.input_ended()

    def _fill(self) -> bool:
        """Fill the buffer, which holds what one call sends. Returns whether the input has ended."""
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

    def _send_lines(self, data: bytes, ended: bool) -> bool:
        """Send the complete lines. Returns whether the input has ended, perhaps by such a line."""
        lines = self._lines.feed(data) + (self._lines.flush() if ended else [])
        said = self._messages.before_quit(lines)
        self._sender.send_lines(said, self._handler.targets())
        return ended or len(said) < len(lines)

    def _send_whole(self, data: memoryview, ended: bool) -> None:
        """Send full datagrams, and the rest after HOLD_SECONDS."""
        if self._timer:
            self._timer.cancel()
        rest = len(data) % self.size if self._cuts and not ended else 0
        if whole := data[: len(data) - rest]:
            self._sender.send(whole, self.size, self._handler.targets())
        self._buffer[:rest] = bytes(data[len(data) - rest :])
        self._filled = rest
        if rest:
            self._timer = self._loop.later(HOLD_SECONDS, self._send_rest)

    def _send_rest(self) -> None:
        data, self._filled = self._buffer[: self._filled], 0
        self._sender.send(data, self.size, self._handler.targets())
