"""What is done with each kind of address: the one table of them.

A new kind of address is a module of its own and a row here. What is true of an address without any
socket, as its port, the address knows itself: core/address.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import BindError
from sockkit.net import internet, unix
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint
from sockkit.net.waiting import OnDone, Pending
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.ends.socket_end import SocketEnd
    from sockkit.net.tcp.dial import ConnectOptions

Find = Callable[[Context, Any, int, OnDone[list[Endpoint]], "float | None"], Pending]
Bind = Callable[[socket.socket, Endpoint, SocketOptions], "Callable[[], None] | None"]
Dial = Callable[[Context, Any, "ConnectOptions", SocketOptions, "OnDone[SocketEnd]"], Pending]


class Opener(Value):
    """One kind of address, called `name`.

    `find` tells the endpoints of one, best first. `bind` binds a socket to one of these, and gives
    what is to be done when it is closed; `bind_error` says what its OSError means. `dial` is for
    what is reached in another way than by connecting a socket to an endpoint.
    """

    name: str
    find: Find
    bind: Bind
    bind_error: Callable[[OSError, Any, str], BindError]
    datagrams: bool = False  # whether UDP has such addresses
    workers: bool = False  # whether several processes can listen on one
    dial: Dial | None = None


OPENERS: dict[type, Opener] = {
    HostPort: Opener(
        "a host and a port",
        internet.find,
        internet.bind,
        internet.bind_error,
        datagrams=True,
        workers=True,
    ),
    UnixPath: Opener("a unix address", unix.find, unix.bind, unix.bind_error),
}


def opener(address: Address) -> Opener:
    return OPENERS[type(address)]


def resolve(
    context: Context,
    address: Address,
    family: int,
    on_done: OnDone[list[Endpoint]],
    timeout: float | None = None,
) -> Pending:
    """Find the endpoints of `address` in `family`, best first, and tell `on_done`.

    It is told before this returns where nobody has to be asked, as for a numeric address. Otherwise
    later, in the loop's thread, within `timeout` seconds if that is given. Failures are
    ResolveError and TimedOut.
    """
    return opener(address).find(context, address, family, on_done, timeout)
