"""The common part of servers that answer datagrams, such as the responder and the chat room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.errors import SockkitError
from sockkit.events import Failure
from sockkit.net.context import Context
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket, Received
from sockkit.net.udp.reply_filter import ReplyFilter


class DatagramService:
    """Passes the datagrams of `sock` to `on_received`, and sends answers. Does not own `sock`.

    While answers wait for the system, `max_waiting` bytes or more, it receives nothing. `on_sent`
    is called when all waiting answers have been sent. Failures are emitted, and the service goes
    on.
    """

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        on_received: Callable[[Received], None],
        *,
        max_waiting: int = 0,
        on_sent: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket, self._emit = sock, context.emit
        self._on_received, self._on_sent = on_received, on_sent
        self._max_waiting = max_waiting
        self._reply_filter = ReplyFilter(sock, context.emit)
        self.outbox = DatagramOutbox(sock, on_empty=self._go_on, on_fail=self.failed)

    def start(self) -> None:
        self._socket.when_readable(self._receive)

    def stop(self) -> None:
        """Receive no more, and drop the waiting answers."""
        self.outbox.stop()
        self._socket.when_readable(None)

    def answerable(self, got: Received) -> bool:
        """Whether we may answer the datagram. If not, emits why."""
        return self._reply_filter.answerable(got.address)

    def send(self, datagram: bytes, address: Any) -> None:
        """Send one datagram. If it is too long, a failure is emitted."""
        self.outbox.put(datagram, max(len(datagram), 1), address)

    def failed(self, error: SockkitError) -> None:
        self._emit(Failure(str(error), error.kind))

    def _go_on(self) -> None:
        self._on_sent()
        self.start()

    def _receive(self) -> None:
        outbox = self.outbox
        for got in self._socket.incoming(self.failed):
            self._on_received(got)
            if outbox.waits and outbox.size >= self._max_waiting:
                self._socket.when_readable(None)
                return
