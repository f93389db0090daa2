"""`sockkit udp-client`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.input import input_of, text_options
from sockkit.cli.options import (
    BROADCAST,
    LABEL,
    LINES,
    NICKNAME,
    OUTPUT,
    TEXT,
    UDP_ADDRESS,
    UDP_CLIENT_TIME,
    UDP_DIRECTION,
    UDP_SOCKET,
    UDP_TERMINAL,
)
from sockkit.cli.params import client_address
from sockkit.cli.views import DATAGRAM_VIEW

_HELP = """Send stdin to HOST PORT as datagrams, and print the replies.

UDP has no connection, and no guarantee that a datagram arrives. When stdin has ended, the
command ends after 1s without a reply (--linger), or after N replies (--expect N).

The address may also be one word: HOST:PORT, [IPV6]:PORT, unix:/PATH or unix:@NAME.
"""

_EXAMPLES = """\
  sockkit udp-client 127.0.0.1 8008
  sockkit udp-client --name 小雪 127.0.0.1 8008
  echo STATUS | sockkit udp-client --lines --expect 1 -w 2 192.168.1.30 7788
"""

_MOST = (
    *("lines", "expect", "timeout", "linger", "name", "hex", "encoding", "hex_input"),
    *("recv_only", "source", "verbose", "explain"),
)

_DATAGRAMS = Bundle(
    "Datagrams",
    (
        LINES,
        Option(["--expect"], type=click.IntRange(1), metavar="N",
               help="End when N replies have arrived. If they have not arrived within "
               "--connect-timeout after the end of stdin, the exit status is 28."),
        NICKNAME,
        LABEL,
        BROADCAST,
    ),
).saying(
    lines="Send each line as a datagram, and print each datagram as a line. On a terminal, and "
    "with -E, -C or --name, this is the default. Otherwise stdin is split at --buffer-size, and "
    "datagrams are printed as they are.",
    name="Begin each datagram with NAME and a colon, as in alice:hello.",
    label="Start each line with its peer, for example [192.168.1.30:7788]. On a terminal this is "
          "the default where several peers may answer.",
)  # fmt: skip
_DIRECTION = UDP_DIRECTION.saying(
    recv_only="Only receive; never read stdin. Needs --source with a port. The command ends when "
              "it is stopped (Ctrl-C), or by --expect, --linger or --idle-timeout.",
    send_only="Only send; discard what arrives. The command ends when stdin has ended.",
)  # fmt: skip
_TIME = UDP_CLIENT_TIME.saying(
    timeout="Wait this long for the replies of --expect, for example 2s. The time starts at "
    "the end of stdin; when it is over, the exit status is 28. This option also limits "
    "looking up the name.",
    idle="End after this long without a datagram, for example 30s. Datagrams in either direction "
         "count. The exit status is then 28.",
    linger="Once stdin has ended, leave after this long without a reply. Default: 1s.",
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
        _DATAGRAMS,
        UDP_ADDRESS,
        _DIRECTION,
        TEXT,
        input_of("stdin", " Each line is a datagram."),
        DATAGRAM_VIEW,
        _TIME,
        UDP_TERMINAL,
        OUTPUT,
        UDP_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
