"""Socket options: sets them on a new socket, and emits an event for each."""

from __future__ import annotations

import socket

from sockkit.errors import UsageError
from sockkit.events import Emit, SocketCall
from sockkit.values import Value


class SocketOptions(Value):
    """Options of socket(7), ip(7) and tcp(7). Sizes are in bytes.

    `family` is 4 or 6 to allow only that version of IP. None and False mean the system's
    default. `buffer_size` is the most bytes that one receive reads; each kind of receive has its
    own default. `unix_mode` is the mode of a unix socket's file. After `probe_after` seconds of
    silence the system sends keepalive probes, if it has TCP_KEEPIDLE, tcp(7).
    """

    family: int | None = None
    reuse_address: bool = False
    reuse_port: bool = False
    no_delay: bool = False
    keepalive: bool = False
    send_buffer: int | None = None
    receive_buffer: int | None = None
    ttl: int | None = None
    tos: int | None = None
    buffer_size: int | None = None
    unix_mode: int | None = None
    probe_after: int | None = None

    def families(self) -> socket.AddressFamily:
        """The family to resolve for; AF_UNSPEC for both versions of IP."""
        return {4: socket.AF_INET, 6: socket.AF_INET6, None: socket.AF_UNSPEC}[self.family]

    def for_datagrams(self) -> SocketOptions:
        """These options for a datagram socket, whose port is not shared."""
        return self._replace(reuse_address=False, no_delay=False, keepalive=False, probe_after=None)

    def for_tls(self) -> SocketOptions:
        """These options for TLS, with TCP_NODELAY.

        Otherwise our first data would wait for the acknowledgement of the handshake's last message.
        """
        return self._replace(no_delay=True)

    def open(
        self, family: int, emit: Emit, kind: socket.SocketKind = socket.SOCK_STREAM
    ) -> socket.socket:
        """A new blocking socket of `family` with these options set. Raises UsageError, OSError.

        Buffer sizes must be set before connect and listen, which fix TCP's window scale, tcp(7).
        """
        sock = socket.socket(family, kind)
        word = "stream" if kind == socket.SOCK_STREAM else "datagram"
        emit(SocketCall("socket", f"{_FAMILIES.get(family, str(family))}, {word}"))
        try:
            self._apply(sock, family, emit)
        except BaseException:
            sock.close()
            raise
        return sock

    def _apply(self, sock: socket.socket, family: int, emit: Emit) -> None:
        internet = family != socket.AF_UNIX
        probed = internet and hasattr(socket, "TCP_KEEPIDLE") and self.probe_after
        settings = [
            (self.reuse_address and internet, socket.SOL_SOCKET, "SO_REUSEADDR", 1),
            (self.reuse_port and internet, socket.SOL_SOCKET, "SO_REUSEPORT", 1),
            (self.no_delay and internet, socket.IPPROTO_TCP, "TCP_NODELAY", 1),
            ((self.keepalive and internet) or probed, socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
            (probed, socket.IPPROTO_TCP, "TCP_KEEPIDLE", self.probe_after),
            (probed, socket.IPPROTO_TCP, "TCP_KEEPINTVL", self.probe_after),
            (self.send_buffer, socket.SOL_SOCKET, "SO_SNDBUF", self.send_buffer),
            (self.receive_buffer, socket.SOL_SOCKET, "SO_RCVBUF", self.receive_buffer),
        ]
        datagrams = sock.type == socket.SOCK_DGRAM
        if family == socket.AF_INET:
            settings += [
                (self.ttl, socket.IPPROTO_IP, "IP_TTL", self.ttl),
                (datagrams and self.ttl, socket.IPPROTO_IP, "IP_MULTICAST_TTL", self.ttl),
                (self.tos is not None, socket.IPPROTO_IP, "IP_TOS", self.tos),
            ]
        elif family == socket.AF_INET6:
            settings += [
                (self.ttl, socket.IPPROTO_IPV6, "IPV6_UNICAST_HOPS", self.ttl),
                (datagrams and self.ttl, socket.IPPROTO_IPV6, "IPV6_MULTICAST_HOPS", self.ttl),
                (self.tos is not None, socket.IPPROTO_IPV6, "IPV6_TCLASS", self.tos),
                (self.ttl, socket.IPPROTO_IP, "IP_TTL", self.ttl),  # for IPv4 on an IPv6 socket
                (self.tos is not None, socket.IPPROTO_IP, "IP_TOS", self.tos),
            ]
        for wanted, level, name, value in settings:
            if not wanted:
                continue
            try:
                sock.setsockopt(level, getattr(socket, name), value or 0)
            except (AttributeError, OSError) as error:
                raise UsageError(f"this system does not support {name}") from error
            emit(SocketCall("setsockopt", f"{name} = {value}"))


_FAMILIES: dict[int, str] = {
    socket.AF_INET: "IPv4",
    socket.AF_INET6: "IPv6",
    socket.AF_UNIX: "unix",
}
