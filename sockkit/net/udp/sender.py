"""Standard input to datagrams: a line without its end is one, or input is cut at a size."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from sockkit.core.lines import LineSplitter
from sockkit.errors import SendError, SockkitError
from sockkit.net.context import Context
from sockkit.net.loop import Timer
from sockkit.net.udp.datagrams import MAX_PAYLOAD, DatagramOutbox, DatagramSocket, segments

if TYPE_CHECKING:
    from sockkit.net.udp.exchange import Handler, Messages

HOLD_SECONDS = 0.01  # in which a datagram that is not full may yet become so
MAX_RESENT_BYTES = 1024 * 1024  # that are kept to be sent again when the first address refuses
KEPT_OVERHEAD = 64  # bytes that each datagram kept counts for beside its own: one may be empty
REFUSAL_SECONDS = 1.0  # in which a refusal still concerns the first datagram


class Total:
    """Datagrams and their bytes."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def add(self, size: int, segment: int) -> None:
        """Count `size` bytes in datagrams of `segment` bytes, the last perhaps shorter."""
        self.count += max(-(-size // segment), 1)
        self.size += size


class FirstDatagrams:
    """All that was sent, while a refusal means that none of it arrived. No I/O."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, int]] = []  # each with the size of its datagrams
        self._space = MAX_RESENT_BYTES
        self._until = 0.0

    def keep(self, data: bytes | memoryview, size: int, now: float) -> bool:
        """Keep what is sent. False if it is too much or too late: `kept` is not all any more."""
        if not self.kept:
            self._until = now + REFUSAL_SECONDS
        self._space -= len(data) + KEPT_OVERHEAD
        if self._space < 0 or not self.may_be_sent_again(now):
            return False
        self.kept.append((bytes(data), size))
        return True

    def may_be_sent_again(self, now: float) -> bool:
        return now <= self._until


class DatagramSender:
    """Sends datagrams, keeps in `outbox` what has to wait, and counts what was sent.

    `sent_at` is when the last one was sent. The handler is told of one that cannot be.
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
        self.total.add(size, segment)
        self.sent_at = self._loop.now

    def send(self, data: bytes | memoryview, size: int, targets: list[Any]) -> None:
        """Send datagrams of `size` bytes, the last perhaps shorter, to each of `targets`."""
        if self._first and not self._first.keep(data, size, self._loop.now):
            self._first = None
        for target in targets:
            self.outbox.put(data, size, target)

    def send_lines(self, lines: list[bytes], targets: list[Any]) -> None:
        """Send each of `lines` as a datagram."""
        for line in lines:
            try:
                datagram = _fitting(self._messages.pack(line))
            except SockkitError as error:
                self._handler.failed(error)
            else:
                self.send(datagram, MAX_PAYLOAD, targets)

    def keep_first(self) -> None:
        """From now on keep what is sent, for `resend`."""
        self._first = FirstDatagrams()

    def forget_first(self) -> None:
        """Something has come from the peer: what was sent is not to be sent again."""
        self._first = None

    def can_resend(self) -> bool:
        """Whether all that was sent is known: it was not much, and not long ago."""
        return bool(self._first and self._first.may_be_sent_again(self._loop.now))

    def resend(self, sock: DatagramSocket, targets: list[Any]) -> None:
        """Send by `sock` from now on, first of all what was sent before in vain."""
        assert self._first
        kept = self._first.kept
        self.outbox.use(sock)
        self.keep_first()
        self.total = Total()
        for data, size in kept:
            self.send(data, size, targets)


def _fitting(datagram: bytes) -> bytes:
    if len(datagram) > MAX_PAYLOAD:
        raise SendError(
            f"a line of {len(datagram):,} bytes does not fit a datagram, which has "
            f"{MAX_PAYLOAD:,} at most"
        )
    return datagram


class InputState(Enum):
    """Of standard input."""

    OPEN = auto()
    CONSOLE = auto()  # the operator types, and the console reads it
    ENDED = auto()


class InputReader:
    """Sends standard input. `on_change` is called when it ends, or has to wait for the system.

    Where the messages have a size, a datagram that is not full waits HOLD_SECONDS for the rest.
    """

    def __init__(
        self,
        context: Context,
        messages: Messages,
        handler: Handler,
        sender: DatagramSender,
        on_change: Callable[[], None],
    ) -> None:
        self._loop, self._input = context.loop, context.stdio.input
        self._messages, self._handler, self._sender = messages, handler, sender
        self._on_change = on_change
        self._state = InputState.OPEN
        self._size = min(messages.size or MAX_PAYLOAD, MAX_PAYLOAD)
        self._buffer = memoryview(bytearray(segments(self._size) * self._size))
        self._filled = 0
        self._lines = LineSplitter(MAX_PAYLOAD)
        self._timer: Timer | None = None

    def start(self, on_typed: Callable[[bytes], None] | None) -> None:
        """Say hello. With `on_typed` standard input goes there, and its end as no bytes."""
        if self._messages.hello is not None:
            self._sender.send(self._messages.hello, MAX_PAYLOAD, self._handler.targets())
        if on_typed:
            self._state = InputState.CONSOLE
            self._input.feed(on_typed)

    def review(self) -> None:
        """Read, if there is somebody to send to and nothing waits to be sent."""
        if self._state is InputState.CONSOLE:
            return
        reads = self._state is InputState.OPEN and not self._sender.outbox.waits
        reads = reads and bool(self._handler.targets())
        self._input.when_readable(self._read if reads else None)

    def close(self) -> None:
        """Read no more."""
        self._state = InputState.ENDED
        self._input.when_readable(None)

    def stop(self) -> None:
        """Drop what waits for the rest of its datagram."""
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

    def _end(self) -> None:
        self.close()
        if self._messages.good_bye is not None:
            self._sender.send(self._messages.good_bye, MAX_PAYLOAD, self._handler.targets())
        self._on_change()
        self._handler.input_ended()

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

    def _send_lines(self, data: bytes, ended: bool) -> bool:
        """Send the lines that are whole; whether standard input ends with one of them."""
        lines = self._lines.feed(data) + (self._lines.flush() if ended else [])
        said = self._messages.before_quit(lines)
        self._sender.send_lines(said, self._handler.targets())
        return ended or len(said) < len(lines)

    def _send_whole(self, data: memoryview, ended: bool) -> None:
        """Send what makes whole datagrams, and in a while the rest."""
        if self._timer:
            self._timer.cancel()
        rest = len(data) % self._size if self._messages.size and not ended else 0
        if whole := data[: len(data) - rest]:
            self._sender.send(whole, self._size, self._handler.targets())
        self._buffer[:rest] = bytes(data[len(data) - rest :])
        self._filled = rest
        if rest:
            self._timer = self._loop.later(HOLD_SECONDS, self._send_rest)

    def _send_rest(self) -> None:
        data, self._filled = self._buffer[: self._filled], 0
        self._sender.send(data, self._size, self._handler.targets())
