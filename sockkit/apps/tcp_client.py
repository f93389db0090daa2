"""tcp-client: connect, standard input to the peer, the peer to standard output."""

from __future__ import annotations

from sockkit.apps.conversation import ConversationOptions
from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, connect
from sockkit.net.tcp.session import Session, converse
from sockkit.values import Value


class TcpClient(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    talk: ConversationOptions


def run(config: TcpClient, context: Context) -> None:
    """Return when the conversation is over and nothing was lost. Raises SockkitError."""
    talk = config.talk.talk(context)
    end = connect(context.loop, config.address, config.connect, config.sockets, context.emit)
    converse(context, Session(context, end, talk))
