"""Recorded streams as packets: sequence numbers, ends, and addresses that are made up."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core import capture
from sockkit.core.capture import MAX_UNACKNOWLEDGED, Packet, TcpPackets, UdpPackets, packets_of
from sockkit.core.packets import MAX_DATAGRAM
from sockkit.core.records import Direction, Stream
from tests.pcapng import Segment, parse
from tests.support import fewer

TCP = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)
UDP = TCP._replace(transport="udp")
OURS, THEIRS = "10.0.0.1 4000", "10.0.0.2 80"


def shown(packets: Iterable[Packet]) -> list[tuple[str, str, bytes]]:
    """Who sent, which flags, and what."""
    segments = [parse(packet.data) for packet in packets]
    assert {segment.source for segment in segments} <= {OURS, THEIRS}
    return [
        ("we" if segment.source == OURS else "they", segment.flags, segment.data)
        for segment in segments
    ]


def test_who_dialled_begins() -> None:
    assert shown(TcpPackets(TCP, 0).open()) == [
        ("we", "S", b""),
        ("they", "SA", b""),
        ("we", "A", b""),
    ]
    accepted = TcpPackets(TCP._replace(dialled=False), 0)
    assert shown(accepted.open()) == [("they", "S", b""), ("we", "SA", b""), ("they", "A", b"")]


def test_a_conversation() -> None:
    made = TcpPackets(TCP, 0)
    list(made.open())
    assert shown(made.message("sent", b"hi")) == [("we", "PA", b"hi")]
    assert shown(made.message("received", b"ho")) == [("they", "PA", b"ho")]
    assert shown(made.message("received", b"")) == []
    assert shown(made.end("received")) == [("they", "FA", b""), ("we", "A", b"")]
    assert shown(made.end("received")) == []
    assert shown(made.close("")) == [("we", "FA", b""), ("they", "A", b"")]


def test_both_have_ended_before_the_close() -> None:
    made = TcpPackets(TCP, 0)
    packets = [*made.open(), *made.end("sent"), *made.end("received"), *made.close("")]
    assert [flags for _, flags, _ in shown(packets)].count("FA") == 2


@pytest.mark.parametrize("reset", ["sent", "received"])
def test_a_reset(reset: Direction) -> None:
    made = TcpPackets(TCP, 0)
    list(made.open())
    who = {"sent": "we", "received": "they"}[reset]
    assert shown(made.close(reset)) == [(who, "RA", b"")]


def test_a_handshake_that_is_not_recorded() -> None:
    for made in (TcpPackets(TCP, 0), TcpPackets(TCP, 0), TcpPackets(TCP, 0)):
        packets = list(made.message("sent", b"hi"))
        assert [flags for _, flags, _ in shown(packets)] == ["S", "SA", "A", "PA"]
        assert [packet.comment for packet in packets] == [
            "the handshake was not recorded: sockkit added this one",
            "",
            "",
            "",
        ]
    assert [flags for _, flags, _ in shown(TcpPackets(TCP, 0).end("sent"))][3:] == ["FA", "A"]
    assert [flags for _, flags, _ in shown(TcpPackets(TCP, 0).close("sent"))][3:] == ["RA"]


directions = st.sampled_from(["sent", "received"])


@fewer(20)
@given(
    st.lists(st.tuples(directions, st.sampled_from([0, 1, 999, 65_496])), max_size=8),
    st.integers(0, 10_000),
)
def test_numbers_go_on_and_nothing_is_acknowledged_before_it_is_sent(
    messages: list[tuple[Direction, int]], place: int
) -> None:
    made = TcpPackets(TCP, place)
    packets = [*made.open()]
    for direction, size in messages:
        packets += made.message(direction, b"." * size)
    packets += [*made.end("received"), *made.end("sent"), *made.close("")]
    next_of: dict[str, int] = {}
    sent = {OURS: 0, THEIRS: 0}
    for segment in (parse(packet.data) for packet in packets):
        other = THEIRS if segment.source == OURS else OURS
        assert segment.sequence == next_of.get(segment.source, segment.sequence)
        assert "A" not in segment.flags or segment.acknowledged == next_of[other]
        counted = len(segment.data) + ("S" in segment.flags) + ("F" in segment.flags)
        next_of[segment.source] = (segment.sequence + counted) % 2**32
        sent[segment.source] += len(segment.data)
    for direction, who in (("sent", OURS), ("received", THEIRS)):
        assert sent[who] == sum(size for way, size in messages if way == direction)


def test_what_is_not_answered_is_acknowledged() -> None:
    made = TcpPackets(TCP, 0)
    packets = [*made.open()]
    for _ in range(5):
        packets += made.message("sent", bytes(MAX_UNACKNOWLEDGED))
    waiting, most, last = 0, 0, None
    for segment in (parse(packet.data) for packet in packets):
        waiting = waiting + len(segment.data) if segment.source == OURS else 0
        most, last = max(most, waiting), segment
    assert most <= MAX_UNACKNOWLEDGED + 65_535
    assert last


def test_two_connections_of_one_address_have_other_numbers() -> None:
    first, second = (parse(next(TcpPackets(TCP, place).open()).data) for place in (0, 1))
    assert first.source == second.source
    assert first.sequence != second.sequence


def test_datagrams() -> None:
    made = UdpPackets(UDP, 0)
    assert [*made.open(), *made.end("sent"), *made.close("")] == []
    assert shown(made.message("received", b"")) == [("they", "", b"")]
    assert shown(made.message("sent", bytes(MAX_DATAGRAM))) == [("we", "", bytes(MAX_DATAGRAM))]


def test_a_datagram_that_udp_cannot_carry() -> None:
    stream = UDP._replace(transport="unix-datagram")
    packets = list(UdpPackets(stream, 0).message("sent", bytes(MAX_DATAGRAM) + b"rest"))
    assert [data for _, _, data in shown(packets)] == [bytes(MAX_DATAGRAM), b"rest"]
    assert packets[0].comment == "one datagram of 65511 bytes, split into several"


def first(local: str, remote: str, *, place: int = 0, dialled: bool = True) -> tuple[Segment, str]:
    packet = next(UdpPackets(Stream(1, "udp", local, remote, dialled), place).message("sent", b""))
    return parse(packet.data), packet.comment


@pytest.mark.parametrize(
    ("local", "remote", "source", "target", "comment"),
    [
        ("10.0.0.1:5", "10.0.0.2:6", "10.0.0.1 5", "10.0.0.2 6", ""),
        ("[::1]:5", "[2001:db8::2]:6", "::1 5", "2001:db8::2 6", ""),
        ("[fe80::1%eth0]:5", "[fe80::2%3]:6", "fe80::1 5", "fe80::2 6", ""),
        (
            "0.0.0.0:5", "10.0.0.2:6", "127.0.0.1 5", "10.0.0.2 6",
            "0.0.0.0:5 is shown as 127.0.0.1 port 5",
        ),
        ("[::]:5", "[::2]:6", "::1 5", "::2 6", "[::]:5 is shown as ::1 port 5"),
        (
            "[::]:5", "10.0.0.2:6", "127.0.0.1 5", "10.0.0.2 6",
            "[::]:5 is shown as 127.0.0.1 port 5",
        ),
        (
            "0.0.0.0:5", "[::2]:6", "::1 5", "::2 6", "0.0.0.0:5 is shown as ::1 port 5",
        ),
        (
            "10.0.0.1:5", "[::2]:6", "::ffff:a00:1 5", "::2 6",
            f"10.0.0.1:5 is shown as {IPv6Address('::ffff:a00:1')} port 5",
        ),
        (
            "", "unix:/run/x:80", "127.0.0.1 49152", "127.0.0.1 1",
            "an unknown address is shown as 127.0.0.1 port 49152; "
            "unix:/run/x:80 is shown as 127.0.0.1 port 1",
        ),
        (
            "10.0.0.1:5", "example.org:80", "10.0.0.1 5", "127.0.0.1 80",
            "example.org:80 is shown as 127.0.0.1 port 80",
        ),
        (
            "10.0.0.1:99999", "10.0.0.2:٣", "127.0.0.1 49152", "10.0.0.2 1",
            "10.0.0.1:99999 is shown as 127.0.0.1 port 49152; "
            "10.0.0.2:٣ is shown as 10.0.0.2 port 1",
        ),
    ],
)  # fmt: skip
def test_addresses(local: str, remote: str, source: str, target: str, comment: str) -> None:
    found, told = first(local, remote)
    source = source.replace("::ffff:a00:1", str(ip_address("::ffff:a00:1")))  # 3.13 has dots
    assert (found.source, found.target, told) == (source, target, comment)


def test_made_up_endpoints_differ() -> None:
    streams = [first("unix:/run/x", "", place=place, dialled=False)[0] for place in range(3)]
    streams.append(first("unix:/run/x", "", place=capture.PORTS, dialled=False)[0])
    assert len({segment.target for segment in streams}) == 4
    assert {segment.source for segment in streams} == {"127.0.0.1 1"}


def test_a_comment_comes_once() -> None:
    made = packets_of(Stream(1, "unix", "", "unix:/x", dialled=True), 0)
    packets = [*made.open(), *made.message("sent", b"hi"), *made.close("")]
    assert [bool(packet.comment) for packet in packets] == [True] + [False] * 5


@given(st.text(), st.text(), st.booleans(), st.integers(0, 2**20))
def test_any_address_is_shown_somehow(local: str, remote: str, dialled: bool, place: int) -> None:
    first(local, remote, place=place, dialled=dialled)


def test_each_transport() -> None:
    kinds = {"tcp": TcpPackets, "unix": TcpPackets, "udp": UdpPackets, "unix-datagram": UdpPackets}
    for transport, kind in kinds.items():
        assert type(packets_of(TCP._replace(transport=transport), 0)) is kind
