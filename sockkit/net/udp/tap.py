"""Taps of a datagram socket: one for each peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sockkit.core.peers import PeerTable
from sockkit.core.records import Direction, Stream
from sockkit.net.endpoint import show_address
from sockkit.net.ends.end import Callback
from sockkit.net.taps import Gate, Tap
from sockkit.net.views import Views

if TYPE_CHECKING:
    from sockkit.net.udp.datagrams import Received

Watch = Callable[[Callback | None], None]


class DatagramTap:
    """Makes records of the datagrams of one socket.

    Peers have the same numbers as in the commands. The peer of a client has `number`; set it before
    the first datagram if there are several such sockets.
    """

    def __init__(
        self,
        views: Views,
        transport: str,
        local: str,
        remote: Any,
        *,
        dialled: bool,
        number: int = 0,
    ) -> None:
        """`remote` is the address of the only peer of a connected socket, otherwise None.

        `number` is the number of that peer.
        """
        self._views, self._remote, self._dialled = views, remote, dialled
        self._transport, self._local = transport, local
        self._peers = PeerTable()
        self._taps: dict[int, Tap] = {}
        self.number = number
        self._gate: Gate | None = None

    @property
    def full(self) -> bool:
        return self._views.full

    def when_room(self, callback: Callback) -> None:
        """Call `callback` once, when the views are no longer full."""
        self._views.when_room(callback)

    def gate(self, watch: Watch) -> Watch:
        """`watch`, but never while the views are full."""
        if not self._gate:
            self._gate = Gate(self._views, watch)
        return self._gate.when_ready

    def received(self, got: Received) -> None:
        tap = self._only(self._remote) if self._remote else self._numbered(got.address)
        tap.passed_apart("received", got.datagrams())

    def sent(self, data: bytes | memoryview, size: int, address: Any) -> None:
        """`data` was sent in datagrams of `size` bytes."""
        to = self._remote or address
        # As in the commands, only receiving from a peer keeps it from being forgotten.
        peer = self._peers.find(to)
        if self._dialled:
            tap = self._only(to)
        else:
            tap = self._taps[peer.number] if peer else self._numbered(to)
        starts = range(0, max(len(data), 1), max(size, 1))
        tap.passed_apart("sent", [bytes(data[start : start + size]) for start in starts])

    def disturbed(self, fault: str, direction: Direction, detail: str) -> None:
        """A relay has applied `fault` to datagrams to or from the only peer."""
        self._only(self._remote).disturbed(fault, direction, detail)

    def closed(self) -> None:
        """No more datagrams will pass."""
        for tap in self._taps.values():
            tap.closed()

    def _only(self, address: Any) -> Tap:
        """The tap of a client's peer, or of peers without an address."""
        if self.number not in self._taps:
            self._taps[self.number] = self._open(self.number, show_address(address))
        return self._taps[self.number]

    def _numbered(self, address: Any) -> Tap:
        if not address:
            return self._only(address)
        heard = self._peers.heard(address, show_address(address))
        if heard.forgotten:
            self._taps.pop(heard.forgotten.number).closed()
        number = heard.peer.number
        if heard.new:
            self._taps[number] = self._open(number, heard.peer.address)
        return self._taps[number]

    def _open(self, number: int, remote: str) -> Tap:
        stream = Stream(number, self._transport, self._local, remote, self._dialled)
        return self._views.tap(stream, framed=False)
