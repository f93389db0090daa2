"""A member as a command; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

import socket

import pytest

from tests.support import HERE, Program, peer, read_all, run

pytestmark = pytest.mark.process


def test_its_first_words() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
        arguments = ["chat", "join", HERE, port, "--name", "小雪", "--password", "x y"]
        with Program(*arguments, stdin=-1) as program:
            sock, _ = listener.accept()
            with sock, sock.makefile("rb") as file:
                lines = [file.readline().decode() for _ in range(3)]
                assert lines == ["/sockkit\n", "/nick 小雪\n", "/password x y\n"]
                program.end_input()
                assert file.read() == b""
            assert program.status() == 0


def test_nothing_that_comes_is_lost() -> None:
    def room(sock: socket.socket) -> None:
        read_all(sock)  # a connection that is closed with something unread is reset
        sock.sendall("* hi\n[a] \x1b 你".encode())

    with peer(room) as port:
        status, out, _ = run("chat", "join", HERE, str(port))
    assert (status, out.decode()) == (0, "* hi\n[a] \x1b 你")


def test_a_room_that_is_not_there() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = str(listener.getsockname()[1])
    assert run("chat", "join", HERE, port)[0] == 7
    status, _, stderr = run("chat", "join", "--udp", "--reconnect", HERE, port)
    assert status == 2
    assert "over UDP has no --reconnect" in stderr
