"""A member as a command; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sockkit.apps.chat_join import ChatJoin
from sockkit.apps.chat_visit import session_options
from sockkit.core.address import HostPort
from sockkit.core.chat.actions import Admit, Deliver
from sockkit.core.chat.protocol import MARK, PASSWORD_REQUIRED, welcome
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.core.chat.view import ChatView
from sockkit.core.text import Errors
from sockkit.net.ends.stdio import Stdio
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.session import SessionOptions
from tests.net import kit
from tests.support import HERE, Program, peer, read_all, run

pytestmark = pytest.mark.process

IN = f"{welcome('guest-1')}\n".encode()


def test_its_first_words() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
        arguments = ["chat", "join", HERE, port, "--name", "小雪", "--password", "x y"]
        with Program(*arguments, stdin=-1) as program:
            sock, _ = listener.accept()
            with sock, sock.makefile("rb") as file:
                assert file.readline() + file.readline() == "/sockkit\n/nick 小雪\n".encode()
                program.type(b"hi\n")
                sock.sendall(f"{PASSWORD_REQUIRED}\n".encode())
                assert file.readline() == b"/password x y\n"
                sock.sendall(f"{welcome('小雪')}\n".encode())
                program.end_input()
                assert file.read() == b"hi\n"
            assert program.status() == 0


class End:
    terminal = False


def options_of(**options: Any) -> SessionOptions:
    ends: Any = End(), End()
    nothing: Any = None
    config = ChatJoin(HostPort(HERE, 9000), ConnectOptions(), SocketOptions(), **options)
    return session_options(config, kit.context(nothing, Stdio(*ends, "utf-8")), (ChatView(),))


def test_the_room_admits_a_newcomer_by_them() -> None:
    mark, _, name = options_of(name="小雪").opening.partition(b"\n")
    assert mark == MARK.encode()
    room = Room(RoomOptions(flood=0))
    room.join(1, 0.0)
    assert [type(event) for event in room.feed(1, name, 0.0)] == [Admit, Deliver]
    assert room.names() == ["小雪"]


def test_what_is_said_is_converted_as_its_options_say() -> None:
    given = options_of(encoding="gbk", errors=Errors.REPLACE)
    assert given.outbound
    assert given.inbound
    assert given.outbound.feed("你👋\n".encode()) == "你?\n".encode("gbk")
    assert given.inbound.feed(b"\xc4\xe3\xff\n").decode() == "你\ufffd\n"


def test_nothing_that_comes_is_lost() -> None:
    def room(sock: socket.socket) -> None:
        sock.sendall(IN)
        read_all(sock)  # a connection that is closed with something unread is reset
        sock.sendall("[a] \x1b 你".encode())

    with peer(room) as port:
        status, out, _ = run("chat", "join", HERE, str(port))
    assert (status, out.decode()) == (0, IN.decode() + "[a] \x1b 你")


def test_names_have_the_colours_that_it_is_given() -> None:
    def room(sock: socket.socket) -> None:
        sock.sendall(IN)
        read_all(sock)
        sock.sendall(b"[alex] hi\n")

    with peer(room) as port:
        arguments = ["chat", "join", HERE, str(port), "--color", "alex=red"]
        status, out, _ = run(*arguments, env={"FORCE_COLOR": "1"})
    assert (status, out) == (0, IN + b"\x1b[31m[alex] \x1b[39mhi\n")


def test_a_room_that_is_not_there() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
    assert run("chat", "join", HERE, port)[0] == 7
    status, _, stderr = run("chat", "join", "--udp", "--reconnect", HERE, port)
    assert status == 2
    assert "--reconnect cannot be used with --udp" in stderr


def test_only_the_last_connection_ends_standard_output() -> None:
    assert options_of().ends_output
    assert not options_of(reconnect=True).ends_output
