from __future__ import annotations

import socket

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.net.endpoint import to_address
from sockkit.net.relay.itself import OwnConnections, check_target
from tests.support import HERE

TARGET = HostPort("there.example", 80)


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        (HostPort(HERE, 80), HostPort(HERE, 80)),
        (HostPort("::1", 80), HostPort("0:0::1", 80)),
        (HostPort("0.0.0.0", 80), HostPort("127.0.0.2", 80)),
        (HostPort("::", 80), HostPort(HERE, 80)),
        (UnixPath("/tmp/x"), UnixPath("/tmp/x")),
    ],
)
def test_a_target_that_is_the_relay(listen: Address, target: Address) -> None:
    with pytest.raises(UsageError, match="is this relay itself"):
        check_target(listen, target)


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        (HostPort(HERE, 80), HostPort(HERE, 81)),
        (HostPort(HERE, 80), HostPort("127.0.0.2", 80)),
        (HostPort(HERE, 80), HostPort("localhost", 80)),  # it may have another address as well
        (HostPort("0.0.0.0", 80), HostPort("192.0.2.1", 80)),  # of no machine: RFC 5737
        (HostPort(HERE, 80), UnixPath("/tmp/x")),
        (UnixPath("/tmp/y"), UnixPath("/tmp/x")),
    ],
)
def test_a_target_that_is_another(listen: Address, target: Address) -> None:
    check_target(listen, target)


def test_a_client_that_is_a_connection_of_ours() -> None:
    ours = OwnConnections(TARGET)
    with socket.create_server((HERE, 0)) as listener:
        sock, other = (socket.create_connection(listener.getsockname()) for _ in range(2))
        ours.add(sock)
        name, others = to_address(sock.getsockname()), to_address(other.getsockname())
        assert str(ours.refusal(name)) == f"the target {TARGET} is this relay itself"
        assert ours.refusal(others) is None
        other.close()
        sock.close()
        assert ours.refusal(name) is None  # another may have its port now
        del sock
        assert not ours._sockets


def test_unix_connections_have_no_addresses() -> None:
    ours = OwnConnections(TARGET)
    for sock in socket.socketpair():
        with sock:
            ours.add(sock)
    assert ours.refusal(None) is None
