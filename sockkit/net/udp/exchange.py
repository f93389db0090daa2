"""Standard input and output over one datagram socket: what UDP's client and server share."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from sockkit.errors import SockkitError
from sockkit.events import DatagramTotal, Peer
from sockkit.net.context import Context
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.receiver import DatagramReceiver
from sockkit.net.udp.sender import DatagramSender, InputReader


class Messages(Protocol):
    """How standard input becomes datagrams, and datagrams standard output.

    With `packs` standard input is lines; without, it is cut at `size` bytes, None for the largest
    datagrams. With `shows` a line is written for each datagram; without, its bytes are. `hello`
    and `good_bye` are datagrams before and after all others.
    """

    packs: bool
    shows: bool
    size: int | None
    hello: bytes | None
    good_bye: bytes | None

    def pack(self, line: bytes) -> bytes:
        """The datagram of a line. Raises TextError."""
        ...

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        """The lines before one that ends standard input, or all of them."""
        ...

    def show(self, peer: Peer, datagram: bytes) -> bytes:
        """What is written for a datagram. Raises TextError."""
        ...


class Handler(Protocol):
    """What a client and a server do each in their own way."""

    def targets(self) -> list[Any]:
        """The addresses that standard input is sent to now; while there are none it waits."""
        ...

    def received(self, got: Received) -> Peer:
        """Something was received; says which peer it is from."""
        ...

    def input_ended(self) -> None: ...

    def failed(self, error: SockkitError) -> None:
        """A datagram could not be sent or received. What this raises leaves the loop."""
        ...


class State(Enum):
    OPEN = auto()
    CLOSING = auto()  # nothing more is read or received; what waits is still delivered


class DatagramExchange:
    """Owns neither the socket nor the standard streams. Errors of either leave the loop."""

    def __init__(
        self, context: Context, sock: DatagramSocket, messages: Messages, handler: Handler
    ) -> None:
        self._context, self._handler = context, handler
        self._state = State.OPEN
        self.sender = DatagramSender(context, sock, messages, handler, self.review)
        self._reader = InputReader(context, messages, handler, self.sender, self.review)
        self.receiver = DatagramReceiver(
            context, sock, messages, handler, self.sender.outbox, self.review
        )

    def start(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Send and receive from now on. With `on_typed` standard input goes there instead."""
        self._context.stdio.output.when_gone(self._output_gone)
        self._reader.start(on_typed)
        self.review()

    def _output_gone(self, error: SockkitError) -> None:
        raise error

    def move(self, sock: DatagramSocket) -> None:
        """Use `sock` instead, and send by it what was sent in vain: see `sender.can_resend`."""
        self.receiver.use(sock)
        self.sender.resend(sock, self._handler.targets())
        self.review()

    @property
    def idle(self) -> bool:
        """Whether everything read is sent, and everything received is written."""
        return not self.sender.outbox.waits and not self.receiver.output.size

    def review(self) -> None:
        """Wait for what comes next. To be called when the targets have changed."""
        if self._state is State.OPEN:
            self._reader.review()
            self.receiver.review()
        elif self.idle:
            self._context.loop.stop()

    def finish(self) -> None:
        """Read and receive no more, and end the loop's run once what waits is delivered."""
        self._state = State.CLOSING
        self._reader.close()
        self.receiver.close()
        self.review()

    def stop(self) -> None:
        """Drop what waits, and say how much was exchanged."""
        self.finish()
        self._reader.stop()
        self.sender.outbox.stop()
        self.receiver.output.stop()
        for direction, total in (("sent", self.sender.total), ("received", self.receiver.total)):
            self._context.emit(DatagramTotal(direction, total.count, total.size))
