"""The target of a relay over UDP."""

from __future__ import annotations

import socket

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import UsageError
from sockkit.events import Peer
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.relay.udp_target import Target
from sockkit.net.udp.open import Route
from tests.net import kit
from tests.support import HERE

loop, stack = kit.loop, kit.stack
ONE, TWO = (HERE, 20_001), (HERE, 20_002)  # nothing is sent there


def target(loop: Loop, *at: tuple[str, int]) -> Target:
    routes = [Route(Endpoint(socket.AF_INET, address)) for address in at]
    return Target(kit.context(loop), HostPort("a.example", 1), routes, SocketOptions())


def test_each_peer_has_a_socket_and_all_have_one_buffer(loop: Loop, stack: kit.Stack) -> None:
    made = target(loop, ONE)
    one, two = made.open(Peer(1, "a")), made.open(Peer(2, "b"))
    stack.callback(one.close)
    stack.callback(two.close)
    assert one.address != two.address
    assert one._buffer is two._buffer
    assert str(one.remote) == f"{HERE}:20001"


def test_a_group_is_no_target(loop: Loop) -> None:
    with pytest.raises(UsageError, match="is a group"):
        target(loop, ("239.1.2.3", 5000))


def test_the_address_after_one_that_refuses_is_used(loop: Loop, stack: kit.Stack) -> None:
    made = target(loop, ONE, TWO)
    first, second = made.open(Peer(1, "a")), made.open(Peer(2, "b"))
    assert made.others == 1
    assert made.is_at(f"{HERE}:20001")
    assert made.is_at(f"{HERE}:20002")
    made.refused(first)
    made.refused(second)  # to the same address: told twice, it counts once
    third = made.open(Peer(3, "c"))
    assert str(third.remote) == f"{HERE}:20002"
    for sock in (first, second, third):
        stack.callback(sock.close)
