"""Addresses as sockets have them, and how they are shown."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.net.endpoint import service_port, show_address, to_address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("10.0.0.7", 51234), "10.0.0.7:51234"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("::ffff:10.0.0.7", 80, 0, 0), "10.0.0.7:80"),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1%eth0]:80"),
        (("64:ff9b::10.0.0.7", 80, 0, 0), "[64:ff9b::10.0.0.7]:80"),
    ],
)
def test_a_mapped_address_is_shown_as_ipv4(address: Any, shown: str) -> None:
    assert show_address(address) == shown


@pytest.mark.parametrize(
    ("address", "value", "shown"),
    [
        (("::ffff:10.0.0.7", 80, 0, 0), HostPort("10.0.0.7", 80), "10.0.0.7:80"),
        ("/a through b\n", UnixPath("/a through b\n"), r"unix:/a through b\x0a"),
        (b"\0a\0b", UnixPath("@a\0b"), r"unix:@a\x00b"),
        ("", None, "unix"),
        (b"", None, "unix"),
        (None, None, "unix"),
    ],
)
def test_an_address_is_a_value_and_is_escaped_for_people(
    address: Any, value: Any, shown: str
) -> None:
    assert to_address(address) == value
    assert show_address(address) == shown


def test_services(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(name: str, protocol: str) -> int:
        if (name, protocol) not in (("http", "tcp"), ("htp", "udp")):
            raise OSError("service/proto not found")
        return 80

    monkeypatch.setattr(socket, "getservbyname", known)
    assert (service_port("http"), service_port("htp")) == (80, None)
    assert (service_port("http", "udp"), service_port("htp", "udp")) == (None, 80)
