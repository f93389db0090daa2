"""`sockkit tcp-server`: its options and its help."""

from __future__ import annotations

from typing import Any

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.input import input_of, text_options
from sockkit.cli.options import (
    ACCESS,
    DIRECTION,
    GREET,
    LABEL,
    LISTENING,
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
from sockkit.cli.params import listening, listening_words
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import STREAM_VIEW

_HELP = """Serve any number of clients until stopped (Ctrl-C). What they send is printed, and
stdin goes to all of them.

With --once, only the first client is served. The command ends when both sides have
ended, and the exit status is 0 only if every byte was delivered.
"""

_EXAMPLES = """\
  sockkit tcp-server -p 8080
  sockkit tcp-server -p 9000 --once > received.tar
  sockkit tcp-server -p 8443 --tls
  sockkit tcp-server --bind 0.0.0.0 -p 8080 --allow 192.168.1.0/24
  sockkit tcp-server --bind 0.0.0.0 -p 7788 -E gbk --reply 'thank you !'
"""

_MOST = (
    *("port", "bind", "once", "reply", "hex", "encoding", "output", "idle", "execute"),
    *("encrypted", "allow", "verbose", "explain"),
)

_SERVING = Bundle("Serving", (ONCE, GREET, REPLY, LABEL)).saying(
    once="Serve one client, then exit, as nc -l does.",
    label="Start each line with its client: [2 10.0.0.7:51234]. On a terminal this is the default, "
          "unless --once is given.",
)  # fmt: skip
_DIRECTION = DIRECTION.saying(
    recv_only="Only receive; never read stdin. --greet and --reply still send. With --once the "
              "command ends when the client has closed.",
    send_only="Only send; discard what arrives. With --once the command ends when stdin has ended "
              "and the client's system has received everything.",
    half_close="Choose when to tell the client that stdin has ended. now: at once; auto: 1s after "
               "its answer, or after 10s without one; never: not before we close. Default: now; "
               "auto with --tls. Needs --once, --exec or --shell.",
)  # fmt: skip
_TIME = SERVER_TIME.saying(
    until="Choose which side must finish before a session ends. Default: both; if stdin is a "
    "terminal, peer. stdin and either need --once, --exec or --shell.",
    linger="Once a client has ended, close when stdin is silent for this long. Default: 5s. With "
           "--once and once stdin has ended, close when the client is silent for this long; "
           "default: no limit, at a terminal 1s.",
    idle="Close a connection after this long without data, for example 30s. Data in either "
         "direction counts. With --once, the command ends, with exit status 28.",
)  # fmt: skip
_PROGRAMS = PROGRAMS.saying(
    execute="Run CMD for each client, with the client as its stdin and stdout. CMD is split "
            "into words as by a shell, and run without one: --exec 'tr a-z A-Z'. The connection "
            "closes when CMD exits, and a reset ends CMD.",
)  # fmt: skip
_ACCESS = ACCESS.saying(
    max_connections="Accept at most N clients at a time. Any more are closed at once. Default: no "
                    "limit; with --exec or --shell 100.",
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.conversation import ConversationOptions
    from sockkit.apps.tcp_server import TcpServer, run
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    address = listening(values)
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
    arguments=[listening_words()],
    bundles=[
        LISTENING,
        _SERVING,
        _DIRECTION,
        TEXT,
        input_of("stdin, --greet and --reply"),
        STREAM_VIEW,
        _TIME,
        _PROGRAMS,
        SERVER_TLS,
        _ACCESS,
        TERMINAL,
        OUTPUT,
        SERVER_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
