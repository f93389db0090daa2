"""Opens datagram sockets, bound for a server or aimed at one address, also for multicast, udp(7).

Unix datagram sockets are opened here, too; net/udp/unix.py has their differences.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address, HostPort
from sockkit.errors import BindError, ConnectError, UsageError, reason
from sockkit.events import Emit, SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, is_group, show_address
from sockkit.net.ends.end import failure_kind
from sockkit.net.openers import Opener, opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.udp.datagrams import DatagramSocket, try_option
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions

ANSWER_PATIENCE_SECONDS = 0.02  # others wait at most so long for a receiver that is full
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024  # asked for; the system may allow less
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python has no name for it


class UdpOptions(Value):
    """Options of datagram sockets besides SocketOptions.

    With `join`, a server receives only from that multicast group, on the interface that has the
    server's address. `patience` is how long a server waits for a unix receiver that is full, in
    seconds.
    """

    broadcast: bool = False
    join: str | None = None
    patience: float = ANSWER_PATIENCE_SECONDS


class Route(Value):
    """The endpoint to send datagrams to, and the local endpoint to send them from (None: any)."""

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
    kind, emit, interface = _opener(address, udp), context.emit, None
    admission = kind.admission(address, options, sockets)
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
        emit(SocketCall("bind", str(endpoint)))
        unbind = kind.bind(sock, endpoint, sockets)
        if udp.join:
            _join(sock, endpoint, interface, emit)
    except OSError as error:
        sock.close()
        raise kind.bind_error(error, address, "udp") from error
    except BaseException:
        sock.close()
        raise
    if sock.family != socket.AF_UNIX:
        return DatagramSocket(context, sock, None, sockets, admission)
    from sockkit.net.udp.unix import UnixDatagramSocket

    made = UnixDatagramSocket(context, sock, None, sockets, admission)
    made.unbind, made.patience = unbind, udp.patience
    return made


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

    The socket is connected, so that it gets refusals. With `broadcast`, or for a group, it is not
    connected, because answers then come from other addresses. Raises BindError, ConnectError and
    UsageError when the first socket is opened.
    """
    _opener(address, udp)
    failure: OSError | None = None
    opened = False
    for route in routes:
        sock = _open(route.to.family, sockets, udp, context.emit)
        try:
            made = _aim(context, sock, route, sockets, udp)
        except OSError as error:
            sock.close()
            failure = error
            continue
        except BaseException:
            sock.close()
            raise
        opened = True
        yield made, route.to
    if failure and not opened:
        why, hint = reason(failure), _hint(failure, ip=opener(address).ip)
        raise ConnectError(
            f"could not send to {address}: {why}", hint, kind=failure_kind(failure)
        ) from failure


def _hint(error: OSError, *, ip: bool) -> str:
    """The hint for an error of `_aim`."""
    if not ip:
        return "it is a stream socket: use tcp-client" if error.errno == errno.EPROTOTYPE else ""
    return "add --broadcast" if error.errno == errno.EACCES else ""


def _aim(
    context: Context, sock: socket.socket, route: Route, sockets: SocketOptions, udp: UdpOptions
) -> DatagramSocket:
    """Bind `sock` to the route's source. Connect it, unless answers come from other addresses."""
    if route.to.family == socket.AF_UNIX:
        return _aim_unix(context, sock, route, sockets)
    if route.source:
        _bind_source(sock, route.source, route.to, context.emit)
    aimed = not udp.broadcast and not is_group(route.to)
    if aimed:
        _connect(sock, route.to, context.emit)
    return DatagramSocket(context, sock, route.to if aimed else None, sockets, dialled=True)


def _connect(sock: socket.socket, to: Endpoint, emit: Emit) -> None:
    emit(SocketCall("connect", str(to)))
    sock.connect(to.address)


def _aim_unix(
    context: Context, sock: socket.socket, route: Route, sockets: SocketOptions
) -> DatagramSocket:
    from sockkit.net.udp.unix import UnixDatagramSocket, bind_client

    _connect(sock, route.to, context.emit)
    try:
        unbind = bind_client(sock, route.to, route.source, sockets, context.environment)
    except OSError as error:
        mine = route.source or "an address of its own"
        raise BindError(
            f"could not send from {mine}: {reason(error)}", "use another --source unix:/PATH"
        ) from error
    context.emit(SocketCall("bind", show_address(sock.getsockname())))
    made = UnixDatagramSocket(context, sock, route.to, sockets, dialled=True)
    made.unbind = unbind
    return made


def _opener(address: Address, udp: UdpOptions) -> Opener:
    """The row of `address`. Raises UsageError if it has no datagrams, or not with these options."""
    kind = opener(address)
    if not kind.datagrams:
        raise UsageError(f"{address} is not a UDP address", "use HOST PORT")
    for option, given in (("--broadcast", udp.broadcast), ("--join", udp.join)):
        if given and not kind.ip:
            raise UsageError(f"{option} cannot be used with {address}", "remove one of them")
    return kind


def _open(family: int, sockets: SocketOptions, udp: UdpOptions, emit: Emit) -> socket.socket:
    try:
        sock = sockets.open(family, emit, socket.SOCK_DGRAM)
    except OSError as error:
        raise BindError(f"could not open a socket: {reason(error)}") from error
    if udp.broadcast and family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        emit(SocketCall("setsockopt", "SO_BROADCAST = 1"))
    if sockets.receive_buffer is None and family != socket.AF_UNIX:
        for option in (
            socket.SO_RCVBUF,
            _SO_RCVBUFFORCE,
        ):  # the second one is for root, without the limit
            try_option(sock, socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
    return sock


def _bind_source(sock: socket.socket, mine: Endpoint, to: Endpoint, emit: Emit) -> None:
    emit(SocketCall("bind", str(mine)))
    try:
        sock.bind(mine.address)
        if is_group(to):
            _send_by(sock, mine)
    except OSError as error:
        raise BindError(
            f"could not send from {mine}: {reason(error)}",
            "give --source an address of this machine and a free port",
        ) from error


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
        raise UsageError(f"{name} is not a multicast group", "use one such as 239.1.2.3 or ff02::1")
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
