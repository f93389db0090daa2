"""Opening datagram sockets: addresses, groups, and what a port in use says."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import BindError, ConnectError, TimedOut, UsageError
from sockkit.events import SocketCall
from sockkit.net import internet
from sockkit.net.endpoint import Endpoint
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES
from sockkit.net.udp.open import Route, UdpOptions, bind_datagrams, find_routes
from sockkit.net.waiting import wait_for
from tests.net import kit
from tests.net.udp import site as udp_site
from tests.net.udp.site import HERE, Site

loop, stack, site = kit.loop, kit.stack, udp_site.site


def test_a_port_in_use_is_an_error(site: Site) -> None:
    port = site.server().port
    assert port
    with pytest.raises(BindError, match=f"port {port} is in use"):
        kit.bound(site.loop, ListenOptions(HostPort(HERE, port)))


def test_a_unix_address_has_no_groups_and_no_broadcast(site: Site) -> None:
    with pytest.raises(UsageError, match="--join cannot be used with unix:/x"):
        kit.bound(site.loop, ListenOptions(UnixPath("/x")), udp=UdpOptions(join="239.1.2.3"))
    with pytest.raises(UsageError, match="--broadcast cannot be used with unix:/x"):
        next(kit.aimed(site.loop, UnixPath("/x"), UdpOptions(broadcast=True)))


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
    sock, _ = next(kit.aimed(site.loop, group))
    sock.close()
    assert not sock.connected


def test_a_size_that_is_asked_for_is_that_of_the_buffer(site: Site) -> None:
    where, asked = ListenOptions(HostPort(HERE, 0)), SocketOptions(receive_buffer=50_000)
    with contextlib.closing(kit.bound(site.loop, where, asked)) as sock:
        assert sock._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000


def test_broadcast_is_asked_for(site: Site) -> None:
    address = HostPort("127.255.255.255", 9)
    with pytest.raises(ConnectError) as caught:
        next(kit.aimed(site.loop, address))
    assert "--broadcast" in caught.value.hint
    sock, to = next(kit.aimed(site.loop, address, UdpOptions(True), emit=site.events.append))
    with contextlib.closing(sock):
        assert not sock.connected
        assert sock.send(b"x", MAX_PAYLOAD_BYTES, to.address) == 1
    assert SocketCall("setsockopt", "SO_BROADCAST = 1") in site.events


Finding = Callable[[HostPort, ConnectOptions], list[Route]]


@pytest.fixture
def routes(site: Site) -> Finding:
    """What is found for an address; `twice` is a name that has addresses of both families."""

    def find(to: HostPort, options: ConnectOptions) -> list[Route]:
        context = kit.context(site.loop)
        return wait_for(site.loop, partial(find_routes, context, to, options, SocketOptions()))

    return find


V4, V6 = Endpoint(socket.AF_INET, (HERE, 9)), Endpoint(socket.AF_INET6, ("::1", 9, 0, 0))


def knows(patch: pytest.MonkeyPatch, name: str, endpoints: list[Endpoint]) -> None:
    """Have the resolver know one name."""
    real = internet.look_up

    def look_up(address: HostPort, family: int, *, numeric: bool = False) -> list[Endpoint]:
        if address.host != name or numeric:
            return real(address, family, numeric=True)
        return endpoints

    patch.setattr(internet, "look_up", look_up)


def test_each_address_of_a_name_is_a_route(
    routes: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, "twice", [V6, V4])
    assert routes(HostPort("twice", 9), ConnectOptions()) == [Route(V6), Route(V4)]
    source = ConnectOptions(source=HostPort("127.0.0.2", 0))
    mine = Endpoint(socket.AF_INET, ("127.0.0.2", 0))
    assert routes(HostPort("twice", 9), source) == [Route(V4, mine)]


def test_our_end_may_be_a_name_too(routes: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Endpoint(socket.AF_INET, ("127.0.0.2", 0))
    knows(monkeypatch, "mine", [other, V6, V4])  # of each family the first
    to, mine = HostPort(HERE, 9), ConnectOptions(source=HostPort("mine", 0))
    assert routes(to, mine) == [Route(V4, other)]
    assert routes(HostPort("::1", 9), mine) == [Route(V6, V6)]


@pytest.mark.parametrize("source", ["::1", "nowhere.invalid"])
def test_our_end_has_to_be_of_the_same_family(
    source: str, routes: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, "", [])
    with pytest.raises(BindError, match=f"could not use {source} to reach {HERE} port 9"):
        routes(HostPort(HERE, 9), ConnectOptions(source=HostPort(source, 0)))


@pytest.mark.parametrize("slow", ["name", "source"])
def test_a_resolver_that_does_not_answer_is_given_up(
    slow: str, site: Site, routes: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internet, "start_new_thread", lambda *_: None)
    knows(monkeypatch, "", [])
    kit.skip_time(site.loop, monkeypatch)
    to, source = HostPort(HERE if slow == "source" else "slow", 9), HostPort("slow", 0)
    began = site.loop.now
    with pytest.raises(TimedOut, match="could not resolve slow: no answer within 7 s"):
        routes(to, ConnectOptions(7.0, source if slow == "source" else None))
    assert round(site.loop.now - began) == 7


def test_binding_may_be_given_up_while_its_name_is_looked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internet, "start_new_thread", lambda *_: None)
    knows(monkeypatch, "", [])
    told: list[object] = []
    where = ListenOptions(HostPort("slow", 0))
    context = kit.context(site.loop, emit=site.events.append)
    bind_datagrams(context, where, SocketOptions(), UdpOptions(), told.append).cancel()
    kit.settle(site.loop)
    assert (told, site.events) == ([], [SocketCall("getaddrinfo", "slow:0")])


@pytest.mark.parametrize(("call", "where"), [("bind", "bind"), ("setsockopt", "group")])
def test_a_call_that_fails_leaves_no_socket(
    call: str, where: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    join = UdpOptions(join="239.1.2.3") if where == "group" else UdpOptions()
    only = lambda *given: call == "bind" or given[2] == socket.IP_ADD_MEMBERSHIP  # noqa: E731
    kit.fail_nth(monkeypatch, socket.socket, call, 1, error, only)
    with pytest.raises(BindError, match=os.strerror(errno.ENODEV)[1:]):
        site.server(udp=join)
