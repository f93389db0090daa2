"""Opens UDP sockets, bound for a server or aimed at one address, also for multicast, udp(7)."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address, HostPort
from sockkit.errors import BindError, ConnectError, UsageError
from sockkit.events import Emit, SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.ends.end import words
from sockkit.net.openers import opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.udp.datagrams import DatagramSocket, try_option
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024  # asked for; the system may allow less
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python has no name for it


class UdpOptions(Value):
    """Options of datagram sockets besides SocketOptions.

    With `join` a server receives from that multicast group only, on the interface that has the
    address it would be bound to otherwise.
    """

    broadcast: bool = False
    join: str | None = None


class Route(Value):
    """Where datagrams go, and the local endpoint to send them from, None for any."""

    to: Endpoint
    source: Endpoint | None = None


def bind_datagrams(
    context: Context,
    options: ListenOptions,
    sockets: SocketOptions,
    udp: UdpOptions,
    on_done: OnDone[DatagramSocket],
) -> Pending:
    """Resolve the address, or the group to join, and bind a server's socket to it.

    Failures are BindError, ResolveError, UsageError.
    """

    return Steps(_bind(context, options, sockets, udp), on_done)


def _bind(
    context: Context, options: ListenOptions, sockets: SocketOptions, udp: UdpOptions
) -> Generator[Start[list[Endpoint]], list[Endpoint], DatagramSocket]:
    address = options.address
    _check(address)
    kind, emit, interface = opener(address), context.emit, None
    named = HostPort(udp.join, address.port or 0) if udp.join else address
    endpoint = (yield partial(resolve, context, named, sockets.families()))[0]
    if udp.join:
        endpoint = _group(endpoint, address, udp.join)
        if endpoint.family == socket.AF_INET:
            interface = (yield partial(resolve, context, address.with_port(0), socket.AF_INET))[0]
        # Several programs on one machine may join a group: its port is shared.
        sockets = sockets._replace(reuse_address=True)
    sock = _open(endpoint.family, sockets, udp, emit)
    try:
        kind.bind(sock, endpoint, sockets)
        emit(SocketCall("bind", show_address(sock.getsockname())))
        if udp.join:
            _join(sock, endpoint, interface, emit)
    except OSError as error:
        sock.close()
        raise kind.bind_error(error, address, "udp") from error
    except BaseException:
        sock.close()
        raise
    return DatagramSocket(context, sock, None, sockets, options.access)


def find_routes(
    context: Context,
    address: Address,
    options: ConnectOptions,
    sockets: SocketOptions,
    on_done: OnDone[list[Route]],
) -> Pending:
    """Find the routes to `address`, one for each endpoint.

    Failures are ResolveError, TimedOut, UsageError, and BindError for a bad source.
    """
    from sockkit.net.tcp.dial import reachable_from, resolve_source  # only a client needs them

    def steps() -> Generator[Start[Any], Any, list[Route]]:
        _check(address)
        family = sockets.families()
        found: list[Endpoint] = yield partial(
            options.resolve or resolve, context, address, family, timeout=options.timeout
        )
        local_endpoints: dict[int, Endpoint] = yield partial(resolve_source, context, options)
        reachable = reachable_from(found, local_endpoints, options, str(address))
        return [Route(endpoint, local_endpoints.get(endpoint.family)) for endpoint in reachable]

    return Steps(steps(), on_done)


def connect_datagrams(
    context: Context,
    address: Address,
    routes: list[Route],
    sockets: SocketOptions,
    udp: UdpOptions,
) -> Iterator[tuple[DatagramSocket, Endpoint]]:
    """Open a client's socket for each route in turn; yields it, and where its datagrams go.

    The socket is connected, so that refusals are reported to it. Not with `broadcast` or for a
    group: then answers come from other addresses than the one it sends to. Opening the first one
    raises BindError, ConnectError, UsageError.
    """
    failure: OSError | None = None
    opened = False
    for route in routes:
        sock = _open(route.to.family, sockets, udp, context.emit)
        try:
            aimed = _aim(sock, route, udp, context.emit)
        except OSError as error:
            sock.close()
            failure = error
            continue
        except BaseException:
            sock.close()
            raise
        opened = True
        yield DatagramSocket(context, sock, route.to if aimed else None, sockets), route.to
    if failure and not opened:
        hint = "give --broadcast" if failure.errno == errno.EACCES else ""
        why = words(failure)
        raise ConnectError(f"could not send to {address}: {why}", hint, kind=why) from failure


def _aim(sock: socket.socket, route: Route, udp: UdpOptions, emit: Emit) -> bool:
    """Bind `sock` to the route's source and connect it. Returns whether it is connected."""
    if route.source:
        _bind_source(sock, route.source, route.to, emit)
    if udp.broadcast or is_group(route.to):
        return False
    emit(SocketCall("connect", str(route.to)))
    sock.connect(route.to.address)
    return True


def is_group(endpoint: Endpoint) -> bool:
    """Whether it is a multicast address, RFC 5771 and RFC 4291 section 2.7."""
    host = str(endpoint.address[0])
    if endpoint.family == socket.AF_INET6:
        return host.lower().startswith("ff")
    return 224 <= int(host.partition(".")[0]) <= 239


def _check(address: Address) -> None:
    if not opener(address).datagrams:
        raise UsageError(f"{address} is no address for UDP", "give a host and a port")


def _open(family: int, sockets: SocketOptions, udp: UdpOptions, emit: Emit) -> socket.socket:
    try:
        sock = sockets.open(family, emit, socket.SOCK_DGRAM)
    except OSError as error:
        raise BindError(f"could not open a socket: {words(error)}") from error
    if udp.broadcast and family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        emit(SocketCall("setsockopt", "SO_BROADCAST = 1"))
    if sockets.receive_buffer is None:
        for option in (
            socket.SO_RCVBUF,
            _SO_RCVBUFFORCE,
        ):  # the second one is for root, without the limit
            try_option(sock, socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
    return sock


def _bind_source(sock: socket.socket, mine: Endpoint, to: Endpoint, emit: Emit) -> None:
    try:
        sock.bind(mine.address)
        if is_group(to):
            _send_by(sock, mine)
    except OSError as error:
        raise BindError(
            f"could not send from {mine}: {words(error)}",
            "give --source an address of this machine and a free port",
        ) from error
    emit(SocketCall("bind", str(mine)))


def _send_by(sock: socket.socket, mine: Endpoint) -> None:
    """Send to groups through the interface that has this address."""
    if mine.family == socket.AF_INET:
        host = socket.inet_aton(mine.address[0])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, host)
    elif mine.address[3]:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, mine.address[3])


def _group(group: Endpoint, address: Address, name: str) -> Endpoint:
    """Check the group. For IPv6 on the loopback, add the interface, as in `ff02::1%eth0`."""
    if not is_group(group):
        raise UsageError(f"{name} is not a multicast group", "give one as 239.1.2.3 or ff02::1")
    local = address.host in ("::1", "127.0.0.1")
    if group.family == socket.AF_INET or group.address[3] or not local:
        return group
    return group._replace(address=(*group.address[:3], socket.if_nametoindex("lo")))


def _join(sock: socket.socket, group: Endpoint, interface: Endpoint | None, emit: Emit) -> None:
    """Join `group` on the interface of this address, or on the one that the group names."""
    address = group.address[0].partition("%")[0]
    if interface:
        member = socket.inet_aton(address) + socket.inet_aton(interface.address[0])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    else:
        number = group.address[3]
        member = socket.inet_pton(socket.AF_INET6, address) + struct.pack("@I", number)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    emit(SocketCall("join", str(group)))
