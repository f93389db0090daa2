from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from pathlib import Path

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import BindError, ConnectError, SendError, SockkitError, UsageError
from sockkit.events import Event, Notice, Step
from sockkit.net import udp as module
from sockkit.net.connect import ConnectOptions
from sockkit.net.listen import ListenOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.udp import (
    LARGEST,
    DatagramOutbox,
    DatagramSocket,
    UdpOptions,
    bind_datagrams,
    connect_datagrams,
    segments,
)
from tests.net import kit
from tests.net.kit import fail_nth, noise, run_until

loop, stack = kit.loop, kit.stack
HERE = "127.0.0.1"


PLAIN = UdpOptions()


class Site:
    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []

    def server(
        self, host: str = HERE, size: int | None = None, udp: UdpOptions = PLAIN
    ) -> DatagramSocket:
        options = ListenOptions(HostPort(host, 0))
        sock = bind_datagrams(self.loop, options, SocketOptions(), udp, size, self.events.append)
        self._stack.callback(sock.close)
        return sock

    def client(self, port: int | None, host: str = HERE) -> DatagramSocket:
        assert port
        sock, _ = connect_datagrams(
            self.loop,
            HostPort(host, port),
            ConnectOptions(),
            SocketOptions(),
            UdpOptions(),
            None,
            self.events.append,
        )
        self._stack.callback(sock.close)
        return sock

    def plain(self, family: int = socket.AF_INET) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        sock.settimeout(5)
        return sock

    def receive(self, sock: DatagramSocket, count: int) -> list[bytes]:
        got: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(BlockingIOError):
                got.extend(sock.receive().datagrams())

        self.loop.when_readable(sock.descriptor, read)
        run_until(self.loop, lambda: len(got) >= count)
        self.loop.when_readable(sock.descriptor, None)
        return got


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop, stack)


@pytest.mark.parametrize("host", [HERE, "::1"])
def test_datagrams_keep_their_bounds(host: str, site: Site) -> None:
    server = site.server(host)
    client = site.client(server.port, host)
    datagrams = [b"", b"x", noise(1472), b"", noise(16384), noise(LARGEST)]
    for datagram in datagrams:
        assert client.send(datagram, LARGEST) == len(datagram)
    assert site.receive(server, len(datagrams)) == datagrams


@pytest.mark.parametrize("size", [1, 100, 1400, 40_000])
@pytest.mark.parametrize("kernel", [True, False])
def test_many_of_one_size(
    size: int, kernel: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr(module, "_UDP_SEGMENT", 9999)
        monkeypatch.setattr(module, "_UDP_GRO", 9999)
    receiver = site.plain()
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    receiver.bind((HERE, 0))
    server = site.server()
    data = noise(size * min(segments(size), 40) + size // 2)
    whole = [data[at : at + size] for at in range(0, len(data), size)]
    for port in (receiver.getsockname()[1], server.port):
        client = site.client(port)
        given = 0
        while given < len(data):
            given += client.send(data[given:], size)
    assert [receiver.recv(LARGEST) for _ in whole] == whole
    assert site.receive(server, len(whole)) == whole


def test_a_datagram_larger_than_the_buffer_tells_its_size(site: Site) -> None:
    server = site.server(size=10)
    site.client(server.port).send(b"0123456789abc", LARGEST)
    run_until(site.loop, lambda: True)
    got = server.receive()
    assert (bytes(got.data), got.true_size) == (b"0123456789", 13)


def test_a_refusal_is_told_to_a_client(site: Site) -> None:
    free = site.plain()
    free.bind((HERE, 0))
    port = free.getsockname()[1]
    free.close()
    client = site.client(port)
    client.send(b"x", LARGEST)
    with pytest.raises(ConnectError, match="connection refused"):
        site.receive(client, 1)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EHOSTUNREACH, errno.EMSGSIZE])
