"""`sockkit udp-server`: its options and its help."""

from __future__ import annotations

from typing import Any

from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.input import INPUT, text_options
from sockkit.cli.options import (
    DATAGRAMS,
    IDLE,
    LABEL,
    OUTPUT,
    REPLY,
    TERMINAL,
    TEXT,
    UDP_ACCESS,
    UDP_DIRECTION,
    UDP_PROGRAMS,
    UDP_SERVER_SOCKET,
    access_options,
    program,
)
from sockkit.cli.params import EnumChoice, server_address
from sockkit.cli.views import DATAGRAM_VIEW
from sockkit.core.peers import Recipient

_HELP = """Show the datagrams that anybody sends, and answer from stdin until stopped (Ctrl-C).

stdin goes to whom was heard last, or to all; on a terminal you choose, and /help tells how.
"""

_EPILOG = """\b
Examples:
  sockkit udp-server -p 8008
  sockkit udp-server -p 8008 --color alex=green --color 小雪=magenta
  sockkit udp-server --bind 0.0.0.0 -p 5000 --reply ok
  sockkit udp-server --bind unix:/tmp/log.sock --unix-mode 660 --lines
  sockkit udp-server -p 1300 --exec date
"""

_ANSWERS = Bundle(
    "Datagrams",
    (
        *DATAGRAMS,
        Option(["--answer"], type=EnumChoice(Recipient),
               help="Whom stdin goes to: the peer heard from most recently (last, the default), or "
                    "all."),
        REPLY,
        IDLE,
        LABEL,
    ),
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.datagrams import DatagramOptions
    from sockkit.apps.udp_server import UdpServer, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions
    from sockkit.net.udp.open import UdpOptions

    address = server_address(values["bind"], values["port"], values["family"])
    config = fold(
        UdpServer,
        values,
        access=access_options(values),
        listen=fold(ListenOptions, values, address=address),
        program=program(values),
        sockets=fold(SocketOptions, values),
        udp=fold(UdpOptions, values),
        datagrams=fold(DatagramOptions, values, text=text_options(values)),
    )
    start("udp-server", run, config, values)


command = BundledCommand(
    "udp-server",
    bundles=[
        UDP_SERVER_SOCKET,
        _ANSWERS,
        UDP_DIRECTION,
        TEXT,
        INPUT,
        DATAGRAM_VIEW,
        UDP_PROGRAMS,
        UDP_ACCESS,
        TERMINAL,
        OUTPUT,
    ],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
