"""Socket options reach the kernel, and each is told as a step."""

from __future__ import annotations

import socket

import pytest

from sockkit.errors import UsageError
from sockkit.events import Event, SocketCall
from sockkit.net.options import SocketOptions

SETTINGS = [
    ("reuse_address", True, socket.SOL_SOCKET, socket.SO_REUSEADDR),
    ("reuse_port", True, socket.SOL_SOCKET, socket.SO_REUSEPORT),
    ("no_delay", True, socket.IPPROTO_TCP, socket.TCP_NODELAY),
    ("keepalive", True, socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ("send_buffer", 50_000, socket.SOL_SOCKET, socket.SO_SNDBUF),
    ("receive_buffer", 60_000, socket.SOL_SOCKET, socket.SO_RCVBUF),
]
FAMILIES = [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize(("name", "value", "level", "option"), SETTINGS)
def test_an_option_is_set_only_when_asked_for(
    name: str, value: int, level: int, option: int, family: int
) -> None:
    plain = SocketOptions().open(family, lambda _: None)
    events: list[Event] = []
    told = SocketOptions(**{name: value}).open(family, events.append)
    with plain, told:
        wanted = value * 2 if value > 1 else 1  # socket(7): the kernel doubles buffers
        assert told.getsockopt(level, option) == wanted
        assert plain.getsockopt(level, option) != wanted
    assert [event.call for event in events if isinstance(event, SocketCall)] == [
        "socket",
        "setsockopt",
    ]


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="tcp(7)")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_peer_may_be_asked_whether_it_is_still_there(family: int) -> None:
    with SocketOptions(probe_after=7).open(family, lambda _: None) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7


@pytest.mark.parametrize(
    ("family", "level", "names"),
    [
        (socket.AF_INET, socket.IPPROTO_IP, ("IP_TTL", "IP_MULTICAST_TTL", "IP_TOS")),
        (
            socket.AF_INET6,
            socket.IPPROTO_IPV6,
            ("IPV6_UNICAST_HOPS", "IPV6_MULTICAST_HOPS", "IPV6_TCLASS"),
        ),
        (socket.AF_INET6, socket.IPPROTO_IP, ("IP_TTL", "IP_TTL", "IP_TOS")),  # IPv4 on it
    ],
)
def test_what_every_datagram_carries(family: int, level: int, names: tuple[str, ...]) -> None:
    options = SocketOptions(ttl=5, tos=8)
    with options.open(family, lambda _: None, socket.SOCK_DGRAM) as sock:
        assert [sock.getsockopt(level, getattr(socket, name)) for name in names] == [5, 5, 8]


def test_a_unix_socket_takes_buffers_and_is_spared_what_is_of_the_internet() -> None:
    options = SocketOptions(None, True, True, True, True, 50_000, 60_000)
    events: list[Event] = []
    with options.open(socket.AF_UNIX, events.append) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 100_000
    assert SocketCall("socket", "unix, stream") in events
    assert len(events) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stream_socket_of_the_family(family: int) -> None:
    with SocketOptions().open(family, lambda _: None) as sock:
        assert (sock.family, sock.type) == (family, socket.SOCK_STREAM)


@pytest.mark.parametrize(
    ("family", "expected"), [(4, socket.AF_INET), (6, socket.AF_INET6), (None, socket.AF_UNSPEC)]
)
def test_families(family: int | None, expected: int) -> None:
    assert SocketOptions(family=family).families() == expected


def test_a_socket_for_datagrams_shares_no_port_unless_that_is_asked_for() -> None:
    streams = SocketOptions(6, True, False, True, True, 5, 6, 7, 8)
    assert streams.for_datagrams() == SocketOptions(
        6, send_buffer=5, receive_buffer=6, ttl=7, tos=8
    )
    assert SocketOptions(reuse_port=True).for_datagrams() == SocketOptions(reuse_port=True)


@pytest.mark.parametrize("missing", [True, False], ids=["no such option", "refused"])
def test_what_the_system_does_not_set_is_a_usage_error_and_leaks_nothing(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(92, "Protocol not available")

    opened: list[socket.socket] = []
    real = socket.socket

    class Recorded(real):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            opened.append(self)

        if not missing:
            setsockopt = refuse

    if missing:
        monkeypatch.delattr(socket, "SO_REUSEPORT")
    monkeypatch.setattr(socket, "socket", Recorded)
    with pytest.raises(UsageError, match="does not support SO_REUSEPORT"):
        SocketOptions(reuse_port=True).open(socket.AF_INET, lambda _: None)
    assert [sock.fileno() for sock in opened] == [-1]
