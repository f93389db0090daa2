"""udp-server as a whole; more is in tests/e2e/test_udp.py."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.support import HERE, Program, run

pytestmark = pytest.mark.process


def test_it_says_who_is_new_and_how_much_came() -> None:
    with (
        Program("udp-server", "-v", "-p", "0", "--reply", "你好", "-E", "gbk") as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.settimeout(5)
        sock.sendto("再见".encode("gbk"), (HERE, server.port))
        assert sock.recv(100) == "你好".encode("gbk")
        server.said("new peer")
        server.process.send_signal(signal.SIGTERM)
        assert server.output() == "再见\n".encode()
        assert server.status() == 143
        server.said("* received 4 bytes in 1 datagram")


def test_a_reply_that_cannot_be_said_is_told_before_it_listens() -> None:
    status, _, stderr = run("udp-server", "-p", "0", "-E", "gbk", "--reply", "👋")
    assert status == 65
    assert "--reply" in stderr
    assert "listening" not in stderr
