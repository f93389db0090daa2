"""The server of a chat room over UDP: it moves datagrams, `SignedRoom` has the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sockkit.core.chat.udp import MAX_DATAGRAM_BYTES, MAX_SILENCE, Delivery, SignedRoom
from sockkit.errors import SockkitError
from sockkit.events import Emit, Failure
from sockkit.net.chat.crowd import CrowdClock
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.outbox import LineOutbox
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket
from sockkit.net.udp.sources import Sources

TURNS = 64  # datagrams taken before others on the loop get their turn
WAITING = 4 * 1024 * 1024  # most bytes that wait for the system or for standard output


class UdpChatServer:
    """Owns nothing. `shown` makes what the operator sees of a line. `quit` closes the room."""

    def __init__(
        self,
        loop: Loop,
        sock: DatagramSocket,
        room: SignedRoom,
        stdio: Stdio,
        encoding: str,
        shown: Callable[[str], bytes],
        emit: Emit,
    ) -> None:
        self._loop, self._socket, self._room, self._stdio = loop, sock, room, stdio
        self._encoding, self._shown, self._emit = encoding, shown, emit
        self._quitting = False
        self._outgoing = DatagramOutbox(loop, sock, on_empty=self._watch, on_fail=self._fail)
        self._sources = Sources(sock, emit)
        self._output = LineOutbox(loop, stdio.output, WAITING, on_empty=self._review_quit)
        self._crowd = CrowdClock[Delivery](
            loop, lambda lines: self.handle(line._replace(move=None) for line in lines), Delivery
        )

    def run(self, on_typed: Callable[[bytes], None]) -> None:
        """Serve until `quit`, or until something raises: a signal.

        `on_typed` is given what is typed, and nothing for its end.
        """
        try:
            self._stdio.output.watch(self._loop)
            self._watch()
            self._stdio.input.give(self._loop, on_typed)
            self._expire()
            self._loop.run()
        except SockkitError as error:
            error.so_far = self._output.lost()
            raise
        finally:
            self._outgoing.stop()
            self._output.stop()
            self._loop.when_readable(self._socket.descriptor, None)

    def quit(self) -> None:
        self._quitting = True
        self._watch()

    def _review_quit(self) -> None:
        if self._quitting and not self._outgoing.waits and not self._output.size:
            self._loop.stop()

    def _watch(self) -> None:
        self._review_quit()
        self._loop.when_readable(self._socket.descriptor, self._receive)

    def _fail(self, error: SockkitError) -> None:
        self._emit(Failure(str(error), error.kind))

    def _receive(self) -> None:
        for _ in range(TURNS):
            try:
                got = self._socket.receive()
            except BlockingIOError:
                return
            except SockkitError as error:
                self._fail(error)
                return
            if not self._sources.answerable(got.address):
                continue
            for datagram in got.datagrams():
                if len(datagram) > MAX_DATAGRAM_BYTES:  # to decode what is refused takes long
                    self.handle(self._room.refuse_long(got.address))
                    continue
                message = datagram.decode(self._encoding, "backslashreplace")
                self.handle(self._room.hear(got.address, message, self._loop.now))
            if self._outgoing.size > WAITING:
                self._loop.when_readable(self._socket.descriptor, None)
                return

    def handle(self, deliveries: Iterable[Delivery]) -> None:
        """Send what the room says."""
        for delivery in deliveries:
            if delivery.move and self._crowd.holds(delivery, delivery.move):
                continue
            data = delivery.line.encode(self._encoding, "backslashreplace")
            if delivery.to is not None:
                self._outgoing.put_whole(data, delivery.to)
                continue
            for address in self._room.addresses():
                if address != delivery.author:
                    self._outgoing.put_whole(data, address)
            self._output.put_lines(partial(self._shown, delivery.line), 1)

    def _expire(self) -> None:
        self.handle(self._room.expire(self._loop.now))
        self._loop.later(MAX_SILENCE / 10, self._expire)
