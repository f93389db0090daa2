"""The server of a chat room over UDP. It moves datagrams; `UdpRoom` has the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sockkit.core.chat.actions import OPERATOR, Deliver
from sockkit.core.chat.udp import MAX_DATAGRAM_BYTES, MAX_SILENCE_SECONDS, UdpRoom
from sockkit.errors import SockkitError, Stopped
from sockkit.events import Peer
from sockkit.net.chat.presence import PresenceClock
from sockkit.net.context import Context
from sockkit.net.endpoint import show_address
from sockkit.net.outbox import LineOutbox
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.service import DatagramService

MAX_WAITING_BYTES = 4 * 1024 * 1024  # that wait for the system; as many for standard output


class UdpChatServer:
    """Owns neither the socket nor the streams. `shown` converts lines for the operator."""

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        room: UdpRoom,
        encoding: str,
        shown: Callable[[str], bytes],
    ) -> None:
        loop, self._stdio = context.loop, context.stdio
        self._loop, self._room = loop, room
        self._encoding, self._shown = encoding, shown
        self._quitting = False
        self._service = DatagramService(
            context,
            sock,
            self._received,
            max_waiting=MAX_WAITING_BYTES,
            on_sent=self._review_quit,
        )
        self._output = LineOutbox(
            context.stdio.output, MAX_WAITING_BYTES, on_empty=self._review_quit
        )
        self._presence = PresenceClock[Deliver](
            loop, lambda lines: self.handle(line._replace(presence=None) for line in lines), Deliver
        )

    def run(self, on_typed: Callable[[bytes], None]) -> None:
        """Serve until `quit`. Raises SockkitError, also for a signal.

        `on_typed` is called with the bytes that the operator types, and with b"" at their end.
        """
        try:
            self._stdio.output.when_gone(self._output_gone)
            self._service.start()
            self._stdio.input.deliver_to(on_typed)
            self._expire()
            self._loop.run()
        except SockkitError as error:
            error.so_far = self._output.lost()
            if isinstance(error, Stopped):
                self.handle(self._room.close())
            raise
        finally:
            self._service.stop()
            self._output.stop()

    def _output_gone(self, error: SockkitError) -> None:
        raise error

    def quit(self) -> None:
        self.handle(self._room.close())
        self._quitting = True
        self._review_quit()

    def _review_quit(self) -> None:
        if self._quitting and not self._service.outbox.waits and not self._output.size:
            self._loop.stop()

    def _received(self, got: Received) -> None:
        if not self._service.answerable(got):
            return
        for datagram in got.datagrams():
            if len(datagram) > MAX_DATAGRAM_BYTES:  # do not spend time on decoding what is refused
                self.handle(self._room.refuse_long(got.address))
                continue
            message = datagram.decode(self._encoding, "backslashreplace")
            self.handle(self._room.receive(got.address, message, self._loop.now))

    def handle(self, deliveries: Iterable[Deliver]) -> None:
        """Send what the room's rules return."""
        for delivery in deliveries:
            if delivery.presence and self._presence.hold_back(delivery, delivery.presence):
                continue
            data = delivery.text.encode(self._encoding, "backslashreplace")
            if delivery.to is OPERATOR:
                self._show(delivery.text)
                continue
            if delivery.to is not None:
                self._service.send(data, delivery.to)
                continue
            for address in self._room.addresses():
                if address != delivery.author:
                    self._service.send(data, address)
            self._show(delivery.text)

    def _show(self, line: str) -> None:
        self._output.put_lines(partial(self._shown, line), 1)

    def peers(self) -> list[tuple[Peer, str]]:
        """Each member's address, with its name."""
        members = self._room.addresses()
        return [(Peer(0, show_address(where)), self._room.name(where)) for where in members]

    def _expire(self) -> None:
        self.handle(self._room.expire(self._loop.now))
        self._loop.later(MAX_SILENCE_SECONDS / 10, self._expire)
