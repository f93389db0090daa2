from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.packets import ACK, MAX_DATAGRAM, MAX_SEGMENT, PSH, SYN, Endpoint, Sender
from tests.pcapng import Segment, parse

ports = st.integers(0, 65535)
numbers = st.integers(0, 2**33)
v4, v6 = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
senders = st.one_of(
    st.builds(Sender, st.builds(Endpoint, address, ports), st.builds(Endpoint, address, ports))
    for address in (v4, v6)
)
HERE = Endpoint(ipaddress.ip_address("10.0.0.1").packed, 4000)
THERE = Endpoint(ipaddress.ip_address("10.0.0.2").packed, 80)


@given(senders, st.binary())
def test_a_datagram(sender: Sender, data: bytes) -> None:
    assert parse(sender.udp(data)).data == data


@given(senders, st.sampled_from([SYN, SYN | ACK, ACK, PSH | ACK]), numbers, numbers, st.binary())
def test_a_segment(sender: Sender, flags: int, sequence: int, ack: int, data: bytes) -> None:
    found = parse(sender.tcp(flags, sequence, ack, data))
    assert (found.sequence, found.acknowledged) == (sequence % 2**32, ack % 2**32)
    assert found.data == data


def test_its_fields() -> None:
    assert parse(Sender(HERE, THERE).tcp(PSH | ACK, 5, 7, b"hi")) == Segment(
        "10.0.0.1 4000", "10.0.0.2 80", 6, "PA", 5, 7, b"hi", 65535
    )
    assert parse(Sender(THERE, HERE).udp(b"hi")) == Segment(
        "10.0.0.2 80", "10.0.0.1 4000", 17, "", 0, 0, b"hi"
    )


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"x"])
def test_the_longest(byte: bytes) -> None:
    sender = Sender(HERE, THERE)
    assert len(sender.udp(byte * MAX_DATAGRAM)) == 65535
    assert parse(sender.udp(byte * MAX_DATAGRAM)).data == byte * MAX_DATAGRAM
    assert len(sender.tcp(ACK, 0, 0, byte * MAX_SEGMENT)) == 65535
    assert parse(sender.tcp(ACK, 0, 0, byte * MAX_SEGMENT)).data == byte * MAX_SEGMENT


def test_a_datagram_never_says_that_it_has_no_checksum() -> None:
    sender = Sender(HERE, THERE)
    words = (word.to_bytes(2, "big") for word in range(65536))
    (sums_to_zero,) = (word for word in words if sender.udp(word)[26:28] == b"\xff\xff")
    assert parse(sender.udp(sums_to_zero)).data == sums_to_zero
