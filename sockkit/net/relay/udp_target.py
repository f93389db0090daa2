"""The target of a UDP relay: resolved once, with a connected socket for each peer."""

from __future__ import annotations

from sockkit.core.address import Address
from sockkit.errors import UsageError
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.endpoint import is_group
from sockkit.net.options import SocketOptions
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import Route, UdpOptions, connect_datagrams


class Target:
    """`routes` lead to `address`: at least one. Raises UsageError for a multicast group."""

    def __init__(
        self, context: Context, address: Address, routes: list[Route], sockets: SocketOptions
    ) -> None:
        if any(is_group(route.to) for route in routes):
            raise UsageError(f"{address} is a group, not one target", "give the address of a host")
        # A tap needs to know the peer, so sockets are opened without a tap.
        self._unseen, self._views = context._replace(views=None), context.views
        self._address, self._sockets = address, sockets
        self._routes = list(routes)
        self._names = {str(route.to) for route in routes}
        self._first: DatagramSocket | None = None  # all others share its receive buffer

    def is_at(self, shown: str) -> bool:
        """Whether `shown` is one of the target's addresses."""
        return shown in self._names

    def open(self, peer: Peer) -> DatagramSocket:
        """A socket that is connected to the target, for the datagrams of `peer`.

        Raises BindError, ConnectError, UsageError.
        """
        made = connect_datagrams(
            self._unseen, self._address, self._routes, self._sockets, UdpOptions()
        )
        sock, _ = next(made)
        if self._first:
            sock.share_buffer(self._first)
        self._first = self._first or sock
        if self._views:
            sock.watch(self._views, peer)
        return sock

    @property
    def others(self) -> int:
        """How many other addresses the target has."""
        return len(self._routes) - 1

    def refused(self, sock: DatagramSocket) -> None:
        """The address of `sock` refuses datagrams: if it is the first choice, use the next one."""
        if sock.remote == self._routes[0].to:
            self._routes.append(self._routes.pop(0))
