"""The table of openers: how each kind of address is resolved, bound and dialled.

To add a kind of address, add a module and a row here. What an address tells without opening a
socket, such as its port, is in core/address.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import BindError
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, SocketAddress
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import OnDone, Pending
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.ends.end import PeerEnd
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions
    from sockkit.net.unix_users import Credentials

    class Resolve(Protocol):
        def __call__(
            self,
            context: Context,
            address: Any,
            family: int,
            on_done: OnDone[list[Endpoint]],
            timeout: float | None,
        ) -> Pending: ...


Bind = Callable[[socket.socket, Endpoint, SocketOptions], "Callable[[], None] | None"]
Dial = Callable[[Context, Any, "ConnectOptions", SocketOptions, "OnDone[PeerEnd]"], Pending]


class Admission(Protocol):
    """Decides which peers a server admits."""

    def refusal(self, address: SocketAddress, credentials: Credentials | None, /) -> str:
        """The reason to refuse a peer; empty to admit it. Internet peers have no `credentials`."""
        ...


def everybody(address: object, options: ListenOptions, sockets: SocketOptions) -> None:
    """Admits every peer."""


class Opener(Value):
    """One kind of address, called `name` in messages.

    `stream` and `datagram` are the names of its transports in records. `resolve` finds its
    endpoints, best first. `bind` binds a socket to an endpoint, and returns a function to call when
    that socket is closed, or None. `bind_error` turns an OSError of `bind` into a BindError.
    `admission` returns what decides which peers a server admits, or None if it admits everybody; it
    raises UsageError for options that this kind does not support. `dial` is None if connecting a
    socket to an endpoint is all that it takes to reach such an address.
    """

    name: str
    stream: str
    datagram: str
    resolve: Resolve
    bind: Bind
    bind_error: Callable[[OSError, Any, str], BindError]
    admission: Callable[[Any, ListenOptions, SocketOptions], Admission | None] = everybody
    ip: bool = False  # whether peers have IP addresses
    datagrams: bool = False  # whether datagrams can be sent to one
    shared: bool = False  # whether a listener and a datagram socket can use the same address
    workers: bool = False  # whether several processes can listen on one
    dial: Dial | None = None


@cache
def _internet() -> Opener:
    from sockkit.net import internet as kind

    row = Opener(
        "a host and a port", "tcp", "udp", kind.resolve, kind.bind, kind.bind_error, kind.admission
    )
    return row._replace(ip=True, datagrams=True, shared=True, workers=True)


@cache
def _unix() -> Opener:
    from sockkit.net import unix as kind

    row = Opener(
        "a unix address",
        "unix",
        "unix-datagram",
        kind.resolve,
        kind.bind,
        kind.bind_error,
        kind.admission,
    )
    return row._replace(datagrams=True)


# A run uses one or two kinds of address, and imports only their modules.
OPENERS: dict[type, Callable[[], Opener]] = {HostPort: _internet, UnixPath: _unix}


def opener(address: Address) -> Opener:
    """The row of `address`."""
    return OPENERS[type(address)]()


def resolve(
    context: Context,
    address: Address,
    family: int,
    on_done: OnDone[list[Endpoint]],
    timeout: float | None = None,
) -> Pending:
    """Find the endpoints of `address` in `family`, best first, and call `on_done` with them.

    A numeric address needs no lookup: `on_done` is then called before this returns. Otherwise the
    loop's thread calls it later, within `timeout` seconds if there is a `timeout`. Instead of
    endpoints it gets ResolveError or TimedOut if the lookup fails.
    """
    return opener(address).resolve(context, address, family, on_done, timeout)
