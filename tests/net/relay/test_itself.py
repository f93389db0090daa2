from __future__ import annotations

import socket

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.events import Peer
from sockkit.net.endpoint import Endpoint, to_address
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.relay.itself import OwnConnections, check_target
from tests.net import kit
from tests.support import HERE

loop = kit.loop

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
        (HostPort("0.0.0.0", 80), HostPort("::1", 80)),
        (HostPort(HERE, 80), UnixPath("/tmp/x")),
        (UnixPath("/tmp/y"), UnixPath("/tmp/x")),
    ],
)
def test_a_target_that_is_another(listen: Address, target: Address) -> None:
    check_target(listen, target)


def client(loop: Loop, sock: socket.socket) -> SocketEnd:
    """The end that `sock` was accepted as."""
    remote = to_address(sock.getpeername())
    return SocketEnd(loop, sock, Peer(1, str(remote)), lambda _: None, remote)


def test_a_client_that_is_a_connection_of_ours(loop: Loop) -> None:
    ours = OwnConnections(TARGET)
    with socket.create_server((HERE, 0)) as listener:
        to = Endpoint(socket.AF_INET, listener.getsockname())
        sock, other = (socket.create_connection(listener.getsockname()) for _ in range(2))
        ours.add(sock, to)
        accepted = client(loop, listener.accept()[0])
        others = client(loop, listener.accept()[0])
        told = f"the target {TARGET} is this relay itself: give another target"
        assert str(ours.refusal(accepted)) == told
        assert ours.refusal(others) is None
        sock.close()
        assert ours.refusal(accepted) is None  # another may have its port now
        del sock
        assert not ours._sockets
        for each in (other, accepted, others):
            each.close()


def test_a_client_whose_port_we_use_as_well(loop: Loop) -> None:
    """Its connection is to another address than ours, so both may have the same port."""
    ours = OwnConnections(TARGET)
    with (
        socket.create_server((HERE, 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
    ):
        ours.add(sock, Endpoint(socket.AF_INET, (HERE, 9)))
        accepted = client(loop, listener.accept()[0])
        assert ours.refusal(accepted) is None
        accepted.close()


def test_unix_connections_have_no_addresses(loop: Loop) -> None:
    ours = OwnConnections(TARGET)
    one, other = socket.socketpair()
    with one:
        ours.add(one, Endpoint(socket.AF_UNIX, ""))
        end = SocketEnd(loop, other, Peer(1, "unix"), lambda _: None)
        assert ours.refusal(end) is None
        end.close()
