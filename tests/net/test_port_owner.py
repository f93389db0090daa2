from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sockkit.net.port_owner import port_owner
from tests.support import HERE

ME = f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, HERE), (socket.AF_INET6, "::1")])
def test_who_listens(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert port_owner(port) == ME
        with socket.create_connection((host, port)) as client:
            assert port_owner(client.getsockname()[1]) != ME  # it does not listen there
    assert port_owner(port) != ME  # another test may have it by now


def test_who_has_a_port_of_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        port = sock.getsockname()[1]
        assert port_owner(port, "udp") == ME
        assert port_owner(port) != ME


def test_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]

        def nothing(*_: object) -> list[str]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "listdir", nothing)
        assert port_owner(port) is None
