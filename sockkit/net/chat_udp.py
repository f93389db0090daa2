"""The server of a chat room over UDP: it moves datagrams, `SignedRoom` has the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sockkit.core.chat_udp import SILENCE, Delivery, SignedRoom
from sockkit.core.lines import Lines
from sockkit.errors import SockkitError
from sockkit.events import Answer, Emit, Failure
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from sockkit.net.stdio import Stdio
from sockkit.net.udp import LARGEST, DatagramOutbox, DatagramSocket

TURNS = 64  # datagrams taken before others on the loop get their turn
WAITING = 4 * 1024 * 1024  # most bytes that wait for the system or for standard output
LINE = 4096  # bytes of a line the operator types


class UdpChatServer:
    """Owns nothing. `shown` makes what the operator sees of a line."""

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
        self._lines = Lines(LINE)
        self._outgoing = DatagramOutbox(loop, sock, on_empty=self._watch, on_fail=self._fail)
        self._output = Outbox(loop, stdio.output, on_empty=lambda: None, on_fail=_raise)
        self._buffer = memoryview(bytearray(LINE))

    def run(self) -> None:
        """Serve until the operator's `/quit`, or until something raises: a signal."""
        try:
            self._stdio.output.watch(self._loop)
            self._watch()
            self._loop.when_readable(self._stdio.input.descriptor, self._read_operator)
            self._expire()
            self._loop.run()
        finally:
            self._outgoing.stop()
            self._output.stop()
            self._loop.when_readable(self._socket.descriptor, None)

    def _watch(self) -> None:
        self._loop.when_readable(self._socket.descriptor, self._receive)

    def _fail(self, error: SockkitError) -> None:
        self._emit(Failure(str(error)))

    def _receive(self) -> None:
        for _ in range(TURNS):
            try:
                got = self._socket.receive()
            except BlockingIOError:
                return
            except SockkitError as error:
                self._fail(error)
                return
            for datagram in got.datagrams():
                message = datagram.decode(self._encoding, "backslashreplace")
                self._deliver(self._room.hear(got.address, message, self._loop.now))
            if self._outgoing.size > WAITING:
                self._loop.when_readable(self._socket.descriptor, None)
                return

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            data = delivery.line.encode(self._encoding, "backslashreplace")
            if delivery.to is not None:
                self._outgoing.put(data, LARGEST, delivery.to)
                continue
            for address in self._room.addresses():
                if address != delivery.author:
                    self._outgoing.put(data, LARGEST, address)
            if self._output.size < WAITING:
                self._output.put(self._shown(delivery.line))

    def _expire(self) -> None:
        self._deliver(self._room.expire(self._loop.now))
        self._loop.later(SILENCE / 10, self._expire)

    def _read_operator(self) -> None:
        try:
            size = self._stdio.input.read_into(self._buffer)
        except BlockingIOError:
            return
        for line in self._lines.feed(bytes(self._buffer[:size])) if size else self._lines.flush():
            self._operate(line.decode(self._stdio.encoding, "backslashreplace").strip())
        if not size:
            self._loop.when_readable(self._stdio.input.descriptor, None)
            if self._stdio.input.terminal:
                self._loop.stop()

    def _operate(self, text: str) -> None:
        if text == "/quit":
            self._loop.stop()
        elif text == "/who":
            names = self._room.names()
            self._emit(Answer(f"{len(names)} here: {', '.join(names)}"))
        elif text.startswith("/") and not text.startswith("//"):
            self._emit(Answer("/who tells who is here, /quit ends; //TEXT says /TEXT"))
        elif text:
            self._deliver(self._room.announce(text.removeprefix("/")))


def _raise(error: SockkitError) -> None:
    raise error
