"""Endpoints: addresses as sockets have them, and how they are shown."""

from __future__ import annotations

import os
import socket
from typing import Any

from sockkit.core.address import show
from sockkit.core.printable import escape
from sockkit.values import Value

# Connections that may wait to be accepted; the system caps it, net.core.somaxconn. What does not
# fit is dropped, and its client tries again a second later.
DEFAULT_BACKLOG = 1024
SocketAddress = Any  # a tuple, or a path, as Python's socket module has it


class Endpoint(Value):
    """One address that a socket of `family` can be bound or connected to."""

    family: int
    address: SocketAddress

    def __str__(self) -> str:
        return show_address(self.address)


def service_port(name: str, protocol: str = "tcp") -> int | None:
    """The port of the service called `name`, getservbyname(3); None if there is none."""
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        return None


def show_address(address: SocketAddress) -> str:
    """`10.0.0.7:51234`, `[::1]:80` or `unix:/path`; `unix` for a unix socket without an address.

    A mapped IPv4 address is shown as IPv4.
    """
    if isinstance(address, tuple):
        host, port = address[:2]
        return show(host.removeprefix("::ffff:") if "." in host else host, port)
    if not address:
        return "unix"
    path = os.fsdecode(address)  # any name a peer has chosen
    return "unix:" + escape(f"@{path[1:]}" if path.startswith("\0") else path)
