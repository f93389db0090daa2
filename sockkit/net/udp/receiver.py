"""Writes datagrams to standard output: their bytes, or a line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.errors import SockkitError, TextError
from sockkit.events import Failure, Peer
from sockkit.net.context import Context
from sockkit.net.outbox import ReceivedOutbox
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket, Received
from sockkit.net.udp.sender import Total

if TYPE_CHECKING:
    from sockkit.net.udp.exchange import Handler, Messages


class DatagramReceiver:
    """Receives datagrams and writes them. `output` holds the bytes that wait for standard output.

    It receives only while nothing waits in `output`, or in `outbox`, which holds automatic answers.
    While other datagrams wait to be sent, it goes on, because their receiver may wait for us.
    `on_change` is called when bytes begin to wait in either, and when `output` is empty again.
    `cut` and `undecoded` count the datagrams that were cut or could not be decoded.
    """

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        messages: Messages,
        handler: Handler,
        outbox: DatagramOutbox | None,
        on_change: Callable[[], None],
    ) -> None:
        self.total = Total()
        self.cut = self.undecoded = 0  # datagrams
        self.output = ReceivedOutbox(context.stdio.output, on_empty=on_change)
        self._socket, self._messages, self._handler = sock, messages, handler
        self._outbox, self._on_change, self._emit = outbox, on_change, context.emit
        self._loop = context.loop

    def use(self, sock: DatagramSocket) -> None:
        """Receive from `sock` from now on."""
        self._socket = sock

    @property
    def blocked(self) -> bool:
        """Whether bytes wait for standard output, or answers wait to be sent."""
        return bool(self.output.size) or bool(self._outbox and self._outbox.waits)

    def review(self) -> None:
        """Receive, unless it is blocked."""
        self._socket.when_readable(None if self.blocked else self._receive)

    def finish(self) -> None:
        """Receive no more. What was received is still written."""
        self._socket.when_readable(None)

    def _receive(self) -> None:
        shown: list[bytes] = []
        size = 0
        failed: list[SockkitError] = []
        shows, output = self._messages.shows, self.output
        for got in self._socket.incoming(failed.append):
            peer = self._handler.received(got)
            self.total.add(len(got.data), got.size, self._loop.now)
            drops = self._messages.drops
            if got.cut and not drops:
                self.cut += 1
                self._emit(Failure(got.problem(peer.address), "a datagram was truncated"))
            if shows:
                shown += self._lines(peer, got)
                size += len(got.data)
            elif not drops:
                output.put_received(got.data, len(got.data))
            if self.blocked:
                break
        if shows:
            output.put_received(b"".join(shown), size)
        for error in failed:
            self._handler.failed(error)
        if self.blocked:
            self._on_change()

    def _lines(self, peer: Peer, got: Received) -> list[bytes]:
        """The lines to write, one for each datagram. Emits a Failure if one cannot be decoded."""
        lines: list[bytes] = []
        for datagram in got.datagrams():
            try:
                lines.append(self._messages.show(peer, datagram))
            except TextError as error:
                self.undecoded += 1
                told = f"a datagram from {peer.address} is not shown: {error}"
                self._emit(Failure(told, "a datagram is not shown"))
        return lines
