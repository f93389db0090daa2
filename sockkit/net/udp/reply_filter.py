"""Which datagrams may be answered by themselves: an answer must not come back for ever.

Anybody can forge where a datagram comes from. Nothing is answered that seems to come from
ourselves, from a service that answers whatever it gets, or from where nothing can be sent.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from sockkit.events import Emit, Unanswered
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import is_group

# RFC 862 to 868: services of old, some of which are still there, that answer every datagram.
_ANSWERS_ALL = {7: "echo", 13: "daytime", 17: "qotd", 19: "chargen", 37: "time"}
_MAPPED = "::ffff:"


class ReplyFilter:
    """Judges where the datagrams of `sock` come from."""

    def __init__(self, sock: DatagramSocket, emit: Emit) -> None:
        self._name, self._emit = sock.name, emit
        host = _host(sock.name)
        self._everywhere = _is_nobody(host) or is_group(_endpoint(host))

    def answerable(self, address: Any) -> bool:
        """Whether a datagram from `address` may be answered; that it is not is told."""
        why = self._why_not(address)
        if why:
            self._emit(Unanswered(show_address(address), why))
        return not why

    def _why_not(self, address: Any) -> str:
        port, host = address[1], _host(address)
        if port in _ANSWERS_ALL:
            return f"port {port} is the service {_ANSWERS_ALL[port]}, which answers everything"
        if port == self._name[1] and self._is_ours(address):
            return "it seems to come from here"
        if not port or _is_nobody(host) or is_group(_endpoint(host)) or host == "255.255.255.255":
            return "nothing can be sent there"
        return ""

    def _is_ours(self, address: Any) -> bool:
        """Whether a socket of this machine with our port has that address."""
        if not self._everywhere:
            return bool(address[0] == self._name[0] and address[3:] == self._name[3:])
        family = socket.AF_INET6 if len(address) > 2 else socket.AF_INET
        try:
            # Only an address of this machine can be bound. It takes 10 us, and addresses
            # come and go: nothing is remembered.
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                probe.bind((address[0], 0, *address[2:]))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL  # where it is not known, be silent
        return True


def _host(address: Any) -> str:
    return str(address[0]).removeprefix(_MAPPED)


def _is_nobody(host: str) -> bool:
    """RFC 1122, 3.2.1.3, and RFC 4291, 2.5.2: what a host is called that has no address yet."""
    return host == "::" or host.startswith("0.")


def _endpoint(host: str) -> Endpoint:
    return Endpoint(socket.AF_INET6 if ":" in host else socket.AF_INET, (host,))
