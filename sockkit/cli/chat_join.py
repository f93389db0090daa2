"""`sockkit chat join`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import (
    ADDRESS,
    CHAT_TERMINAL,
    CLIENT_SOCKET,
    CLIENT_TIME,
    ERRORS,
    NICKNAME,
    OUTPUT,
    PASSWORD,
    PROXY,
    UDP,
    encoding,
    proxy_option,
)
from sockkit.cli.params import LINE_ENCODING, at_terminal, client_address
from sockkit.cli.tls import CLIENT_TLS, client_tls
from sockkit.cli.views import VIEW

_HELP = """Join the chat room at HOST PORT. What you type goes to everyone in the room.

stdin may be a pipe: all its lines are delivered before the command ends. A line
that begins with / is a command; //TEXT sends /TEXT. A line q leaves the room.
"""

_EXAMPLES = """\
  sockkit chat join 127.0.0.1 9000 --name 小雪
  sockkit chat join --reconnect 192.168.1.20 9000
  echo 'the build is done' | sockkit chat join 127.0.0.1 9000 --name builder
"""

_MOST = (
    *("name", "password_file", "reconnect", "udp", "encoding", "timestamps", "timeout"),
    *("encrypted", "through", "color", "verbose"),
)

_MEMBER = Bundle(
    "Member",
    (
        NICKNAME,
        *PASSWORD,
        UDP,
        Option(["--reconnect"], is_flag=True,
               help="Reconnect when the connection is lost. The pauses between attempts grow "
               "from 1s to 30s."),
    ),
).saying(
    name="Use this name in the room, for example alice.",
    password="Log in with this password. Other users of this machine can see it in the list of "
             "processes; --password-file and the variable SOCKKIT_PASSWORD hide it.",
    udp="Join a room that uses UDP. Such a room has no password and no TLS, and --reconnect and "
        "--proxy need TCP.",
)  # fmt: skip
_TEXT = Bundle("Text", (encoding("utf-8", LINE_ENCODING), ERRORS)).saying(
    encoding="Set the encoding of the room, for example gbk. Text is converted both ways.",
)
_TIME = CLIENT_TIME.only("timeout", "idle").saying(
    idle="Leave after this long without data, for example 30s. Data in either direction counts. "
         "The exit status is then 28. With --reconnect, connect again.",
)  # fmt: skip


def _run(address: tuple[str, ...], **values: Any) -> None:
    from sockkit.apps.chat_join import ChatJoin, run
    from sockkit.cli.password import room_password
    from sockkit.cli.start import start
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.dial import ConnectOptions

    to = client_address(address)
    if values["udp"] and not values["name"] and at_terminal():
        from sockkit.cli.ask import ask_name

        values["name"] = ask_name()
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
    bundles=[
        _MEMBER,
        ADDRESS,
        _TEXT,
        VIEW,
        _TIME,
        CLIENT_TLS,
        PROXY,
        CHAT_TERMINAL,
        OUTPUT,
        CLIENT_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
