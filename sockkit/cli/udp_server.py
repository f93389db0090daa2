"""`sockkit udp-server`: its options and its help."""

from __future__ import annotations

from typing import Any

from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.input import input_of, text_options
from sockkit.cli.options import (
    JOIN,
    LABEL,
    LINES,
    LISTENING,
    OUTPUT,
    REPLY,
    SERVER_TIME,
    TEXT,
    UDP_ACCESS,
    UDP_DIRECTION,
    UDP_PROGRAMS,
    UDP_SOCKET,
    UDP_TERMINAL,
    access_options,
    program,
)
from sockkit.cli.params import EnumChoice, listening, listening_words
from sockkit.cli.views import DATAGRAM_VIEW
from sockkit.core.peers import Recipient

_HELP = """Print the datagrams that anyone sends, and answer from stdin, until stopped (Ctrl-C).

stdin goes to the peer heard from most recently, or to all (--answer all). On a terminal you
can choose: type /help.
"""

_EXAMPLES = """\
  sockkit udp-server -p 8008
  sockkit udp-server -p 8008 --color alex=green --color 小雪=magenta
  sockkit udp-server --bind 0.0.0.0 -p 5000 --reply ok
  sockkit udp-server -p 1300 --exec date
  sockkit udp-server --bind unix:/tmp/log.sock --unix-mode 660 --lines
"""

_MOST = (
    *("port", "bind", "answer", "reply", "join", "lines", "hex", "encoding", "recv_only"),
    *("execute", "allow", "verbose", "explain"),
)

_LISTENING = LISTENING.saying(
    unix_mode="Set the file mode of unix:/PATH, for example 660. Only users who may write "
              "to the file can send. Default: what the umask allows.",
)  # fmt: skip
_DATAGRAMS = Bundle(
    "Datagrams",
    (
        Option(["--answer"], type=EnumChoice(Recipient),
               help="Send stdin to the last peer heard from, or to all. Default: last."),
        REPLY,
        LINES,
        LABEL,
        JOIN,
    ),
).saying(
    reply="Answer each datagram with TEXT. No line end is added: in bash, $'hi\\n' has one.",
)  # fmt: skip
_DIRECTION = UDP_DIRECTION.saying(
    recv_only="Only receive; never read stdin. --reply still answers.",
    send_only="Only send; discard what arrives. The end of stdin does not end the command.",
)  # fmt: skip
_TIME = SERVER_TIME.only("timeout", "idle").saying(
    timeout="Give up when no datagram arrives for this long, for example 30s. The exit status is "
            "then 28. Default: wait for ever.",
    idle="End after this long without a datagram, for example 30s. Datagrams in either direction "
         "count. The exit status is then 28.",
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.datagrams import DatagramOptions
    from sockkit.apps.udp_server import UdpServer, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions
    from sockkit.net.udp.open import UdpOptions

    address = listening(values)
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
    arguments=[listening_words()],
    bundles=[
        _LISTENING,
        _DATAGRAMS,
        _DIRECTION,
        TEXT,
        input_of("stdin and --reply", " Each line of stdin is a datagram."),
        DATAGRAM_VIEW,
        _TIME,
        UDP_PROGRAMS,
        UDP_ACCESS,
        UDP_TERMINAL,
        OUTPUT,
        UDP_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
