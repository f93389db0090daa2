"""udp-client: standard input as datagrams to one address, the answers to standard output."""

from __future__ import annotations

from functools import partial

from sockkit.apps.datagrams import DatagramOptions
from sockkit.core.address import Address
from sockkit.events import Aimed
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.udp.client import AnswerOptions, UdpSession
from sockkit.net.udp.open import UdpOptions, connect_datagrams, find_routes
from sockkit.net.waiting import wait_for
from sockkit.values import Value


class UdpClient(Value):
    address: Address
    sockets: SocketOptions
    udp: UdpOptions
    posting: DatagramOptions
    answers: AnswerOptions
    connect: ConnectOptions = ConnectOptions()


def run(config: UdpClient, context: Context) -> None:
    """Return when all was sent and the answers have come. Raises SockkitError."""
    loop, stdio, emit = context.loop, context.stdio, context.emit
    size = config.posting.size
    finding = partial(find_routes, context, config.address, config.connect, config.sockets)
    routes = wait_for(loop, finding)
    aims = connect_datagrams(context, config.address, routes, config.sockets, config.udp, size)
    sock, to = next(aims)
    try:
        emit(Aimed(str(to), sock.address))
        post = config.posting.post(context, many=not sock.connected)
        UdpSession(loop, sock, to, stdio, (post, config.answers), emit, aims).run()
    finally:
        sock.close()
