"""chat serve: a room that anyone who can send lines over TCP can join."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.operator import open_console
from sockkit.apps.prepare import invite, secure_listening, with_access
from sockkit.apps.shown import chat_view, stamps
from sockkit.core.chat.admission import check_password
from sockkit.core.chat.console import ChatCommands, ChatDelivery, ChatRoom
from sockkit.core.chat.room import Room, RoomOptions
from sockkit.errors import UsageError
from sockkit.net.chat.server import ChatOptions, ChatServer
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import ListenOptions, announce, listen, raise_limit
from sockkit.net.timeouts import bounded_silence, first_client
from sockkit.net.waiting import wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.apps.chat_history import History
    from sockkit.net.access import AccessOptions
    from sockkit.net.tls.options import ServerTls


class ChatServe(Value):
    """`encoding` is that of members; `client_encoding` that of clients other than chat join."""

    listen: ListenOptions
    sockets: SocketOptions
    room: RoomOptions
    encoding: str = "utf-8"
    history_file: str | None = None
    port_file: str | None = None
    tls: ServerTls | None = None
    client_encoding: str | None = None
    udp: bool = False
    timestamps: bool = False
    access: AccessOptions | None = None
    idle: float | None = None


def run(config: ChatServe, context: Context) -> None:
    """Serve until a signal or the operator's `/quit`. Raises SockkitError."""
    if config.udp:
        return _run_udp(config, context)
    loop, stdio = context.loop, context.stdio
    if config.room.password is not None:
        check_password(config.room.password, config.encoding)
    raise_limit()
    room = Room(config.room, config.encoding)
    view = chat_view(context, timestamps=config.timestamps)
    # Without a terminal lines are not edited for display: that takes half the time.
    displayed = stdio.output.terminal or config.timestamps or context.palette.on
    edit: Callable[[str], str] = view.feed if displayed else str
    history = _history(config, context)
    try:
        options = ChatOptions(
            sockets=config.sockets,
            encoding=config.encoding,
            client_encoding=config.client_encoding,
            shown=lambda lines: edit(lines).encode(stdio.encoding, "backslashreplace"),
            idle=config.idle,
        )
        if history:
            room.remember(history.last(config.room.history))
            options = options._replace(kept=history.keep)
        where = secure_listening(context, config.listen, config.access, config.tls)
        listener = wait_for(loop, partial(listen, context, where, config.sockets))
        try:
            with (
                port_file(loop, config.port_file, listener),
                first_client(loop, config.listen.timeout, listener),
            ):
                announce(listener, context)
                invite(context, where, listener, "chat join")
                server = ChatServer(context, listener, room, options)
                server.run(_open_console(room, server, config, context))
        finally:
            listener.close()
    finally:
        if history:
            history.close()
    return None


def _history(config: ChatServe, context: Context) -> History | None:
    if config.history_file is None:
        return None
    from sockkit.apps.chat_history import History

    return History(context, config.history_file)


def _run_udp(config: ChatServe, context: Context) -> None:
    from sockkit.core.chat.udp import UdpRoom
    from sockkit.net.chat.udp import UdpChatServer
    from sockkit.net.udp.open import UdpOptions, bind_datagrams

    unknown = [
        (config.room.password is not None, "--password"),
        (config.room.history, "--history"),
        (config.history_file is not None, "--history-file"),
        (config.room.motd, "--motd"),
        (config.client_encoding, "--client-encoding"),
    ]
    for given, option in unknown:
        if given:
            raise UsageError(f"{option} cannot be used with --udp", "remove one of them")
    loop, stdio = context.loop, context.stdio
    sockets = config.sockets.for_datagrams()
    where = with_access(context, config.listen, config.access)
    binding = (where, sockets, UdpOptions())
    sock = wait_for(loop, partial(bind_datagrams, context, *binding))
    try:
        with (
            port_file(loop, config.port_file, sock),
            first_client(loop, config.listen.timeout, sock),
            bounded_silence(loop, config.idle, sock),
        ):
            announce(sock, context)
            palette, stamp = context.palette, stamps(context, wanted=config.timestamps)

            def shown(line: str) -> bytes:
                name, colon, text = line.partition(":")
                if colon and not line.startswith("* "):
                    line = palette.paint(f"{name}:", palette.color(name)) + text
                return f"{stamp()}{line}\n".encode(stdio.encoding, "backslashreplace")

            options = config.room
            room = UdpRoom(options.quit_word, options.max_members, options.flood)
            server = UdpChatServer(context, sock, room, config.encoding, shown)
            server.run(_open_console(room, server, config, context))
    finally:
        sock.close()


def _open_console(
    room: ChatRoom, server: ChatDelivery, config: ChatServe, context: Context
) -> Callable[[bytes], None]:
    """The console of the room's operator; call it with what is typed."""
    quit_word, typed = config.room.quit_word, context.stdio.encoding
    table = ChatCommands(room, server, quit_word, typed, config.encoding, context.emit)
    return open_console(table, context)
