from __future__ import annotations

import socket
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.net.endpoint import Endpoint
from sockkit.net.relay.itself import check_target, why_not
from tests.support import HERE


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        (HostPort(HERE, 80), HostPort(HERE, 80)),
        (HostPort("::1", 80), HostPort("0:0::1", 80)),
        (HostPort("0.0.0.0", 80), HostPort("127.0.0.2", 80)),
        (HostPort("::", 80), HostPort(HERE, 80)),
        (HostPort(HERE, 80), HostPort("::ffff:127.0.0.1", 80)),
        (HostPort(HERE, 80), HostPort("0.0.0.0", 80)),  # where a connection reaches 127.0.0.1
        (HostPort("::1", 80), HostPort("::", 80)),
        (UnixPath("/tmp/x"), UnixPath("/tmp/x")),
    ],
)
def test_a_target_that_is_the_relay(listen: Address, target: Address) -> None:
    with pytest.raises(UsageError, match="is this relay itself"):
        check_target(listen, target, "the target")


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        (HostPort(HERE, 80), HostPort(HERE, 81)),
        (HostPort(HERE, 80), HostPort("127.0.0.2", 80)),
        (HostPort(HERE, 80), HostPort("localhost", 80)),  # it may have another address as well
        (HostPort("0.0.0.0", 80), HostPort("192.0.2.1", 80)),  # of no machine: RFC 5737
        (HostPort("0.0.0.0", 80), HostPort("::1", 80)),
        (HostPort(HERE, 80), UnixPath("/tmp/x")),
        (UnixPath("/tmp/y"), UnixPath("/tmp/x")),
    ],
)
def test_a_target_that_is_another(listen: Address, target: Address) -> None:
    check_target(listen, target, "the target")


@pytest.mark.parametrize("place", [(HERE, 80), ("::ffff:127.0.0.1", 80, 0, 0), ("0.0.0.0", 80)])
def test_an_endpoint_that_is_the_relay(place: tuple[Any, ...]) -> None:
    family = socket.AF_INET6 if len(place) == 4 else socket.AF_INET
    assert why_not(HostPort(HERE, 80), Endpoint(family, place)) == "it is this relay itself"


@pytest.mark.parametrize("listen", [HostPort(HERE, 81), UnixPath("/tmp/x"), None])
def test_an_endpoint_that_is_another(listen: Address | None) -> None:
    assert why_not(listen, Endpoint(socket.AF_INET, (HERE, 80))) == ""


@pytest.mark.parametrize("there", ["/tmp/x", ""])
def test_a_unix_endpoint(there: str) -> None:
    assert why_not(HostPort(HERE, 80), Endpoint(socket.AF_UNIX, there)) == ""
