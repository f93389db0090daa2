"""Makes IP packets of TCP and UDP: headers and checksums, RFC 791, 8200, 9293 and 768.

A checksum is the complement of a sum of 16-bit words in ones' complement arithmetic. That sum is
the remainder of division by 65535, as 65536 leaves 1: one division sums up a whole packet.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

TCP, UDP = 6, 17  # protocol numbers
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

MAX_SEGMENT = 65_535 - 40  # bytes of data in a TCP packet; IPv4's length field has 16 bits
MAX_DATAGRAM = 65_535 - 28  # likewise of UDP

_WORD = 0xFFFF
_TTL = 64
# With the largest window scale, 14, the window is 1 GiB, RFC 7323.
_WINDOW = 0xFFFF
_SYN_OPTIONS = bytes([2, 4, MAX_SEGMENT >> 8, MAX_SEGMENT & 0xFF, 1, 3, 3, 14])

_V4, _V6 = Struct("!HHHHBBH"), Struct("!IHBB")
_TCP, _UDP = Struct("!HHIIBBHHH"), Struct("!HHHH")


class Endpoint(NamedTuple):
    """An address of 4 or 16 bytes, and a port."""

    address: bytes
    port: int


class Sender:
    """Makes the packets from one endpoint to another. Both addresses are of the same version."""

    def __init__(self, source: Endpoint, target: Endpoint) -> None:
        self._ports = source.port, target.port
        self._addresses = source.address + target.address
        self._v4 = len(source.address) == 4
        self._sum = _sum(self._addresses)

    def udp(self, data: bytes) -> bytes:
        """A datagram of MAX_DATAGRAM bytes at the most."""
        size = _UDP.size + len(data)
        total = self._sum + UDP + 2 * size + sum(self._ports) + _sum(data)
        # A checksum of 0 would mean that there is none.
        header = _UDP.pack(*self._ports, size, -total % _WORD or _WORD)
        return b"".join((self._ip(UDP, size), header, data))

    def tcp(self, flags: int, sequence: int, acknowledged: int, data: bytes = b"") -> bytes:
        """A segment of MAX_SEGMENT bytes at the most. The numbers are taken modulo 2**32."""
        options = _SYN_OPTIONS if flags & SYN else b""
        words = (_TCP.size + len(options)) // 4
        fields = (
            *self._ports,
            sequence & 0xFFFFFFFF,
            acknowledged & 0xFFFFFFFF,
            words << 4,
            flags,
            _WINDOW,
        )
        size = 4 * words + len(data)
        head = _sum(_TCP.pack(*fields, 0, 0) + options)
        total = self._sum + TCP + size + head + _sum(data)
        header = _TCP.pack(*fields, -total % _WORD, 0)
        return b"".join((self._ip(TCP, size), header, options, data))

    def _ip(self, protocol: int, size: int) -> bytes:
        if not self._v4:
            return _V6.pack(6 << 28, size, protocol, _TTL) + self._addresses
        fields = (0x4500, size + 20, 0, 0x4000, _TTL, protocol)  # not to be fragmented
        check = -(_sum(_V4.pack(*fields, 0)) + self._sum) % _WORD
        return _V4.pack(*fields, check) + self._addresses


def _sum(data: bytes) -> int:
    """The sum of the 16-bit words of `data`. An odd last byte is the high byte of its word."""
    total = int.from_bytes(data, "big") % _WORD
    return total << 8 if len(data) % 2 else total
