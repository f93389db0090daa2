from __future__ import annotations

import pytest

from sockkit.core.records import Closed as ClosedRecord
from sockkit.core.records import Ended, Message, Opened, Stream
from sockkit.events import (
    Connected,
    ConnectFailed,
    InputEnded,
    Listening,
    Peer,
    PeerEnded,
    PeerUser,
    Secured,
    SocketCall,
    Tunnelled,
)
from tests.cli.explain.kit import (
    FIRST,
    SECOND,
    SERVER,
    Lesson,
    accepted,
    client,
    closing,
    connected,
    ended,
    listening,
    server,
    shutting,
    stream,
)


def test_each_client_has_a_socket_of_its_own() -> None:
    lesson = Lesson(serves=True)
    lesson.tell(*listening())
    assert lesson.tell(*accepted()).code == ["conn, addr = s.accept()"]
    assert lesson.told.text[0].startswith("addr = ('127.0.0.1', 50001)\n")
    assert lesson.tell(*accepted(SECOND)).code == ["conn2, addr2 = s.accept()"]
    assert lesson.told.text[0].startswith("addr2 = ('127.0.0.1', 50002)\n")
    assert "conn2 is a new socket" in lesson.told.text[0]


def test_a_client_that_is_refused() -> None:
    lesson = Lesson(serves=True)
    lesson.tell(*listening())
    told = lesson.tell(
        SocketCall("accept", FIRST.address),
        SocketCall("close", f"the connection to {FIRST.address}"),
    )
    assert told.steps == [("conn, addr = s.accept()", ("accept.refused",))]
    assert lesson.tell(*accepted(SECOND)).keys == ["accept.stream"]


def test_a_connection_that_was_only_counted_is_not_told() -> None:
    lesson = server(full="accept")
    passed = Message(0, stream(FIRST, dialled=False), "received", b"hi")
    assert lesson.tell(passed, *ended(FIRST), *closing(FIRST)).steps == []


def test_a_client_connects() -> None:
    told = Lesson().tell(*connected())
    assert told.code == [
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "s.connect(('127.0.0.1', 8080))",
    ]
    assert told.keys[1:] == ["connect.stream", "connected.stream", "connected.port"]
    assert "an ephemeral port, 50001" in told.text[-1]


def test_a_client_that_chooses_its_port() -> None:
    told = Lesson().tell(*connected(SocketCall("bind", FIRST.address)))
    assert "bind.source" in told.keys
    assert "connected.port" not in told.keys


def test_unix_sockets_have_no_segments() -> None:
    peer = Peer(0, "unix:/tmp/s")
    lesson = Lesson()
    lesson.tell(SocketCall("socket", "unix, stream"))
    assert lesson.tell(ConnectFailed(peer.address, "connection refused")).keys == [
        "connect.refused.unix"
    ]
    told = lesson.tell(
        SocketCall("socket", "unix, stream"),
        SocketCall("connect", peer.address),
        Connected(peer, "unix"),
        PeerUser(peer, 7, 1000, 1000),
        Opened(0, stream(peer, transport="unix")),
    )
    assert told.keys == ["socket.unix.stream", "connect.stream.unix", "connected.unix", "peer.user"]
    assert lesson.tell(*shutting(peer)).keys == ["shutdown.unix"]
    of = stream(peer, transport="unix")
    told = lesson.tell(Message(0, of, "sent", b"a"), Message(0, of, "received", b"b"))
    assert told.keys == ["size", "sendall.unix", "data", "recv.unix"]
    assert lesson.tell(Ended(0, of, "received")).keys == ["end.unix", "end"]
    assert lesson.tell(ClosedRecord(0, of)).keys == ["close.done", "total"]


def test_a_unix_server_names_its_clients() -> None:
    peer = Peer(1, "unix")
    lesson = Lesson(serves=True)
    told = lesson.tell(
        SocketCall("socket", "unix, stream"),
        SocketCall("bind", "unix:/tmp/s"),
        SocketCall("listen", "backlog 5"),
        Listening("unix:/tmp/s", loopback=True),
        SocketCall("accept", "unix"),
        Connected(peer, "unix:/tmp/s"),
        PeerUser(peer, 7, 1000, 1000),
    )
    assert told.keys[2] == "listen.unix"
    assert told.code[-1] == "conn, addr = s.accept()"
    assert told.keys[-2:] == ["accept.unix", "peer.user"]