def test_what_cannot_be_sent(code: int, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.client(site.server().port)
    fail_nth(monkeypatch, socket.socket, "send", 1, OSError(code, os.strerror(code)))
    with pytest.raises(SendError):
        client.send(b"x", LARGEST)
    assert client.send(b"x", LARGEST) == 1


def test_what_came_too_fast_is_told(site: Site) -> None:
    sockets = SocketOptions(receive_buffer=4096)
    server = bind_datagrams(
        site.loop, ListenOptions(HostPort(HERE, 0)), sockets, UdpOptions(), None, site.events.append
    )
    client = site.client(server.port)
    for _ in range(100):
        client.send(bytes(1000), LARGEST)
    got = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.receive()
            got += 1
    client.send(b"last", LARGEST)
    server.receive()
    server.close()
    (notice,) = kit.of_kind(site.events, Notice)
    assert notice.text.endswith(f"at least {100 - got} are lost")


def test_bulk_has_a_pace(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACE", 1e7)
    client = site.client(site.server().port)
    began = time.perf_counter()
    assert client.send(bytes(1_000_000), 1000) == 1_000_000
    assert time.perf_counter() - began >= 0.09  # 64 datagrams a call: the last call waits for none
    for _ in range(1000):
        client.send(b"x", 1000)
    assert client._paced_until < began + 1, "single datagrams are not in bulk"


def test_a_port_in_use_is_an_error(site: Site) -> None:
    port = site.server().port
    assert port
    with pytest.raises(BindError, match=f"port {port} is in use"):
        bind_datagrams(
            site.loop, ListenOptions(HostPort(HERE, port)), SocketOptions(), UdpOptions(), None, id
        )


def test_a_unix_address_is_none_for_udp(site: Site) -> None:
    with pytest.raises(UsageError, match="no address for UDP"):
        bind_datagrams(
            site.loop, ListenOptions(UnixPath("/x")), SocketOptions(), UdpOptions(), None, id
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


def test_broadcast_is_asked_for(site: Site) -> None:
    address = HostPort("127.255.255.255", 9)
    with pytest.raises(ConnectError) as caught:
        connect_datagrams(
            site.loop, address, ConnectOptions(), SocketOptions(), UdpOptions(), None, id
        )
    assert "--broadcast" in caught.value.hint
    sock, to = connect_datagrams(
        site.loop,
        address,
        ConnectOptions(),
        SocketOptions(),
        UdpOptions(True),
        None,
        site.events.append,
    )
    with contextlib.closing(sock):
        assert not sock.connected
        assert sock.send(b"x", LARGEST, to.address) == 1
    assert Step("setsockopt", "SO_BROADCAST = 1") in site.events


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("call", ["send", "sendmsg"])
def test_the_outbox_keeps_what_the_system_does_not_take(
    nth: int, call: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = site.server()
    client = site.client(server.port)
    sent: list[int] = []
    empty: list[bool] = []
    failed: list[SockkitError] = []
    box = DatagramOutbox(
        site.loop,
        client,
        on_empty=lambda: empty.append(True),
        on_fail=failed.append,
        on_sent=lambda size, segment: sent.append(size),
    )
    fail_nth(monkeypatch, socket.socket, call, nth, BlockingIOError(errno.EAGAIN, "full"))
    datagrams = [bytes([number]) * 100 for number in range(20)]
    box.put(memoryview(bytearray(b"".join(datagrams[:10]))), 100)
    for datagram in datagrams[10:]:
        box.put(datagram, LARGEST)
    assert site.receive(server, 20) == datagrams
    assert (sum(sent), box.size, box.waits, failed) == (2000, 0, False, [])


def test_the_outbox_tells_what_is_not_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.server()
    failed: list[SockkitError] = []
    box = DatagramOutbox(
        site.loop, site.client(server.port), on_empty=lambda: None, on_fail=failed.append
    )
    fail_nth(monkeypatch, socket.socket, "send", 1, OSError(errno.EPERM, "no"))
    box.put(b"lost", LARGEST)
    box.put(b"kept", LARGEST)
    assert [type(error) for error in failed] == [SendError]
    assert site.receive(server, 1) == [b"kept"]
