"""Decides which datagrams we may answer automatically, so that answers never loop.

Anybody can forge the source address of a datagram. We do not answer a datagram that seems to come
from ourselves, from a service that answers everything, or from an address to which nothing can be
sent. A unix socket may have no address; we emit that once.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from sockkit.events import Emit, Notice, Unanswered
from sockkit.net.endpoint import Endpoint, is_group, show_address
from sockkit.net.udp.datagrams import DatagramSocket

# RFC 862 to 868: old services that answer every datagram. Some still run.
_ANSWERS_ALL = {7: "echo", 13: "daytime", 17: "qotd", 19: "chargen", 37: "time"}
_MAPPED = "::ffff:"
NAMELESS = "a datagram came from a socket without an address: its peer cannot be answered"


class ReplyFilter:
    """Checks the source addresses of the datagrams that `sock` receives."""

    def __init__(self, sock: DatagramSocket, emit: Emit) -> None:
        self._bound_to, self._emit = sock.bound_to, emit
        self._told_nameless = self._any_address = False
        if isinstance(sock.bound_to, tuple):
            host = _host(sock.bound_to)
            self._any_address = _is_unspecified(host) or is_group(_endpoint(host))

    def answerable(self, address: Any) -> bool:
        """Whether a datagram from `address` may be answered. If not, emits why."""
        if not self.has_address(address):
            return False
        why = self._refusal(address)
        if why:
            self._emit(Unanswered(show_address(address), why))
        return not why

    def has_address(self, address: Any) -> bool:
        """Whether the peer has an address. The first time that one has none, emits that."""
        if not address and not self._told_nameless:
            self._told_nameless = True
            self._emit(Notice(NAMELESS))
        return bool(address)

    def _refusal(self, address: Any) -> str:
        if not isinstance(address, tuple):
            return "it seems to come from this program" if address == self._bound_to else ""
        port, host = address[1], _host(address)
        if port in _ANSWERS_ALL:
            return f"port {port} is the service {_ANSWERS_ALL[port]}, which answers everything"
        if port == self._bound_to[1] and self._is_ours(address):
            return "it seems to come from this program"
        if (
            not port
            or _is_unspecified(host)
            or is_group(_endpoint(host))
            or host == "255.255.255.255"
        ):
            return "nothing can be sent there"
        return ""

    def _is_ours(self, address: Any) -> bool:
        """Whether `address`, whose port is ours, belongs to this machine: then it is our socket."""
        if not self._any_address:
            return bool(address[0] == self._bound_to[0] and address[3:] == self._bound_to[3:])
        family = socket.AF_INET6 if len(address) > 2 else socket.AF_INET
        try:
            # Only an address of this machine can be bound. It takes 10 us, and is not cached,
            # because addresses come and go.
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                probe.bind((address[0], 0, *address[2:]))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL  # if unknown, do not answer
        return True


def _host(address: Any) -> str:
    return str(address[0]).removeprefix(_MAPPED)


def _is_unspecified(host: str) -> bool:
    """Whether it is the unspecified address: RFC 1122, 3.2.1.3; RFC 4291, 2.5.2."""
    return host == "::" or host.startswith("0.")


def _endpoint(host: str) -> Endpoint:
    return Endpoint(socket.AF_INET6 if ":" in host else socket.AF_INET, (host,))
