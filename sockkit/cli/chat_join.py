"""`sockkit chat join`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import (
    CHAT,
    CLIENT_SOCKET,
    ERRORS,
    IDLE_TIME,
    NICKNAME,
    OUTPUT,
    PASSWORD,
    PROXY,
    TERMINAL,
    UDP,
    proxy_option,
)
from sockkit.cli.params import client_address
from sockkit.cli.tls import CLIENT_TLS, client_tls
from sockkit.cli.views import VIEW

_HELP = """Join the chat room at HOST PORT. What you type is said to all.

stdin may be piped: what it has is said, and delivered, before the command ends.
"""

_EPILOG = """\b
Examples:
  sockkit chat join 127.0.0.1 9000 --name 小雪
  echo 'the build is done' | sockkit chat join 127.0.0.1 9000 --name builder
"""

_MEMBER = Bundle(
    "Member",
    (
        NICKNAME,
        *PASSWORD,
        ERRORS,
        UDP,
        Option(["--reconnect"], is_flag=True,
               help="Connect again, after a pause that grows, when the connection is lost."),
    ),
)  # fmt: skip


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.chat_join import ChatJoin, run
    from sockkit.cli.password import room_password
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions

    to = client_address(address)
    config = fold(
        ChatJoin,
        {**values, "password": room_password(values)},
        address=to,
        connect=fold(ConnectOptions, values, proxy=proxy_option(values, to)),
        sockets=fold(SocketOptions, values),
        tls=client_tls(values),
    )
    start("chat-join", run, config, values)


command = BundledCommand(
    "join",
    arguments=[click.Argument(["address"], nargs=-1, metavar="HOST PORT")],
    bundles=[CLIENT_SOCKET, _MEMBER, CHAT, VIEW, IDLE_TIME, CLIENT_TLS, PROXY, TERMINAL, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
