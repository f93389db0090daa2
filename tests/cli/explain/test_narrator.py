from __future__ import annotations

import errno
from typing import get_args

import pytest

from sockkit.cli.explain.en import SENTENCES
from sockkit.cli.explain.narrator import TELLERS
from sockkit.core.records import Message, Opened, Stream
from sockkit.errors import (
    NO_ANSWER,
    REFUSED,
    BindError,
    ConnectError,
    ReceiveError,
    ResolveError,
    SockkitError,
    TimedOut,
)
from sockkit.events import (
    Answer,
    Closed,
    CommandsOffered,
    ConnectFailed,
    Connecting,
    DatagramTotal,
    Event,
    Failure,
    FaultInjected,
    FrameTotal,
    HalfClosed,
    Hint,
    Listening,
    Named,
    NewPeer,
    Notice,
    Peer,
    PeerForgotten,
    ProgramEnded,
    ProgramStarted,
    SocketCall,
    StreamTotal,
    TargetChosen,
    Transferred,
    Unanswered,
    Unreachable,
    Waiting,
)
from tests.cli.explain.kit import (
    FIRST,
    LOCAL,
    SERVER,
    Lesson,
    client,
    listening,
    server,
    stream,
)

# What the renderer shows anyway, as errors and notices.
_SHOWN = {
    Answer, CommandsOffered, Failure, FaultInjected, Hint, Named, Notice, Transferred, Unreachable,
    Waiting,
}  # fmt: skip
# What another step tells: the calls socket and connect, the call shutdown, a recv, the close.
_TOLD_OTHERWISE = {Connecting, HalfClosed, NewPeer, Closed, StreamTotal, FrameTotal}
_NO_STEP = {PeerForgotten, Unanswered}  # the command's own decisions: no socket is involved
SILENT = _SHOWN | _TOLD_OTHERWISE | _NO_STEP


def test_every_event_is_told_or_silent_on_purpose() -> None:
    assert set(get_args(Event)) == set(TELLERS) | SILENT
    assert set() == set(TELLERS) & SILENT


def test_what_is_silent_tells_nothing() -> None:
    lesson = client()
    told = lesson.tell(
        HalfClosed(SERVER, answered=True),
        Closed(SERVER, 1, 2),
        StreamTotal(SERVER, "sent", 5, "copy", 0.1),
        Notice("look"),
        Failure("lost"),
        Hint("try"),
    )
    assert told.steps == []


def test_a_server_listens() -> None:
    told = Lesson(serves=True).tell(*listening())
    assert told.code == [
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)",
        "s.bind(('127.0.0.1', 8080))",
        "s.listen(5)",
        "conn, addr = s.accept()",
    ]
    assert told.keys == [
        "socket.ip.stream",
        "option.SO_REUSEADDR",
        "bind.loopback",
        "listen",
        "wait.stream",
    ]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1:80", "bind.loopback"),
        ("[::1]:80", "bind.loopback"),
        ("0.0.0.0:80", "bind.every"),
        ("[::]:80", "bind.every"),
        ("10.0.0.7:80", "bind.address"),
        ("239.1.2.3:80", "bind.group"),
        ("[ff02::1%lo]:80", "bind.group"),
        ("unix:/tmp/s", "bind.unix"),
        ("unix:@s", "bind.abstract"),
    ],
)
def test_what_a_server_is_bound_to(address: str, key: str) -> None:
    lesson = Lesson(serves=True)
    lesson.tell(SocketCall("socket", "IPv4, stream"))
    assert lesson.tell(SocketCall("bind", address)).keys == [key]


def test_the_system_chooses_the_port_of_a_server() -> None:
    told = Lesson(serves=True).tell(*listening("127.0.0.1:0"))
    assert told.code[-2:] == ["s.getsockname()", "conn, addr = s.accept()"]
    assert "bind.any_port" in told.keys
    assert "port.chosen" in told.keys
    assert "The kernel has chosen port 8080." in told.text


@pytest.mark.parametrize(
    ("reason", "key"),
    [("connection refused", "connect.refused"), ("network is unreachable", "connect.failed")],
)
def test_a_connection_that_fails(reason: str, key: str) -> None:
    lesson = Lesson()
    lesson.tell(SocketCall("socket", "IPv4, stream"), SocketCall("connect", SERVER.address))
    assert lesson.tell(ConnectFailed(SERVER.address, reason)).keys == [key]


