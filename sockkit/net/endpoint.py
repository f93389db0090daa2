"""Endpoints: socket addresses, and how they are shown."""

from __future__ import annotations

import os
import socket
from typing import Any

from sockkit.core.address import Address, HostPort, UnixPath, show
from sockkit.core.printable import escape
from sockkit.values import Value

# How many connections may wait to be accepted; the system caps it at net.core.somaxconn. When the
# backlog is full, the system drops a new connection, and its client retries after a second.
DEFAULT_BACKLOG = 1024
SocketAddress = Any  # as in Python's socket module: a tuple, or the path of a unix socket


class Endpoint(Value):
    """One socket address, to which a socket of `family` can be bound or connected."""

    family: int
    address: SocketAddress

    def __str__(self) -> str:
        return show_address(self.address)


def is_group(endpoint: Endpoint) -> bool:
    """Whether `endpoint` is a multicast address, RFC 5771 and RFC 4291 section 2.7."""
    if endpoint.family == socket.AF_INET:
        return 224 <= int(endpoint.address[0].partition(".")[0]) <= 239
    return endpoint.family == socket.AF_INET6 and endpoint.address[0].lower().startswith("ff")


def service_port(name: str, protocol: str = "tcp") -> int | None:
    """The port of the service called `name`, getservbyname(3); None if there is none."""
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        return None


def to_address(address: SocketAddress) -> Address | None:
    """`address` as an Address; None if a unix socket has no address.

    An IPv4-mapped IPv6 address becomes IPv4.
    """
    if isinstance(address, tuple):
        return HostPort(_host(address), address[1])
    return UnixPath(_path(address)) if address else None


def show_address(address: SocketAddress) -> str:
    """`10.0.0.7:51234`, `[::1]:80` or `unix:/path`; `unix` for a unix socket without an address."""
    if isinstance(address, tuple):
        return show(_host(address), address[1])
    return f"unix:{escape(_path(address))}" if address else "unix"


def _host(address: SocketAddress) -> str:
    host: str = address[0]
    return host.removeprefix("::ffff:") if "." in host else host


def _path(address: SocketAddress) -> str:
    path = os.fsdecode(address)  # a peer can choose any bytes
    return f"@{path[1:]}" if path.startswith("\0") else path
