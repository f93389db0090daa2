"""UDP sockets: bound for a server, or aimed at one address; multicast and broadcast, udp(7)."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import BindError, ConnectError, UsageError
from sockkit.events import Emit, Step
from sockkit.net.context import Context
from sockkit.net.ends.end import words
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, resolve_on, show_address
from sockkit.net.udp.datagrams import DatagramSocket, try_option
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import ListenOptions

ROOM = 4 * 1024 * 1024  # bytes asked for as the buffer for receiving; the system gives less
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python has no name for it


class UdpOptions(Value):
    """What a datagram socket can be told besides SocketOptions.

    With `join` a server hears that multicast group alone, by the interface of the address
    it would be bound to.
    """

    broadcast: bool = False
    join: str | None = None


def bind_datagrams(
    context: Context,
    options: ListenOptions,
    sockets: SocketOptions,
    udp: UdpOptions,
    size: int | None,
) -> DatagramSocket:
    """A server's socket, bound. Raises BindError, ResolveError, UsageError."""
    loop, emit = context.loop, context.emit
    address = _internet(options.address)
    named = HostPort(udp.join, address.port) if udp.join else address
    endpoint = resolve_on(loop, named, sockets.families(), passive=True)[0]
    if udp.join:
        if not is_group(endpoint):
            raise UsageError(
                f"{udp.join} is not a multicast group", "give one as 239.1.2.3 or ff02::1"
            )
        endpoint = _placed(endpoint, address.host)
    # Everybody on a machine may hear a group: its port is for sharing.
    sockets = sockets._replace(reuse_address=sockets.reuse_address or udp.join is not None)
    sock = _open(endpoint.family, sockets, udp, emit)
    try:
        if endpoint.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockets.family == 6)
        sock.bind(endpoint.address)
        emit(Step("bind", show_address(sock.getsockname())))
        if udp.join:
            _join(loop, sock, endpoint, address.host, emit)
    except OSError as error:
        from sockkit.net.tcp.listen import bind_error  # only a server needs it

        sock.close()
        raise bind_error(error, options.address, "udp") from error
    except BaseException:
        sock.close()
        raise
    return DatagramSocket(context, sock, None, size)


def connect_datagrams(
    context: Context,
    address: HostPort | UnixPath,
    options: ConnectOptions,
    sockets: SocketOptions,
    udp: UdpOptions,
    size: int | None,
) -> Iterator[tuple[DatagramSocket, Endpoint]]:
    """A client's socket, and where its datagrams go: for each of the name's addresses in turn.

    It is connected, and so hears of refusals, unless answers may come from others than the
    one it sends to: with `broadcast`, or to a group. The first one raises BindError,
    ConnectError, ResolveError, TimedOut, UsageError.
    """
    from sockkit.net.tcp.dial import our_ends, reachable  # only a client needs them

    loop, emit = context.loop, context.emit
    found = resolve_on(loop, _internet(address), sockets.families(), timeout=options.timeout)
    mine = our_ends(loop, options)
    failure: OSError | None = None
    opened = False
    for endpoint in reachable(found, mine, options, address):
        sock = _open(endpoint.family, sockets, udp, emit)
        try:
            aimed = _aim(sock, endpoint, mine.get(endpoint.family), udp, emit)
        except OSError as error:
            sock.close()
            failure = error
            continue
        except BaseException:
            sock.close()
            raise
        opened = True
        yield DatagramSocket(context, sock, endpoint if aimed else None, size), endpoint
    if failure and not opened:
        hint = "give --broadcast" if failure.errno == errno.EACCES else ""
        raise ConnectError(f"could not send to {address}: {words(failure)}", hint) from failure


def _aim(
    sock: socket.socket, endpoint: Endpoint, mine: Endpoint | None, udp: UdpOptions, emit: Emit
) -> bool:
    """Connect `sock`, from our end `mine` if that is given; False where answers are anybody's."""
    if mine:
        _bind_source(sock, mine, endpoint, emit)
    if udp.broadcast or is_group(endpoint):
        return False
    emit(Step("connect", str(endpoint)))
    sock.connect(endpoint.address)
    return True


def is_group(endpoint: Endpoint) -> bool:
    """Whether it is a multicast address, RFC 5771 and RFC 4291 section 2.7."""
    host = str(endpoint.address[0])
    if endpoint.family == socket.AF_INET6:
        return host.lower().startswith("ff")
    return 224 <= int(host.partition(".")[0]) <= 239


def _internet(address: HostPort | UnixPath) -> HostPort:
    if isinstance(address, UnixPath):
        raise UsageError(f"{address} is no address for UDP", "give a host and a port")
    return address


def _open(family: int, sockets: SocketOptions, udp: UdpOptions, emit: Emit) -> socket.socket:
    try:
        sock = sockets.open(family, emit, socket.SOCK_DGRAM)
    except OSError as error:
        raise BindError(f"could not open a socket: {words(error)}") from error
    if udp.broadcast and family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        emit(Step("setsockopt", "SO_BROADCAST = 1"))
    if sockets.receive_buffer is None:
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):  # a privileged user may have it all
            try_option(sock, socket.SOL_SOCKET, option, ROOM)
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
    emit(Step("bind", str(mine)))


def _send_by(sock: socket.socket, mine: Endpoint) -> None:
    """Let what goes to a group leave by the interface that has this address."""
    if mine.family == socket.AF_INET:
        host = socket.inet_aton(mine.address[0])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, host)
    elif mine.address[3]:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, mine.address[3])


def _placed(group: Endpoint, host: str) -> Endpoint:
    """With its interface: IPv6 needs a name or a number, `ff02::1%eth0`, but for the loopback."""
    if group.family == socket.AF_INET or group.address[3] or host not in ("::1", "127.0.0.1"):
        return group
    return group._replace(address=(*group.address[:3], socket.if_nametoindex("lo")))


def _join(loop: Loop, sock: socket.socket, group: Endpoint, host: str, emit: Emit) -> None:
    """Hear `group` by the interface that `host` is an address of, or that the group names."""
    address = group.address[0].partition("%")[0]
    if sock.family == socket.AF_INET:
        interface = resolve_on(loop, HostPort(host, 0), socket.AF_INET)[0].address[0]
        member = socket.inet_aton(address) + socket.inet_aton(interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    else:
        number = group.address[3]
        member = socket.inet_pton(socket.AF_INET6, address) + struct.pack("@I", number)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    emit(Step("join", str(group)))
