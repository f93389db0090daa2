"""Detects a relay whose target is itself: each client would cause another, without end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sockkit.core.address import Address
from sockkit.errors import ConnectError, UsageError
from sockkit.net.endpoint import Endpoint, to_address

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from sockkit.net.ends.end import PeerEnd

    Number = IPv4Address | IPv6Address


def check_target(listen: Address, target: Address, given: Address | None = None) -> None:
    """Raise UsageError if `target` is where we listen, as far as IP addresses show it.

    `given` is how the user has written the target.
    """
    if _is_same(listen, target):
        raise UsageError(f"the target {given or target} is this relay itself", "give another one")


def _is_same(listen: Address, target: Address) -> bool:
    if listen == target:
        return True
    if listen.port is None or listen.port != target.port:
        return False
    here, there = _number(listen.host), _number(target.host)
    if not (here and there):
        return False
    hears = here.version in (6, there.version)  # a socket on :: hears IPv4, too
    return here == there or (here.is_unspecified and hears and _is_own(there))


def _number(host: str | None) -> Number | None:
    from ipaddress import ip_address  # few runs come here

    try:
        return ip_address(host or "")
    except ValueError:
        return None  # a name


def _is_own(address: Number) -> bool:
    """Whether this machine has `address`: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), 0))
    except OSError:
        return False
    return True


class OwnConnections:
    """Remembers our connections to `target`, to recognize one that reaches us as a client.

    Compares both addresses: connections to different addresses may share a local port.
    """

    def __init__(self, target: Address) -> None:
        self._target = target
        self._sockets: WeakValueDictionary[tuple[Address | None, Address | None], socket.socket]
        self._sockets = WeakValueDictionary()

    def add(self, sock: socket.socket, to: Endpoint) -> None:
        """Remember a connection. Call this before the other side can accept it."""
        name = sock.getsockname()
        if isinstance(name, tuple):
            self._sockets[to_address(name), to_address(to.address)] = sock

    def refusal(self, client: PeerEnd) -> ConnectError | None:
        """The error if this client is one of our own connections, otherwise None."""
        sock = self._sockets.get((client.remote, client.local()))
        if sock is None or sock.fileno() < 0:
            return None
        return ConnectError(
            f"the target {self._target} is this relay itself", "give another target"
        )
