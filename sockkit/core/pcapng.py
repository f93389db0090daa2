"""Records as a pcapng file, which Wireshark and tcpdump read.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html is the format.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from struct import pack

from sockkit.core.capture import Packet, StreamPackets, packets_of
from sockkit.core.records import Begun, Closed, Ended, Message, Opened, Record, Stream

MAX_STREAMS = 65_536  # open at once: a forged recording may open any number

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6  # types of blocks
_BYTE_ORDER = 0x1A2B3C4D
_RAW = 101  # LINKTYPE_RAW: a packet begins with its IP header
_COMMENT, _HARDWARE_OR_APPLICATION = 1, 4  # numbers of options
_MAX_COMMENT = 16_000  # characters: an option has less than 64 KiB


class Pcapng:
    """Makes the blocks of a file: `begin` first, then `show` for each record."""

    def __init__(self) -> None:
        self._streams: OrderedDict[Stream, StreamPackets] = OrderedDict()
        self._made = 0

    def begin(self) -> bytes:
        """The head of the file. Times of packets are in microseconds, as is the default."""
        made_by = _option(_HARDWARE_OR_APPLICATION, "sockkit") + _option(0)
        section = pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + made_by
        return _block(_SECTION, section) + _block(_INTERFACE, pack("<HHI", _RAW, 0, 0))

    def show(self, record: Record) -> bytes:
        """The blocks of the packets for `record`; empty if it has no packets."""
        match record:
            case Begun():
                self._streams.clear()  # an earlier run was not closed
            case Opened(time, stream):
                return _blocks(time, self._make(stream).open())
            case Message(time, stream, direction, data):
                return _blocks(time, self._packets(stream).message(direction, data))
            case Ended(time, stream, direction):
                return _blocks(time, self._packets(stream).end(direction))
            case Closed(time, stream, reset):
                blocks = _blocks(time, self._packets(stream).close(reset))
                del self._streams[stream]
                return blocks
        return b""

    def _packets(self, stream: Stream) -> StreamPackets:
        return self._streams.get(stream) or self._make(stream)

    def _make(self, stream: Stream) -> StreamPackets:
        if len(self._streams) >= MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        packets = self._streams[stream] = packets_of(stream, self._made)
        self._made += 1
        return packets


def _blocks(time: int, packets: Iterable[Packet]) -> bytes:
    return b"".join([_packet(time, data, comment) for data, comment in packets])


def _packet(time: int, data: bytes, comment: str) -> bytes:
    head = pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
    options = _option(_COMMENT, comment) + _option(0) if comment else b""
    return _block(_PACKET, head + _padded(data) + options)


def _option(number: int, text: str = "") -> bytes:
    value = text[:_MAX_COMMENT].encode()
    return pack("<HH", number, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    size = pack("<I", 12 + len(body))
    return b"".join((pack("<I", kind), size, body, size))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
