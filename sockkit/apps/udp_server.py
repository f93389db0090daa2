"""udp-server: what anybody sends to standard output, answers from standard input."""

from __future__ import annotations

import os
from functools import partial

from sockkit.apps.datagrams import DatagramOptions
from sockkit.apps.operator import operate
from sockkit.core.peers import Recipient
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import ListenOptions, announce
from sockkit.net.udp.open import UdpOptions, bind_datagrams
from sockkit.net.udp.server import UdpHub, UdpHubOptions
from sockkit.net.waiting import wait_for
from sockkit.values import Value


class UdpServer(Value):
    listen: ListenOptions
    sockets: SocketOptions
    udp: UdpOptions
    posting: DatagramOptions
    answer: Recipient = Recipient.LAST
    reply: str | None = None
    port_file: str | None = None


def run(config: UdpServer, context: Context) -> None:
    """Serve until a signal, or the operator's `/quit`. Raises SockkitError."""
    loop, stdio, emit = context.loop, context.stdio, context.emit
    posting = config.posting
    reply = None
    if config.reply is not None:
        reply = posting.packer(stdio, "--reply", None)(os.fsencode(config.reply))
    options = (config.listen, config.sockets, config.udp, posting.size)
    sock = wait_for(loop, partial(bind_datagrams, context, *options))
    try:
        with port_file(loop, config.port_file, sock):
            announce(sock, emit)
            post = posting.post(context, many=True)
            hub = UdpHub(loop, sock, stdio, UdpHubOptions(post, config.answer, reply), emit)
            hub.run(operate(hub, context))
    finally:
        sock.close()