def test_a_short_message_is_in_the_call() -> None:
    told = client().tell(Message(0, stream(), "sent", b"hello\n"))
    assert told.steps == [("s.sendall(b'hello\\n')", ("size", "sendall"))]
    assert told.text[0] == "6."


def test_a_long_message_is_not() -> None:
    told = client().tell(Message(0, stream(), "sent", b"x" * 5000))
    assert told.steps == [("s.sendall(data)", ("data", "sendall"))]
    assert told.text[0].startswith("data = b'xxx")
    assert len(told.text[0]) < 80


def test_a_message_with_braces_is_shown_as_it_is() -> None:
    assert client().tell(Message(0, stream(), "sent", b"{x}")).code == ["s.sendall(b'{x}')"]


def test_what_the_peer_sends_is_escaped() -> None:
    told = client().tell(Message(0, stream(), "received", b"\x1b[2J\xff"))
    assert told.steps == [("data = s.recv(n)", ("data", "recv"))]
    assert r"b'\x1b[2J\xff'" in told.text[0]


def test_frames_are_no_receives() -> None:
    lesson = server(framed=True)
    told = lesson.tell(Message(0, stream(FIRST, dialled=False), "received", b"hi"))
    assert told.steps == [("", ("data", "frame"))]


def test_a_server_tells_whose_it_is() -> None:
    lesson = server()
    lesson.tell(*accepted(SECOND))
    told = lesson.tell(
        Message(0, stream(SECOND, dialled=False), "received", b"2"),
        Message(0, stream(FIRST, dialled=False), "sent", b"1"),
    )
    assert told.code == ["data = conn2.recv(n)", "conn.sendall(b'1')"]


def test_tls() -> None:
    for issuer, key in (("an authority", "tls.client"), ("", "tls.unchecked")):
        told = client().tell(Secured(SERVER, "TLSv1.3", "A_CIPHER", "", "it", issuer, "", ""))
        assert told.steps == [("s = context.wrap_socket(s, server_hostname=host)", (key,))]
    told = server().tell(Secured(FIRST, "TLSv1.3", "A_CIPHER", "", "", "", "", ""))
    assert told.steps == [
        ("conn = context.wrap_socket(conn, server_side=True)", ("tls.server",)),
    ]


def test_the_end_of_a_tls_session_is_no_fin() -> None:
    lesson = server()
    lesson.tell(Secured(FIRST, "TLSv1.3", "A_CIPHER", "", "", "", "", ""))
    assert lesson.tell(*ended(FIRST)).keys == ["end.tls", "end"]
    assert "time_wait.ours" in lesson.tell(*closing(FIRST)).keys


def test_through_a_proxy() -> None:
    lesson = Lesson()
    proxy, target = Peer(0, "the proxy 127.0.0.1:1080"), Peer(0, "a.example:80 through socks5://h")
    of = Stream(0, "tcp", "127.0.0.1:50001", "a.example:80", dialled=True)
    lesson.tell(
        SocketCall("socket", "IPv4, stream"),
        SocketCall("connect", "127.0.0.1:1080"),
        Connected(proxy, FIRST.address),
    )
    assert lesson.tell(Tunnelled(target), Opened(0, of)).keys == ["tunnelled"]
    assert lesson.tell(Message(0, of, "sent", b"hi")).code == ["s.sendall(b'hi')"]
    call = SocketCall("shutdown", "the sending side to it", target)
    assert lesson.tell(call).keys == ["shutdown.first"]


