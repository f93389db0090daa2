"""Makes the packets of recorded streams, as if somebody had captured them.

A recording contains no packets. These have the recorded addresses, times and bytes, and no more
than a reader needs to follow TCP: a handshake, data, FIN and RST where they were recorded, and
acknowledgements. A comment on the first packet of a stream says what was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

from sockkit.core.packets import (
    ACK,
    FIN,
    MAX_DATAGRAM,
    MAX_SEGMENT,
    PSH,
    RST,
    SYN,
    Endpoint,
    Sender,
)
from sockkit.core.records import Direction, Stream

MAX_UNACKNOWLEDGED = 1024 * 1024  # bytes, before the other side acknowledges without sending
FIRST_PORT, PORTS = 49152, 16384  # of clients, RFC 6335
SERVER_PORT = 1  # of a peer whose port is unknown
SPACING = 1_000_003  # between the first sequence numbers of two streams

_LOOPBACK, _LOOPBACK_6 = int(IPv4Address("127.0.0.1")), IPv6Address("::1")
_OTHER: dict[Direction, Direction] = {"sent": "received", "received": "sent"}


class Packet(NamedTuple):
    """A packet, and a comment on it, which may be empty."""

    data: bytes
    comment: str = ""


class Endpoints(NamedTuple):
    """The endpoints of a stream. `comment` says which addresses are made up."""

    local: Endpoint
    remote: Endpoint
    comment: str


class TcpPackets:
    """The packets of a connection. `place` is how many streams came before it."""

    def __init__(self, stream: Stream, place: int) -> None:
        local, remote, self._comment = endpoints(stream, place)
        self._senders = {"sent": Sender(local, remote), "received": Sender(remote, local)}
        self._next = {"sent": place * SPACING, "received": place * SPACING + SPACING // 2}
        self._acknowledged = dict(self._next)  # the acknowledged bytes of each direction
        self._ended: set[Direction] = set()
        self._client: Direction = "sent" if stream.dialled else "received"
        self._opened = False

    def open(self) -> Iterator[Packet]:
        """The handshake."""
        client, server = self._client, _OTHER[self._client]
        yield self._packet(client, SYN, 0)
        yield self._packet(server, SYN | ACK)
        yield self._packet(client, ACK)

    def message(self, direction: Direction, data: bytes) -> Iterator[Packet]:
        yield from self._missing()
        for start in range(0, len(data), MAX_SEGMENT):
            yield self._packet(direction, PSH | ACK, data=data[start : start + MAX_SEGMENT])
            if self._next[direction] - self._acknowledged[direction] > MAX_UNACKNOWLEDGED:
                yield self._packet(_OTHER[direction], ACK)

    def end(self, direction: Direction) -> Iterator[Packet]:
        """FIN, once, and its acknowledgement."""
        yield from self._missing()
        if direction not in self._ended:
            self._ended.add(direction)
            yield self._packet(direction, FIN | ACK)
            yield self._packet(_OTHER[direction], ACK)

    def close(self, reset: Direction | Literal[""]) -> Iterator[Packet]:
        """A reset, or our FIN. The peer's FIN is never made up."""
        if reset:
            yield from self._missing()
            yield self._packet(reset, RST | ACK)
        else:
            yield from self.end("sent")

    def _missing(self) -> Iterator[Packet]:
        """The handshake, if the recording does not contain it."""
        if not self._opened:
            self._comment += (
                "; " * bool(self._comment)
                + "the handshake was not recorded: sockkit added this one"
            )
            yield from self.open()

    def _packet(
        self, direction: Direction, flags: int, acknowledged: int | None = None, data: bytes = b""
    ) -> Packet:
        self._opened = True
        other, sequence = _OTHER[direction], self._next[direction]
        if acknowledged is None:
            acknowledged = self._acknowledged[other] = self._next[other]
        self._next[direction] += len(data) + bool(flags & (SYN | FIN))
        comment, self._comment = self._comment, ""
        packet = self._senders[direction].tcp(flags, sequence, acknowledged, data)
        return Packet(packet, comment)


class UdpPackets:
    """The packets of datagrams to and from one peer."""

    def __init__(self, stream: Stream, place: int) -> None:
        local, remote, self._comment = endpoints(stream, place)
        self._senders = {"sent": Sender(local, remote), "received": Sender(remote, local)}

    def open(self) -> Iterator[Packet]:
        return iter(())

    def message(self, direction: Direction, data: bytes) -> Iterator[Packet]:
        comment, self._comment = self._comment, ""
        if len(data) > MAX_DATAGRAM:
            comment += (
                "; " * bool(comment) + f"one datagram of {len(data)} bytes, split into several"
            )
        for start in range(0, len(data) or 1, MAX_DATAGRAM):
            piece = data[start : start + MAX_DATAGRAM]
            yield Packet(self._senders[direction].udp(piece), comment)
            comment = ""

    def end(self, direction: Direction) -> Iterator[Packet]:
        return iter(())

    def close(self, reset: Direction | Literal[""]) -> Iterator[Packet]:
        return iter(())


StreamPackets = TcpPackets | UdpPackets


def packets_of(stream: Stream, place: int) -> StreamPackets:
    return UdpPackets(stream, place) if stream.datagrams else TcpPackets(stream, place)


def endpoints(stream: Stream, place: int) -> Endpoints:
    """Endpoints for the addresses of `stream`. Addresses that are not IP addresses are made up."""
    local, remote = _parse(stream.local), _parse(stream.remote)
    six = any(address and address.version == 6 for address, _ in (local, remote))
    ours = _endpoint(local, six, place, client=stream.dialled)
    theirs = _endpoint(remote, six, place, client=not stream.dialled)
    told = [
        f"{name or 'an unknown address'} is shown as {ip_address(end.address)} port {end.port}"
        for name, parsed, end in ((stream.local, local, ours), (stream.remote, remote, theirs))
        if parsed != (ip_address(end.address), end.port)
    ]
    return Endpoints(ours, theirs, "; ".join(told))


Address = IPv4Address | IPv6Address


def _parse(text: str) -> tuple[Address | None, int]:
    """The address and the port of `HOST:PORT`. None for an address that no packet can have."""
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if number > 0xFFFF or text.startswith("unix:"):
        return None, 0
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None, number
    return None if address.is_unspecified else address, number


def _endpoint(
    parsed: tuple[Address | None, int], six: bool, place: int, *, client: bool
) -> Endpoint:
    """An endpoint for an address. A made-up endpoint is different for each stream."""
    address, port = parsed
    turn, number = divmod(place, PORTS)
    if address is None:
        address = _LOOPBACK_6 if six else IPv4Address(_LOOPBACK + client * turn)
    if six and isinstance(address, IPv4Address):
        address = IPv6Address(f"::ffff:{address}")
    return Endpoint(address.packed, port or (FIRST_PORT + number if client else SERVER_PORT))
