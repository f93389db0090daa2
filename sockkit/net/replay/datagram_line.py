"""A line over a datagram socket: see net/replay/lines.py."""

from __future__ import annotations

from typing import Any

from sockkit.core.player import Conversation
from sockkit.errors import SockkitError
from sockkit.net.replay.lines import Host
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket


class DatagramLine:
    """A datagram socket as a line. Owns `sock`, which sends to `address`, or to its only peer."""

    undelivered = 0  # nobody acknowledges datagrams

    def __init__(
        self, host: Host, conversation: Conversation, sock: DatagramSocket, address: Any = None
    ) -> None:
        self._host, self._conversation = host, conversation
        self._socket, self._address = sock, address
        self._outbox = DatagramOutbox(sock, on_empty=self._sent, on_fail=self._failed)
        self._finishing = self._closed = False

    def start(self) -> None:
        self.resume()

    def resume(self) -> None:
        if not self._closed:
            wanted = self._host.wants(self._conversation)
            self._socket.when_readable(self._receive if wanted else None)

    @property
    def clogged(self) -> bool:
        return self._outbox.waits

    waiting = clogged

    def send(self, data: bytes, /) -> None:
        if not self._closed:
            self._outbox.put(data, max(len(data), 1), self._address)

    def half_close(self) -> None:
        """Do nothing: datagrams have no half-close."""

    def finish(self) -> None:
        self._finishing = True
        self._sent()

    def reset(self) -> None:
        self.finish()

    def stop(self) -> None:
        self._close(None)

    def _sent(self) -> None:
        self._host.wake()
        if self._finishing and not self._outbox.waits:
            self._close(None)

    def _receive(self) -> None:
        for got in self._socket.incoming(self._failed):
            for datagram in got.datagrams():
                self._host.received(self._conversation, datagram)
            if self._closed or not self._host.wants(self._conversation):
                self.resume()
                return

    def _failed(self, error: SockkitError) -> None:
        self._close(error)

    def _close(self, error: SockkitError | None) -> None:
        if not self._closed:
            self._closed = True
            self._outbox.stop()
            self._socket.close()
            self._host.closed(self._conversation, error)
