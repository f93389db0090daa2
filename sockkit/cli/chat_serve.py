"""`sockkit chat serve`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, fold
from sockkit.cli.options import (
    ACCESS,
    CHAT,
    IDLE_TIME,
    OUTPUT,
    PASSWORD,
    SERVER_SOCKET,
    TERMINAL,
    UDP,
    access_options,
)
from sockkit.cli.params import LINE_ENCODING, File, server_address
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import VIEW

_HELP = """Open a chat room: whoever connects is in it, with nc as well as with chat join.

What is typed here is said to all, as server; /help tells what else there is.
"""

_EPILOG = """\b
Examples:
  sockkit chat serve -p 9000
  sockkit chat serve --bind 0.0.0.0 -p 9000 --history 20 --history-file room.db
  sockkit chat serve -p 9000 -E gbk --motd 'be kind'
"""

_ROOM = Bundle(
    "Room",
    (
        *PASSWORD,
        Option(["--history"], type=click.IntRange(0, 100_000), metavar="N", default=0,
               show_default=True, help="Show a newcomer the last N lines."),
        Option(["--history-file"], type=File(), metavar="FILE",
               help="Keep lines in FILE (SQLite), so that they outlive the server."),
        Option(["--motd"], metavar="TEXT", default="", help="Say TEXT to each newcomer."),
        Option(["--flood"], type=click.FloatRange(0), metavar="LINES", default=10.0,
               show_default=True,
               help="Read a member no faster than this many lines a second; 0 for no limit."),
        Option(["--client-encoding"], type=LINE_ENCODING, metavar="NAME",
               help="What members speak that are not chat join, where it is not --encoding."),
        UDP,
        Option(["--quit-word"], metavar="WORD", default="q", show_default=True,
               help="A line that is only WORD leaves the room."),
    ),
)  # fmt: skip


def _run(**values: Any) -> None:
    from sockkit.apps.chat_serve import ChatServe, run
    from sockkit.cli.password import room_password
    from sockkit.cli.start import start
    from sockkit.core.chat.room import RoomOptions
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    address = server_address(values["bind"], values["port"], values["family"])
    listen = fold(ListenOptions, values, address=address)
    room = fold(RoomOptions, values, max_members=values["max_connections"])
    config = fold(
        ChatServe,
        values,
        access=access_options(values),
        tls=server_tls(values),
        listen=listen._replace(max_connections=None),  # the room counts, and says that it is full
        sockets=fold(SocketOptions, values),
        room=room._replace(password=room_password(values)),
    )
    start("chat-serve", run, config, values)


command = BundledCommand(
    "serve",
    bundles=[SERVER_SOCKET, _ROOM, CHAT, VIEW, IDLE_TIME, SERVER_TLS, ACCESS, TERMINAL, OUTPUT],
    callback=_run,
    text=_HELP,
    epilog=_EPILOG,
)
