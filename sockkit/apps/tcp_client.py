"""tcp-client: connects, sends standard input, and writes what the peer sends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.prepare import secure_dialling
from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.waiting import Silence, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls


class TcpClient(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    conversation: ConversationOptions
    tls: ClientTls | None = None
    program: tuple[str, ...] = ()


def run(config: TcpClient, context: Context) -> None:
    """Return when the session is over and nothing was lost. Raises SockkitError."""
    config.conversation.check_one_way()
    if config.program:
        _run_program(config, context)
        return
    from sockkit.net.tcp.session import Session, run_session

    options = config.conversation.session_options(context, fragile=_is_fragile(config))
    end = _dial(config, context)
    session = Session(context, end, options, config.sockets)
    config.conversation.offer_commands(context, session)
    with context.progress(session.moved):
        run_session(context, session)


def _run_program(config: TcpClient, context: Context) -> None:
    from sockkit.apps.programs import find_program, join_options
    from sockkit.net.tcp.program_server import run_one

    text = config.conversation.text
    programs = find_program(
        context,
        config.program,
        hex_input=text.hex_input,
        escape_input=text.escape_input,
        recv_only=config.conversation.recv_only,
        send_only=config.conversation.send_only,
    )
    join = join_options(
        context,
        config.conversation,
        fragile=_is_fragile(config),
        buffer_size=config.sockets.buffer_size,
    )
    run_one(context, _dial(config, context), programs, join)


def _is_fragile(config: TcpClient) -> bool:
    return bool(config.tls or config.connect.proxy)


def _dial(config: TcpClient, context: Context) -> End:
    connect = secure_dialling(context, config.connect, config.address, config.tls)
    dialling = partial(dial, context, config.address, connect, config.sockets)
    told = f"still connecting to {config.address} (-w SECONDS gives up sooner)"
    silence = Silence(context.loop, context.emit, told, lambda: 0)
    silence.start()
    try:
        end: End = wait_for(context.loop, dialling)
    finally:
        silence.stop()
    return end
