"""tcp-client: connects, sends standard input, and writes what the peer sends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.prepare import secure_dialling
from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.session import Session, run_session
from sockkit.net.waiting import wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls


class TcpClient(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    conversation: ConversationOptions
    tls: ClientTls | None = None


def run(config: TcpClient, context: Context) -> None:
    """Return when the session is over and nothing was lost. Raises SockkitError."""
    fragile = bool(config.tls or config.connect.proxy)
    options = config.conversation.session_options(context, fragile=fragile)
    connect = secure_dialling(context, config.connect, config.address, config.tls)
    dialling = partial(dial, context, config.address, connect, config.sockets)
    end = wait_for(context.loop, dialling)
    run_session(context, Session(context, end, options, config.sockets))
