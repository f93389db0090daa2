"""The datagram exchange: standard input and output over one datagram socket.

udp-client and udp-server share it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from sockkit.errors import SockkitError
from sockkit.events import DatagramTotal, Peer
from sockkit.net.context import Context
from sockkit.net.udp.datagrams import DatagramSocket, Received, segments
from sockkit.net.udp.receiver import DatagramReceiver
from sockkit.net.udp.sender import DatagramSender, InputReader

if TYPE_CHECKING:
    from sockkit.net.file_feed import FileFeed


class Messages(Protocol):
    """Turns standard input into datagrams, and datagrams into standard output.

    With `packs`, each line of standard input becomes a datagram; otherwise it is cut at a size.
    With `shows`, each datagram is written as a line; with `drops`, not at all; otherwise its bytes
    are written. `hello` is sent before all other datagrams, and `good_bye` after them.
    """

    packs: bool
    shows: bool
    drops: bool
    hello: bytes | None
    good_bye: bytes | None

    def pack(self, line: bytes) -> bytes:
        """The datagram of a line. Raises TextError."""
        ...

    def skips(self, line: bytes) -> bool:
        """Whether `line` is not sent at all."""
        ...

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        """The lines before the first one that ends the input, such as /quit; else all lines."""
        ...

    def show(self, peer: Peer, datagram: bytes) -> bytes:
        """What to write for a datagram. Raises TextError."""
        ...


class Handler(Protocol):
    """The parts of the exchange in which udp-client and udp-server differ.

    `answers` is whether datagrams may be answered automatically. Then nothing is received while
    answers wait to be sent.
    """

    answers: bool

    def targets(self) -> list[Any]:
        """The addresses to send standard input to. While there are none, it is not read."""
        ...

    def received(self, got: Received) -> Peer:
        """Datagrams were received. Returns the peer that sent them."""
        ...

    def input_ended(self) -> None: ...

    def failed(self, error: SockkitError) -> None:
        """A datagram could not be sent or received. What this raises ends the run."""
        ...


class State(Enum):
    OPEN = auto()
    CLOSING = auto()  # reads and receives nothing more, but sends and writes the rest


class DatagramExchange:
    """Owns neither the socket nor the standard streams. If these fail, the loop's `run` raises."""

    def __init__(
        self, context: Context, sock: DatagramSocket, messages: Messages, handler: Handler
    ) -> None:
        self._context, self._handler = context, handler
        self._state = State.OPEN
        self._on_typed: Callable[[bytes], None] | None = None
        self._file: FileFeed | None = None
        self.sender = DatagramSender(context, sock, messages, handler, self.review)
        self._reader = InputReader(
            context, messages, handler, self.sender, sock.buffer_size, self.review
        )
        self.receiver = DatagramReceiver(
            context,
            sock,
            messages,
            handler,
            self.sender.outbox if handler.answers else None,
            self.review,
        )

    def start(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Start sending and receiving. With `on_typed`, that gets standard input instead."""
        self._context.stdio.output.when_gone(self._output_gone)
        self._on_typed = on_typed
        self._reader.start(on_typed)
        self.review()

    def send_file(self, path: str, targets: list[Any]) -> None:
        """Send the file at `path` to `targets`, cut into datagrams like standard input.

        Standard input waits meanwhile. Raises UsageError.
        """
        from sockkit.net.file_feed import FileFeed  # few runs need it

        size, outbox = self._reader.size, self.sender.outbox
        self._file = FileFeed(
            self._context,
            path,
            segments(size) * size,
            ready=lambda: not outbox.waits,
            send=lambda piece: self.sender.send(piece, size, targets),
            on_end=self._file_ended,
        )
        self._reader.hold()
        self.review()

    def _file_ended(self) -> None:
        self._file = None
        self._reader.release(self._on_typed)
        self.review()

    def _output_gone(self, error: SockkitError) -> None:
        raise error

    def move(self, sock: DatagramSocket) -> None:
        """Use `sock` from now on, and resend the refused datagrams: see `sender.can_resend`."""
        self.receiver.use(sock)
        self.sender.resend(sock, self._handler.targets())
        self.review()

    @property
    def idle(self) -> bool:
        """Whether all input read is sent, and all datagrams received are written."""
        return not self.sender.outbox.waits and not self.receiver.output.size

    def moved(self) -> tuple[int, int]:
        """The bytes of the datagrams sent and received so far."""
        return self.sender.total.size, self.receiver.total.size

    def review(self) -> None:
        """Read and receive, unless something must wait. Call it when the targets have changed."""
        if self._state is State.OPEN:
            if self._file:
                self._file.resume()
            self._reader.review()
            self.receiver.review()
        elif self.idle:
            self._context.loop.stop()

    def finish(self) -> None:
        """Read and receive no more. Stop the loop once all is sent and written."""
        self._state = State.CLOSING
        if self._file:
            self._file.stop()
        self._reader.finish()
        self.receiver.finish()
        self.review()

    def leave(self) -> None:
        """Send `good_bye`, if it was not sent and the system takes it now."""
        self._reader.leave()

    def stop(self) -> None:
        """Drop everything that waits, and emit how many datagrams were exchanged."""
        self.finish()
        self._reader.stop()
        self.sender.outbox.stop()
        self.receiver.output.stop()
        for direction, total in (("sent", self.sender.total), ("received", self.receiver.total)):
            self._context.emit(DatagramTotal(direction, total.count, total.size, total.seconds))
