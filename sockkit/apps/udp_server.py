"""udp-server: writes what all peers send, and answers from standard input."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.apps.prepare import with_access
from sockkit.core.peers import Recipient
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import ListenOptions, announce
from sockkit.net.udp.open import UdpOptions, bind_datagrams
from sockkit.net.udp.server import DatagramServer
from sockkit.net.waiting import wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions


STDIN_PATIENCE_SECONDS = 1.0  # for which standard input waits for a unix peer that is full


class UdpServer(Value):
    listen: ListenOptions
    sockets: SocketOptions
    udp: UdpOptions
    datagrams: DatagramOptions
    answer: Recipient
    reply: str | None
    port_file: str | None
    access: AccessOptions | None = None


def run(config: UdpServer, context: Context) -> None:
    """Serve until a signal, or the operator's `/quit`. Raises SockkitError."""
    messages = Messages(config.datagrams, context, many=True)
    reply = None
    if config.reply is not None:
        reply = messages.encode(os.fsencode(config.reply), "--reply")
    listen, udp = with_access(context, config.listen, config.access), config.udp
    if reply is None:  # otherwise peers that read nothing could keep answers from all others
        udp = udp._replace(patience=STDIN_PATIENCE_SECONDS)
    options = (listen, config.sockets, udp)
    sock = wait_for(context.loop, partial(bind_datagrams, context, *options))
    try:
        with port_file(context.loop, config.port_file, sock):
            announce(sock, context.emit)
            server = DatagramServer(context, sock, messages, config.answer, reply)
            server.run(_open_console(server, context) if context.stdio.input.terminal else None)
    finally:
        sock.close()


def _open_console(server: DatagramServer, context: Context) -> Callable[[bytes], None]:
    from sockkit.apps.operator import open_console
    from sockkit.core.server_console import UdpCommands

    return open_console(UdpCommands(server, context.stdio.encoding, context.emit), context)
