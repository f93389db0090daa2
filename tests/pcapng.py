"""Reads pcapng files and the packets in them: as little as the tests need, and checked."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

LINKTYPE_RAW = 101


class Segment(NamedTuple):
    """A TCP segment or a UDP datagram; for UDP the numbers and flags are 0."""

    source: str
    target: str
    protocol: int
    flags: str
    sequence: int
    acknowledged: int
    data: bytes
    window: int = 0


class Captured(NamedTuple):
    time: int
    packet: bytes
    comment: str


def read(file: bytes) -> Iterator[Captured]:
    """The packets of a file whose blocks, lengths and options are what the format says."""
    kind, size = struct.unpack_from("<II", file)
    assert kind == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", file, 8) == (0x1A2B3C4D, 1, 0, -1)
    assert struct.unpack_from("<II", file, size)[0] == 1
    assert struct.unpack_from("<HHI", file, size + 8) == (LINKTYPE_RAW, 0, 0)
    place = 0
    while place < len(file):
        kind, size = struct.unpack_from("<II", file, place)
        assert size % 4 == 0
        assert struct.unpack_from("<I", file, place + size - 4) == (size,)
        if kind == 6:
            yield _captured(file[place + 8 : place + size - 4])
        place += size
    assert place == len(file)


def _captured(body: bytes) -> Captured:
    interface, high, low, size, on_the_wire = struct.unpack_from("<IIIII", body)
    assert (interface, size) == (0, on_the_wire)
    options = body[20 + size + -size % 4 :]
    comment = ""
    while options:
        number, length = struct.unpack_from("<HH", options)
        assert number in (0, 1)
        if number:
            comment = options[4 : 4 + length].decode()
        options = options[4 + length + -length % 4 :]
    return Captured(high << 32 | low, body[20 : 20 + size], comment)


def parse(packet: bytes) -> Segment:
    """What a packet holds. Its lengths and checksums are right."""
    if packet[0] == 0x45:
        assert struct.unpack_from("!H", packet, 2) == (len(packet),)
        assert _sum(packet[:20]) == 0xFFFF
        protocol, addresses, inside = packet[9], packet[12:20], packet[20:]
    else:
        assert packet[0] == 0x60
        assert struct.unpack_from("!H", packet, 4) == (len(packet) - 40,)
        protocol, addresses, inside = packet[6], packet[8:40], packet[40:]
    pseudo = addresses + struct.pack("!II", len(inside), protocol)
    assert _sum(pseudo + inside) == 0xFFFF
    half = len(addresses) // 2
    ports = struct.unpack_from("!HH", inside)
    source, target = (
        f"{ipaddress.ip_address(address)} {port}"
        for address, port in zip((addresses[:half], addresses[half:]), ports, strict=True)
    )
    if protocol == 17:
        size, checksum = struct.unpack_from("!HH", inside, 4)
        assert size == len(inside)
        assert checksum
        return Segment(source, target, protocol, "", 0, 0, inside[8:])
    sequence, acknowledged, words, flags, window = struct.unpack_from("!IIBBH", inside, 4)
    names = "".join(name for place, name in enumerate("FSRPA") if flags >> place & 1)
    data = inside[words >> 4 << 2 :]
    return Segment(source, target, protocol, names, sequence, acknowledged, data, window)


def _sum(data: bytes) -> int:
    """The words added one by one, with the carry added to the end, RFC 1071."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total
