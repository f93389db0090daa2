"""`sockkit udp-client`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.input import INPUT, text_options
from sockkit.cli.options import (
    DATAGRAMS,
    IDLE,
    LABEL,
    LINGER,
    NICKNAME,
    OUTPUT,
    TERMINAL,
    TEXT,
    UDP_CLIENT_SOCKET,
    UDP_DIRECTION,
)
from sockkit.cli.params import client_address
from sockkit.cli.views import DATAGRAM_VIEW

_HELP = """Send stdin to HOST PORT as datagrams, and show the answers.

A datagram in is a datagram out. UDP has no connection and promises nothing: what nobody
receives is lost. When stdin has ended, answers are awaited while they come.

The address may also be one word: HOST:PORT, [IPV6]:PORT, unix:/PATH or unix:@NAME.
"""

_EPILOG = """\b
Examples:
  sockkit udp-client 127.0.0.1 8008
  sockkit udp-client --name 小雪 127.0.0.1 8008
  echo STATUS | sockkit udp-client --lines --expect 1 -w 2 192.168.1.30 7788
"""

_ANSWERS = Bundle(
    "Datagrams",
    (
        *DATAGRAMS,
        NICKNAME,
        Option(["--expect"], type=click.IntRange(1), metavar="N",
               help="End when N answers have come; give up (status 28) when they have not "
                    "within --connect-timeout of stdin's end."),
        LINGER,
        IDLE,
        LABEL,
    ),
)  # fmt: skip


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.datagrams import DatagramOptions
    from sockkit.apps.udp_client import UdpClient, run
    from sockkit.cli.start import start
    from sockkit.core.answers import AnswerOptions
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.udp.open import UdpOptions

    config = UdpClient(
        address=client_address(address, ask=not values["recv_only"]),
        sockets=fold(SocketOptions, values),
        udp=fold(UdpOptions, values),
        datagrams=fold(DatagramOptions, values, text=text_options(values)),
        answers=fold(AnswerOptions, values),
        connect=fold(ConnectOptions, values),
    )
    start("udp-client", run, config, values)


command = BundledCommand(
    "udp-client",
    arguments=[click.Argument(["address"], nargs=-1, metavar="HOST PORT")],
    bundles=[
        UDP_CLIENT_SOCKET,
        _ANSWERS,
        UDP_DIRECTION,
        TEXT,
        INPUT,
        DATAGRAM_VIEW,
        TERMINAL,
        OUTPUT,
    ],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