def test_a_relay_has_two_connections() -> None:
    target = Peer(1, "127.0.0.1:9000")
    lesson = Lesson(serves=True, relays=True)
    lesson.tell(*listening(), *accepted()[:2])
    told = lesson.tell(
        SocketCall("socket", "IPv4, stream"),
        SocketCall("connect", target.address),
        Connected(target, "127.0.0.1:50009"),
        Opened(0, stream(target)),
        Message(0, stream(target), "sent", b"ask"),
        Message(0, stream(target), "received", b"answer"),
    )
    assert told.code == [
        "out = socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "out.connect(('127.0.0.1', 9000))",
        "data = conn.recv(n); out.sendall(data)",
        "data = out.recv(n); conn.sendall(data)",
    ]
    told = lesson.tell(
        PeerEnded(FIRST, 3),  # nobody looks at this side, so there is no record of it
        SocketCall("shutdown", "the sending side", target),
        SocketCall("close", "the connection", FIRST),
    )
    assert told.code == ["data = conn.recv(n)", "out.shutdown(socket.SHUT_WR)", "conn.close()"]
    assert "time_wait.theirs" in told.keys
    assert "total" not in told.keys


def test_we_close_first() -> None:
    lesson = client()
    assert lesson.tell(*shutting()).steps == [
        ("s.shutdown(socket.SHUT_WR)", ("shutdown.first",)),
    ]
    assert lesson.tell(*ended()).steps == [("data = s.recv(n)", ("end.last", "end"))]
    assert lesson.tell(*closing()).steps == [
        ("s.close()", ("close.done", "time_wait.ours", "total")),
    ]


def test_the_peer_closes_first() -> None:
    lesson = client()
    assert lesson.tell(*ended()).keys == ["end.first", "end"]
    assert lesson.tell(*shutting(peer_first=True)).keys == ["shutdown.last"]
    assert lesson.tell(*closing()).keys == ["close.done", "time_wait.theirs", "total"]


def test_the_fin_of_the_peer_has_come_and_is_not_read_yet() -> None:
    """Which of the two was first decides on TIME_WAIT, not which was read first."""
    lesson = client()
    assert lesson.tell(*shutting(peer_first=True)).keys == ["shutdown.last"]
    assert lesson.tell(*ended()).keys == ["end.late", "end"]
    assert lesson.tell(*closing()).keys == ["close.done", "time_wait.theirs", "total"]


@pytest.mark.parametrize(
    ("peer_first", "keys"),
    [
        (False, ["close.first", "time_wait.ours", "time_wait.port"]),
        (True, ["close.last", "time_wait.theirs"]),
    ],
)
def test_close_without_shutdown_sends_a_fin(peer_first: bool, keys: list[str]) -> None:
    told = server().tell(*closing(FIRST, peer_first=peer_first))
    assert told.steps == [("conn.close()", (*keys, "total"))]


def test_a_close_with_unread_bytes_resets() -> None:
    told = server().tell(*closing(FIRST, unread=True))
    assert told.steps == [("conn.close()", ("close.unread", "total"))]


def test_the_total_is_what_has_passed() -> None:
    lesson = client()
    for direction, data in (("sent", b"123"), ("received", b"12"), ("sent", b"4")):
        lesson.tell(Message(0, stream(), direction, data))  # type: ignore[arg-type]
    assert lesson.tell(*closing()).text[-1] == "In all: sent 4, received 2."


def test_the_peer_resets() -> None:
    told = client().tell(ClosedRecord(0, stream(), "received"))
    assert told.steps == [
        ("s.recv(n)", ("reset.received",)),
        ("s.close()", ("close.done", "total")),
    ]


def test_we_reset() -> None:
    told = client().tell(ClosedRecord(0, stream(), "sent"))
    assert told.steps == [("s.close()", ("close.reset", "total"))]


def test_a_connection_is_closed_once() -> None:
    lesson = client()
    lesson.tell(*closing())
    assert lesson.tell(*closing(), *ended()).steps == []


def test_the_end_of_our_input_may_be_kept_from_the_peer() -> None:
    lesson = client()
    assert lesson.tell(InputEnded(SERVER, 5, half_closed=False)).keys == ["input.held"]
    assert lesson.tell(InputEnded(SERVER, 5)).keys == []
