"""Opening datagram sockets: addresses, groups, and what a port in use says."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import BindError, ConnectError, UsageError
from sockkit.events import Step
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import MAX_PAYLOAD
from sockkit.net.udp.open import UdpOptions, bind_datagrams, connect_datagrams
from tests.net import kit
from tests.net.udp import site as udp_site
from tests.net.udp.site import HERE, Site

loop, stack, site = kit.loop, kit.stack, udp_site.site


def test_a_port_in_use_is_an_error(site: Site) -> None:
    port = site.server().port
    assert port
    with pytest.raises(BindError, match=f"port {port} is in use"):
        bind_datagrams(
            site.context, ListenOptions(HostPort(HERE, port)), SocketOptions(), UdpOptions(), None
        )


def test_a_unix_address_is_none_for_udp(site: Site) -> None:
    with pytest.raises(UsageError, match="no address for UDP"):
        bind_datagrams(
            site.context, ListenOptions(UnixPath("/x")), SocketOptions(), UdpOptions(), None
        )


def test_a_group_is_heard(site: Site) -> None:
    server = site.server(udp=UdpOptions(join="239.1.2.3"))
    sender = site.plain()
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
    sender.sendto(b"hi", ("239.1.2.3", server.port or 0))
    assert site.receive(server, 1) == [b"hi"]


@pytest.mark.parametrize("group", ["ff02::7:8", "ff02::7:8%lo"])
def test_a_group_of_ipv6_is_joined_by_its_interface(group: str, site: Site) -> None:
    """Not every system has a route to send to one by its loopback."""
    site.server(udp=UdpOptions(join=group))
    joined = [line.split()[1:3] for line in Path("/proc/net/igmp6").read_text().splitlines()]
    assert ["lo", "ff020000000000000000000000070008"] in joined


def test_what_is_no_group(site: Site) -> None:
    with pytest.raises(UsageError, match="not a multicast group"):
        site.server(udp=UdpOptions(join="10.0.0.1"))


def test_to_a_group_answers_may_come_from_anybody(site: Site) -> None:
    group = HostPort("239.1.2.3", 9)
    sock, _ = next(
        connect_datagrams(
            site.context, group, ConnectOptions(), SocketOptions(), UdpOptions(), None
        )
    )
    sock.close()
    assert not sock.connected


def test_a_size_that_is_asked_for_is_that_of_the_buffer(site: Site) -> None:
    where, asked = ListenOptions(HostPort(HERE, 0)), SocketOptions(receive_buffer=50_000)
    with contextlib.closing(bind_datagrams(site.context, where, asked, UdpOptions(), None)) as sock:
        assert sock._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000


def test_broadcast_is_asked_for(site: Site) -> None:
    address = HostPort("127.255.255.255", 9)
    with pytest.raises(ConnectError) as caught:
        next(
            connect_datagrams(
                site.context, address, ConnectOptions(), SocketOptions(), UdpOptions(), None
            )
        )
    assert "--broadcast" in caught.value.hint
    sock, to = next(
        connect_datagrams(
            site.context,
            address,
            ConnectOptions(),
            SocketOptions(),
            UdpOptions(True),
            None,
        )
    )
    with contextlib.closing(sock):
        assert not sock.connected
        assert sock.send(b"x", MAX_PAYLOAD, to.address) == 1
    assert Step("setsockopt", "SO_BROADCAST = 1") in site.events
