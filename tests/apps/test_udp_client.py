"""udp-client as a whole; more is in tests/e2e/test_udp.py."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from sockkit.apps import udp_client
from sockkit.apps.datagrams import DatagramOptions
from sockkit.core.address import HostPort
from sockkit.core.answers import AnswerOptions
from sockkit.core.text import TextOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.udp.open import UdpOptions
from tests.net import kit
from tests.support import HERE, run

loop = kit.loop


@pytest.mark.process
def test_it_says_where_it_sends_and_how_much() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        port = str(sock.getsockname()[1])
        status, _, stderr = run("udp-client", "-v", "--linger", "0", HERE, port, data=b"hello")
        assert sock.recv(100) == b"hello"
    assert status == 0
    assert f"* sending to {HERE}:{port} from {HERE}:" in stderr
    assert "* sent 5 bytes in 1 datagram" in stderr


@pytest.mark.parametrize("many", [False, True], ids=["one", "anybody"])
def test_whether_several_may_answer(
    many: bool, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a terminal shows who each of them is."""
    told: list[bool] = []
    client = SimpleNamespace(run=lambda: None, moved=lambda: (0, 0))
    monkeypatch.setattr(udp_client, "Messages", lambda *_, many: told.append(many))
    monkeypatch.setattr(udp_client, "DatagramClient", lambda *_: client)
    config = udp_client.UdpClient(
        HostPort(HERE, 9),
        SocketOptions(),
        UdpOptions(broadcast=many),
        DatagramOptions(TextOptions()),
        AnswerOptions(),
        ConnectOptions(),
    )
    stdio: Any = SimpleNamespace(offer=None)
    udp_client.run(config, kit.context(loop, stdio))
    assert told == [many]
