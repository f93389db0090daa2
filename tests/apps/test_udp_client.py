"""udp-client as a whole; more is in tests/e2e/test_udp.py."""

from __future__ import annotations

import socket

import pytest

from tests.support import HERE, run

pytestmark = pytest.mark.process


def test_it_says_where_it_sends_and_how_much() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        port = str(sock.getsockname()[1])
        status, _, stderr = run("udp-client", "-v", "--linger", "0", HERE, port, data=b"hello")
        assert sock.recv(100) == b"hello"
    assert status == 0
    assert f"* sending to {HERE}:{port} from {HERE}:" in stderr
    assert "* sent 5 bytes in 1 datagram" in stderr


def test_a_unix_address_is_none_for_it() -> None:
    status, _, stderr = run("udp-client", "unix:/tmp/x")
    assert status == 2
    assert "no address for UDP" in stderr
