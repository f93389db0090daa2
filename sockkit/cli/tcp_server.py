"""`sockkit tcp-server`: its options and its help."""

from __future__ import annotations

from typing import Any

from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.input import INPUT, text_options
from sockkit.cli.options import (
    ACCESS,
    DIRECTION,
    LABEL,
    ONCE,
    OUTPUT,
    PROGRAMS,
    REPLY,
    SERVER_SOCKET,
    SERVER_TIME,
    TERMINAL,
    TEXT,
    access_options,
    program,
)
from sockkit.cli.params import server_address
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import STREAM_VIEW

_HELP = """Serve many clients at once until stopped (Ctrl-C): stdin goes to all of them, what they
send to stdout.

With --once the first client alone is served, as by tcp-client: when both sides have
ended, so does the command, and the exit status is 0 only when every byte got through.
"""

_EPILOG = """\b
Examples:
  sockkit tcp-server -p 8080
  sockkit tcp-server -p 9000 --once > received.tar
  sockkit tcp-server -p 8443 --tls
  sockkit tcp-server --bind 0.0.0.0 -p 8080 --allow 192.168.1.0/24
  sockkit tcp-server --bind 0.0.0.0 -p 7788 -E gbk --reply 'thank you !'
"""

_ANSWERS = Bundle(
    "Serving",
    (
        ONCE,
        Option(["--greet"], default="", metavar="TEXT",
               help="Send TEXT to each client as it connects. No line end is added."),
        REPLY,
        LABEL,
    ),
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.conversation import ConversationOptions
    from sockkit.apps.tcp_server import TcpServer, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    address = server_address(values["bind"], values["port"], values["family"])
    config = fold(
        TcpServer,
        values,
        access=access_options(values),
        listen=fold(ListenOptions, values, address=address),
        tls=server_tls(values),
        program=program(values),
        sockets=fold(SocketOptions, values),
        conversation=fold(ConversationOptions, values, text=text_options(values)),
    )
    start("tcp-server", run, config, values)


command = BundledCommand(
    "tcp-server",
    bundles=[
        SERVER_SOCKET,
        _ANSWERS,
        DIRECTION,
        TEXT,
        INPUT,
        STREAM_VIEW,
        SERVER_TIME,
        PROGRAMS,
        SERVER_TLS,
        ACCESS,
        TERMINAL,
        OUTPUT,
    ],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
