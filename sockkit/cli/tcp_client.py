"""`sockkit tcp-client`: its options and its help."""

from __future__ import annotations

from typing import Any

import click

from sockkit.cli.commands import BundledCommand, Page, fold
from sockkit.cli.input import INPUT, text_options
from sockkit.cli.options import (
    ADDRESS,
    CLIENT_SOCKET,
    CLIENT_TIME,
    DIRECTION,
    OUTPUT,
    PROGRAMS,
    PROXY,
    TERMINAL,
    TEXT,
    program,
    proxy_option,
)
from sockkit.cli.params import client_address
from sockkit.cli.tls import CLIENT_TLS, client_tls
from sockkit.cli.views import STREAM_VIEW

_HELP = """Connect to HOST PORT, send stdin, and print what the peer sends.

When stdin ends, the peer is told so (half-close), and its replies are printed until it
closes. The exit status is 0 only if every byte was delivered.

The address may also be one word: HOST:PORT, [IPV6]:PORT, unix:/PATH or unix:@NAME.
"""

_EXAMPLES = """\
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | sockkit tcp-client 127.0.0.1 8000
  sockkit tcp-client 192.168.1.20 9000 < firmware.bin
  sockkit tcp-client --tls www.example.org 443
  sockkit tcp-client -E gbk -C 192.168.1.30 7788
"""

_MOST = (
    *("hex", "encoding", "crlf", "hex_input", "recv_only", "output", "timeout", "idle"),
    *("execute", "encrypted", "through", "verbose", "explain"),
)


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.conversation import ConversationOptions
    from sockkit.apps.tcp_client import TcpClient, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions

    to = client_address(address, ask=not values["recv_only"])
    config = TcpClient(
        address=to,
        connect=fold(ConnectOptions, values, proxy=proxy_option(values, to)),
        sockets=fold(SocketOptions, values),
        conversation=fold(ConversationOptions, values, text=text_options(values)),
        tls=client_tls(values),
        program=program(values),
    )
    start("tcp-client", run, config, values)


command = BundledCommand(
    "tcp-client",
    arguments=[click.Argument(["address"], nargs=-1, metavar="HOST PORT")],
    bundles=[
        ADDRESS,
        DIRECTION,
        TEXT,
        INPUT,
        STREAM_VIEW,
        CLIENT_TIME,
        PROGRAMS,
        CLIENT_TLS,
        PROXY,
        TERMINAL,
        OUTPUT,
        CLIENT_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