def test_datagrams_of_unix_sockets() -> None:
    to, mine = "unix:/tmp/s", "unix:/tmp/mine"
    of = Stream(0, "unix-datagram", mine, to, dialled=True)
    told = Lesson().tell(
        SocketCall("socket", "unix, datagram"),
        SocketCall("connect", to),
        SocketCall("bind", mine),
        TargetChosen(to, mine),
        Message(0, of, "sent", b"a"),
        Message(0, of, "received", b"b"),
        DatagramTotal("received", 1, 1),
    )
    assert told.keys == [
        "socket.unix.datagram",
        "connect.datagram.unix",
        "bind.source.unix",
        "size",
        "sendto.unix",
        "data",
        "recvfrom.unix",
        "datagrams.received.unix",
    ]


def test_the_address_option_of_a_datagram_socket_is_no_matter_of_time_wait() -> None:
    told = Lesson().tell(
        SocketCall("socket", "IPv4, datagram"), SocketCall("setsockopt", "SO_REUSEADDR = 1")
    )
    assert told.keys[-1] == "option.SO_REUSEADDR.datagram"


def test_the_listener_is_closed() -> None:
    lesson = server()
    told = lesson.tell(SocketCall("close", f"the listener on {LOCAL}"))
    assert told.steps == [("s.close()", ("close.listener",))]


# Datagrams.


def datagram_client(*more: SocketCall) -> Lesson:
    lesson = Lesson()
    lesson.tell(
        SocketCall("socket", "IPv4, datagram"), *more, TargetChosen(SERVER.address, FIRST.address)
    )
    return lesson


def test_a_datagram_client_that_connects() -> None:
    lesson = datagram_client(SocketCall("connect", SERVER.address))
    of = stream(transport="udp")
    told = lesson.tell(Opened(0, of), Message(0, of, "sent", b"a"), Message(0, of, "received", b""))
    assert told.steps == [
        ("s.send(b'a')", ("size", "sendto")),
        ("data = s.recv(n)", ("data", "recvfrom")),
    ]


def test_a_datagram_client_that_does_not() -> None:
    of = stream(transport="udp")
    told = datagram_client().tell(Message(0, of, "sent", b"a"), Message(0, of, "received", b"b"))
    assert told.code == ["s.sendto(b'a', ('127.0.0.1', 8080))", "data, addr = s.recvfrom(n)"]


def test_the_port_of_a_datagram_client() -> None:
    lesson = Lesson()
    told = lesson.tell(
        SocketCall("socket", "IPv4, datagram"),
        SocketCall("connect", SERVER.address),
        TargetChosen(SERVER.address, FIRST.address),
    )
    assert told.keys == ["socket.ip.datagram", "connect.datagram", "target.port"]
    assert "50001" in told.text[-1]


def test_a_datagram_server() -> None:
    lesson = Lesson(serves=True)
    told = lesson.tell(
        SocketCall("socket", "IPv4, datagram"),
        SocketCall("bind", LOCAL),
        Listening(LOCAL, loopback=True),
    )
    assert told.code[-1] == "data, addr = s.recvfrom(n)"
    assert told.keys[1:] == ["bind.loopback", "bind.datagrams", "wait.datagram"]
    of = stream(FIRST, dialled=False, transport="udp")
    told = lesson.tell(
        Message(0, of, "received", b"hi"), NewPeer(FIRST), Message(0, of, "sent", b"ho")
    )
    assert told.steps == [
        ("data, addr = s.recvfrom(n)", ("data", "recvfrom.addr", "recvfrom")),
        ("s.sendto(b'ho', ('127.0.0.1', 50001))", ("size", "sendto")),
    ]
    told = lesson.tell(
        DatagramTotal("received", 1, 2), SocketCall("close", f"the socket on {LOCAL}")
    )
    assert told.steps == [("", ("datagrams.received",)), ("s.close()", ("close.datagrams",))]


