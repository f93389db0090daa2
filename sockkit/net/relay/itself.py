"""Detects a relay whose target is itself: each client would cause another, without end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from sockkit.core.address import Address
from sockkit.errors import UsageError
from sockkit.net.endpoint import Endpoint, to_address

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    Number = IPv4Address | IPv6Address


def check_target(listen: Address, target: Address, name: str) -> None:
    """Raise UsageError if `target` is where we listen, as far as IP addresses show it."""
    if _is_same(listen, target):
        raise UsageError(f"{name} is this relay itself", "give another one")


def why_not(listen: Address | None, endpoint: Endpoint) -> str:
    """Why we must not connect to `endpoint`: we listen there. Empty if we do not."""
    found = to_address(endpoint.address)
    return "it is this relay itself" if listen and found and _is_same(listen, found) else ""


def _is_same(listen: Address, target: Address) -> bool:
    if listen == target:
        return True
    if listen.port is None or listen.port != target.port:
        return False
    here, there = _number(listen.host), _number(target.host)
    if not (here and there):
        return False
    if there.is_unspecified:  # to connect there means to connect to this machine
        there = _number("127.0.0.1" if there.version == 4 else "::1") or there
    hears = here.version in (6, there.version)  # a socket on :: hears IPv4, too
    return here == there or (here.is_unspecified and hears and _is_own(there))


def _number(host: str | None) -> Number | None:
    from ipaddress import ip_address  # few runs come here

    try:
        number = ip_address(host or "")
    except ValueError:
        return None  # a name
    return getattr(number, "ipv4_mapped", None) or number


def _is_own(address: Number) -> bool:
    """Whether this machine has `address`: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), 0))
    except OSError:
        return False
    return True
