"""Datagrams between sockets of one loop: their bounds, their pace, and what is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time

import pytest

from sockkit.core.access import AccessList, Network, parse_rule
from sockkit.core.address import HostPort
from sockkit.errors import ConnectError, ReceiveError, SendError, SockkitError
from sockkit.events import Event, Notice, SocketCall
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp import datagrams as module
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramOutbox, segments
from tests.net import kit
from tests.net.kit import fail_nth, noise, run_until
from tests.net.udp import site as udp_site
from tests.net.udp.site import HERE, Full, Site

loop, stack, site = kit.loop, kit.stack, udp_site.site


@pytest.mark.parametrize("host", [HERE, "::1"])
def test_datagrams_keep_their_bounds(host: str, site: Site) -> None:
    server = site.server(host)
    client = site.client(server.port, host)
    datagrams = [b"", b"x", noise(1472), b"", noise(16384), noise(MAX_PAYLOAD_BYTES)]
    for datagram in datagrams:
        assert client.send(datagram, MAX_PAYLOAD_BYTES) == len(datagram)
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
    assert [receiver.recv(MAX_PAYLOAD_BYTES) for _ in whole] == whole
    assert site.receive(server, len(whole)) == whole


def test_how_many_a_call_may_send() -> None:
    assert [segments(size) for size in (1, 1000, 1400, MAX_PAYLOAD_BYTES)] == [64, 64, 46, 1]


def test_a_datagram_larger_than_the_buffer_tells_its_size(site: Site) -> None:
    server = site.server(buffer_size=10)
    site.client(server.port).send(b"0123456789abc", MAX_PAYLOAD_BYTES)
    run_until(site.loop, lambda: True)
    got = server.receive()
    assert (bytes(got.data), got.true_size) == (b"0123456789", 13)


def test_a_refusal_is_told_to_a_client(site: Site) -> None:
    free = site.plain()
    free.bind((HERE, 0))
    port = free.getsockname()[1]
    free.close()
    client = site.client(port)
    client.send(b"x", MAX_PAYLOAD_BYTES)
    with pytest.raises(ConnectError, match="connection refused"):
        site.receive(client, 1)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EHOSTUNREACH, errno.EMSGSIZE])
def test_what_cannot_be_sent(code: int, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.client(site.server().port)
    fail_nth(monkeypatch, socket.socket, "send", 1, OSError(code, os.strerror(code)))
    with pytest.raises(SendError):
        client.send(b"x", MAX_PAYLOAD_BYTES)
    assert client.send(b"x", MAX_PAYLOAD_BYTES) == 1


def test_what_came_too_fast_is_told(site: Site) -> None:
    sockets = SocketOptions(receive_buffer=4096)
    options = ListenOptions(HostPort(HERE, 0))
    server = kit.bound(site.loop, options, sockets, emit=site.events.append)
    client = site.client(server.port)
    for _ in range(100):
        client.send(bytes(1000), MAX_PAYLOAD_BYTES)
    got = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.receive()
            got += 1
    client.send(b"last", MAX_PAYLOAD_BYTES)
    server.receive()
    server.close()
    (notice,) = kit.of_kind(site.events, Notice)
    assert notice.text.endswith(f"at least {100 - got} lost")


def test_bulk_has_a_pace(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BULK_BYTES_PER_SECOND", 1e7)
    client = site.client(site.server().port)
    began = time.perf_counter()
    assert client.send(bytes(1_000_000), 1000) == 1_000_000
    assert time.perf_counter() - began >= 0.09  # 64 datagrams a call: the last call waits for none
    paced = client._paced_until
    for _ in range(10):
        client.send(b"x", 1000)
    assert client._paced_until == paced, "single datagrams are not in bulk"


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
        client,
        on_empty=lambda: empty.append(True),
        on_fail=failed.append,
        on_sent=lambda size, segment: sent.append(size),
    )
    fail_nth(monkeypatch, socket.socket, call, nth, BlockingIOError(errno.EAGAIN, "full"))
    datagrams = [bytes([number]) * 100 for number in range(20)]
    for first in (0, 3, 6):
        box.put(memoryview(bytearray(b"".join(datagrams[first : first + 3]))), 100)
    for datagram in datagrams[9:]:
        box.put(datagram, MAX_PAYLOAD_BYTES)
    assert site.receive(server, 20) == datagrams
    assert (sum(sent), box.size, box.waits, failed) == (2000, 0, False, [])


def test_the_outbox_tells_what_is_not_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.server()
    failed: list[SockkitError] = []
    box = DatagramOutbox(site.client(server.port), on_empty=lambda: None, on_fail=failed.append)
    fail_nth(monkeypatch, socket.socket, "send", 1, OSError(errno.EPERM, "no"))
    box.put(b"lost", MAX_PAYLOAD_BYTES)
    box.put(b"kept", MAX_PAYLOAD_BYTES)
    assert [type(error) for error in failed] == [SendError]
    assert site.receive(server, 1) == [b"kept"]


def test_the_outbox_counts_what_it_keeps(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = site.server(), site.client(site.server().port)
    box = DatagramOutbox(client, on_empty=lambda: None, on_fail=lambda _: None)
    system = Full(monkeypatch, client)
    for data in (b"abc", b"", b"de"):
        box.put(data, MAX_PAYLOAD_BYTES)
    assert (box.size, box.waits) == (5, True)
    box.stop()
    assert (box.size, box.waits) == (0, False)
    box.put(b"", MAX_PAYLOAD_BYTES)
    assert (box.size, box.waits) == (0, True)  # an empty datagram waits as well
    system.off()
    box.use(site.client(server.port))
    box.put(b"next", MAX_PAYLOAD_BYTES)
    assert site.receive(server, 1) == [b"next"]


def test_so_much_is_received_in_a_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECEIVES_PER_TURN", 3)
    server = site.server()
    client = site.client(server.port)
    for number in range(4):
        client.send(b"%d" % number, MAX_PAYLOAD_BYTES)
    run_until(site.loop, lambda: True)
    got = [[bytes(got.data) for got in server.incoming(pytest.fail)] for _ in range(3)]
    assert got == [[b"0", b"1", b"2"], [b"3"], []]


@pytest.mark.parametrize(("host", "rule"), [(HERE, "::ffff:127.0.0.0/104"), ("::1", "::1")])
def test_datagrams_that_are_refused_are_dropped_and_counted(
    host: str, rule: str, site: Site
) -> None:
    """One event for each, also where the system hands several over at once."""
    denied = parse_rule(rule)
    assert isinstance(denied, Network)
    server = site.server("::", access=AccessList(None, [denied]))
    client = site.client(server.port, host)
    for data in (b"", b"abcd" * 10 + b"ab"):
        client.send(data, 4)
    allowed = site.client(server.port, "::1" if host == HERE else HERE)
    allowed.send(b"allowed", MAX_PAYLOAD_BYTES)
    run_until(site.loop, lambda: True)
    assert [bytes(got.data) for got in server.incoming(pytest.fail)] == [b"allowed"]
    told = [(event.text, event.kind) for event in kit.of_kind(site.events, Notice)]
    sender = client.address
    assert told == 12 * [
        (
            f"dropped a datagram from {sender} (denied by --deny)",
            "dropped a datagram (denied by --deny)",
        )
    ]


def test_so_many_are_refused_in_a_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECEIVES_PER_TURN", 3)
    server = site.server(access=AccessList([], []))
    client = site.client(server.port)
    for _ in range(4):
        client.send(b"x", MAX_PAYLOAD_BYTES)
    run_until(site.loop, lambda: True)
    assert list(server.incoming(pytest.fail)) == []
    assert len(kit.of_kind(site.events, Notice)) == 3


def test_a_receive_that_fails_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.server()
    site.client(server.port).send(b"x", MAX_PAYLOAD_BYTES)
    failed: list[SockkitError] = []
    fail_nth(monkeypatch, socket.socket, "recvmsg_into", 1, OSError(errno.ENOMEM, "no memory"))
    assert list(server.incoming(failed.append)) == []
    assert [type(error) for error in failed] == [ReceiveError]
    assert [bytes(got.data) for got in server.incoming(pytest.fail)] == [b"x"]


def test_a_socket_that_is_closed_waits_for_nothing(site: Site) -> None:
    server = site.server()
    number = server._socket.fileno()
    server.when_readable(pytest.fail)
    server.when_writable(pytest.fail)
    server.close()
    server.close()
    other = site.server()
    assert other._socket.fileno() == number
    client = site.client(other.port)
    client.send(b"x", MAX_PAYLOAD_BYTES)
    assert site.receive(other, 1) == [b"x"]


def test_one_that_is_adopted_waits_on_another_loop(site: Site) -> None:
    server = site.server()
    site.client(server.port).send(b"x", MAX_PAYLOAD_BYTES)
    events: list[Event] = []
    with Loop() as other:
        server.adopt(kit.context(other, emit=events.append))
        server.when_readable(other.stop)
        other.run()
        server.close()
    assert kit.of_kind(events, SocketCall)


def test_when_something_was_sent_or_received_last(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(site.loop, monkeypatch)
    denied = parse_rule("127.0.0.2")
    assert isinstance(denied, Network)
    server = site.server(access=AccessList(None, [denied]))
    client, refused = site.client(server.port), site.plain()
    refused.bind(("127.0.0.2", 0))

    def passes() -> float:
        """A second passes, and what has come is received."""
        clock.passes(1.0)
        kit.settle(site.loop)
        for _ in server.incoming(pytest.fail):
            pass
        return site.loop.now

    began = site.loop.now
    refused.sendto(b"x", (HERE, server.port))
    passes()
    assert (server.used, server.active_at) == (False, began)
    client.send(b"x", 1)
    assert (client.used, client.active_at) == (False, site.loop.now)
    assert passes() == server.active_at
    assert server.used