def test_a_server_of_both_has_two_sockets() -> None:
    lesson = Lesson(serves=True)
    told = lesson.tell(
        *listening()[:-1],
        SocketCall("socket", "IPv4, datagram"),
        SocketCall("bind", LOCAL),
        Listening(LOCAL, loopback=True),
        SocketCall("close", f"the listener on {LOCAL}"),
        SocketCall("close", f"the socket on {LOCAL}"),
    )
    assert told.code[4:] == [
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "u.bind(('127.0.0.1', 8080))",
        "conn, addr = s.accept()",
        "s.close()",
        "u.close()",
    ]


def test_a_relay_of_datagrams_has_a_socket_for_each_peer() -> None:
    target = Peer(1, "127.0.0.1:9000")
    lesson = Lesson(serves=True, relays=True)
    lesson.tell(
        SocketCall("socket", "IPv4, datagram"),
        SocketCall("bind", LOCAL),
        Listening(LOCAL, loopback=True),
    )
    of = stream(target, transport="udp")
    told = lesson.tell(
        SocketCall("socket", "IPv4, datagram"),
        SocketCall("connect", target.address),
        Message(0, of, "sent", b"ask"),
        Message(0, of, "received", b"answer"),
        SocketCall("close", "the socket on 127.0.0.1:50009"),
        SocketCall("close", f"the socket on {LOCAL}"),
    )
    assert told.code == [
        "out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "out.connect(('127.0.0.1', 9000))",
        "data, addr = s.recvfrom(n); out.send(data)",
        "data = out.recv(n); s.sendto(data, addr)",
        "out.close()",
        "s.close()",
    ]


@pytest.mark.parametrize(
    ("group", "option"),
    [
        ("239.1.2.3:80", "socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP"),
        ("[ff02::1%lo]:80", "socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP"),
    ],
)
def test_a_group_is_joined(group: str, option: str) -> None:
    told = Lesson(serves=True).tell(SocketCall("join", group))
    assert (told.keys, told.code) == (["join"], [f"s.setsockopt({option}, group)"])


def test_a_datagram_is_refused_and_the_next_address_tried() -> None:
    lesson = datagram_client()
    told = lesson.tell(ConnectFailed(SERVER.address, "connection refused"))
    assert told.keys == ["connect.icmp"]


# Programs, and why a run fails.


def test_a_program() -> None:
    told = server().tell(
        ProgramStarted(FIRST, "cat", 77, "pipes"), ProgramEnded(FIRST, "cat", code=-15)
    )
    assert told.keys == ["program", "program.ended"]
    assert told.text[1] == "cat has exited with -15."


def caused(error: SockkitError, number: int) -> SockkitError:
    error.__cause__ = OSError(number, "")
    return error


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (caused(BindError("no"), errno.EADDRINUSE), ["failed.in_use", "failed.time_wait"]),
        (caused(BindError("no"), errno.EACCES), ["failed.privileged"]),
        (caused(BindError("no"), errno.ENODEV), []),
        (ResolveError("no"), ["failed.unknown"]),
        (TimedOut("no", kind=NO_ANSWER), ["failed.no_answer"]),
        (TimedOut("no"), []),
        (ConnectError("no", kind=REFUSED), []),  # which ConnectFailed has told
        (ReceiveError("no"), []),
    ],
)
def test_why_a_run_fails(error: SockkitError, key: list[str]) -> None:
    told = client().tell(error)
    assert told.keys == key


def test_a_port_of_datagrams_is_in_use() -> None:
    told = datagram_client().tell(caused(BindError("no"), errno.EADDRINUSE))
    assert told.keys == ["failed.in_use"]


def test_a_name_is_looked_up() -> None:
    told = client().tell(SocketCall("getaddrinfo", "example.com:80"))
    assert (told.code, told.keys) == (["socket.getaddrinfo('example.com', 80)"], ["getaddrinfo"])


@pytest.mark.parametrize("option", ["TCP_NODELAY", "SO_SNDBUF", "IP_TOS", "IPV6_TCLASS"])
def test_options(option: str) -> None:
    told = Lesson().tell(SocketCall("setsockopt", f"{option} = 1"))
    known = f"option.{option}" in SENTENCES
    assert told.keys == [f"option.{option}" if known else "option.other"]
    assert option in told.text[0] or known
