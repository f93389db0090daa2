"""tcp-client: connect, standard input to the peer, the peer to standard output."""

from __future__ import annotations

from functools import partial

from sockkit.apps.conversation import TalkOptions
from sockkit.apps.shown import gbk_hint
from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.session import Session
from sockkit.net.waiting import wait_for
from sockkit.values import Value


class TcpClient(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    talk: TalkOptions


def run(config: TcpClient, context: Context) -> None:
    """Return when the conversation is over and nothing was lost. Raises SockkitError."""
    loop, stdio, emit = context.loop, context.stdio, context.emit
    talk = config.talk.talk(stdio, gbk_hint(emit))
    dialling = partial(dial, context, config.address, config.connect, config.sockets)
    stream = wait_for(loop, dialling)
    try:
        Session(loop, stream, stdio, talk, emit).run()
    finally:
        stream.close()
