"""tcp-client: connect, standard input to the peer, the peer to standard output."""

from __future__ import annotations

from sockkit.apps.conversation import ConversationOptions
from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, connect
from sockkit.net.tcp.session import Session
from sockkit.values import Value


class TcpClient(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    talk: ConversationOptions


def run(config: TcpClient, context: Context) -> None:
    """Return when the conversation is over and nothing was lost. Raises SockkitError."""
    loop, stdio, emit = context.loop, context.stdio, context.emit
    talk = config.talk.talk(context)
    stream = connect(loop, config.address, config.connect, config.sockets, emit)
    try:
        Session(loop, stream, stdio, talk, emit).run()
    finally:
        stream.close()
