"""`sockkit chat serve`: its options and its help."""

from __future__ import annotations

from typing import Any

import click
from click import Option

from sockkit.cli.commands import Bundle, BundledCommand, Page, fold
from sockkit.cli.options import (
    ACCESS,
    CHAT_TERMINAL,
    LISTENING,
    OUTPUT,
    PASSWORD,
    SERVER_SOCKET,
    SERVER_TIME,
    UDP,
    access_options,
    encoding,
)
from sockkit.cli.params import LINE_ENCODING, File, listening, listening_words
from sockkit.cli.tls import SERVER_TLS, server_tls
from sockkit.cli.views import VIEW

_HELP = """Open a chat room. Anyone can join, with nc or `sockkit chat join`.

What you type goes to everyone, under the name "server". Type /help for the commands.
"""

_EXAMPLES = """\
  sockkit chat serve -p 9000
  sockkit chat serve --bind 0.0.0.0 -p 9000 --history 20 --history-file log.db
  sockkit chat serve -p 9000 -E gbk --motd 'be kind'
"""

_MOST = (
    *("port", "bind", "password_file", "history", "history_file", "motd", "udp", "encoding"),
    *("max_connections", "encrypted", "allow", "verbose"),
)

_ROOM = Bundle(
    "Room",
    (
        *PASSWORD,
        Option(["--history"], type=click.IntRange(0, 100_000), metavar="N", default=0,
               show_default=True, help="Show the last N lines to each new member."),
        Option(["--history-file"], type=File(), metavar="FILE",
               help="Keep the lines in FILE (SQLite), so that they survive a restart."),
        Option(["--motd"], metavar="TEXT", default="", help="Show TEXT to each new member."),
        Option(["--flood"], type=click.FloatRange(0), metavar="LINES", default=10.0,
               show_default=True,
               help="Read at most this many lines a second from a member. With --udp, more are "
                    "refused. 0 means no limit."),
        UDP,
        Option(["--quit-word"], metavar="WORD", default="q", show_default=True,
               help="Let a member leave by sending a line that is only WORD."),
    ),
).saying(
    udp="Use UDP, not TCP. Such a room has no password, no history, no --motd and no TLS.",
)  # fmt: skip
_TEXT = Bundle(
    "Text",
    (
        encoding("utf-8", LINE_ENCODING),
        Option(["--client-encoding"], type=LINE_ENCODING, metavar="NAME",
               help="Set the encoding of members that do not use `chat join`. Default: that of "
                    "--encoding."),
    ),
).saying(encoding="Set the encoding of the room, for example gbk.")  # fmt: skip
_TIME = SERVER_TIME.only("timeout", "idle").saying(
    timeout="Give up when nobody joins for this long, for example 30s. The exit status is then 28. "
            "Default: wait for ever.",
    idle="Close a member's connection after this long without data. Data in either direction "
         "counts. With --udp, the command ends after this long without a datagram, with exit "
         "status 28.",
)  # fmt: skip
_ACCESS = ACCESS.saying(
    max_connections="Let at most N members in at a time. Any more are told that the room is full.",
)


def _run(**values: Any) -> None:
    from sockkit.apps.chat_serve import ChatServe, run
    from sockkit.cli.password import room_password
    from sockkit.cli.start import start
    from sockkit.core.chat.room import RoomOptions
    from sockkit.net.options import SocketOptions
    from sockkit.net.tcp.listen import ListenOptions

    address = listening(values)
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
    arguments=[listening_words()],
    bundles=[
        LISTENING,
        _ROOM,
        _TEXT,
        VIEW,
        _TIME,
        SERVER_TLS,
        _ACCESS,
        CHAT_TERMINAL,
        OUTPUT,
        SERVER_SOCKET,
    ],
    callback=_run,
    page=Page(_HELP, _EXAMPLES, _MOST),
)
