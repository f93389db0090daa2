"""chat join: a client of a chat room."""

from __future__ import annotations

from sockkit.apps.shown import chat_view
from sockkit.core.address import Address
from sockkit.core.chat.lines import MARK
from sockkit.core.chat.password import check_password
from sockkit.core.chat.view import ChatView
from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, Errors, TextOptions
from sockkit.core.units import show_seconds
from sockkit.errors import (
    ConnectError,
    ReceiveError,
    SendError,
    SockkitError,
    TimedOut,
)
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, connect
from sockkit.net.tcp.session import Session, Talk, converse
from sockkit.values import Value

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before connecting again


class ChatJoin(Value):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    name: str | None = None
    password: str | None = None
    encoding: str = "utf-8"
    errors: Errors | None = None
    size: int | None = None
    timestamps: bool = False
    reconnect: bool = False
    udp: bool = False


def run(config: ChatJoin, context: Context) -> None:
    """Return when one of both has left, having delivered what was said. Raises SockkitError."""
    if config.udp:
        from sockkit.apps.chat_join_udp import run as run_udp

        return run_udp(config, context)
    loop, stdio, emit = context.loop, context.stdio, context.emit
    if config.password is not None:
        check_password(config.password, config.encoding)
    view = chat_view(context.palette, timestamps=config.timestamps)
    stdio.assist(view)
    failures, lost = 0, False
    while True:
        session: Session | None = None
        error: SockkitError | None = None
        try:
            end = connect(loop, config.address, config.connect, config.sockets, emit)
            failures = 0
            session = Session(context, end, _talk(config, stdio, view))
            try:
                converse(context, session)
            finally:
                view.disconnected()  # what had not arrived whole is not the next connection's
            if not session.input_ended and not view.parted:
                error = ReceiveError("the room has closed")
        except (ConnectError, ReceiveError, SendError, TimedOut) as caught:
            error = caught
        if view.outside:
            hint = "give its password, with --password-file" if view.locked else "see what it said"
            raise SockkitError("the room did not let us in", hint) from error
        if not error:
            break
        if not config.reconnect:
            raise error
        lost = lost or bool(session and session.sent_input and not stdio.input.terminal)
        pause = PAUSES[min(failures, len(PAUSES) - 1)]
        failures += 1
        emit(Notice(f"{error}: connecting again in {show_seconds(pause)}"))
        loop.later(pause, loop.stop)
        loop.run()
    if lost:
        raise SendError("the connection was lost, and with it perhaps some of what was said")
    return None


def _talk(config: ChatJoin, stdio: Stdio, view: ChatView) -> Talk:
    edits: tuple[Edit, ...] = (Printable(), view) if stdio.output.terminal else (view,)
    text = TextOptions(config.encoding, errors=config.errors)
    first = [MARK]
    first += [f"/nick {config.name}"] if config.name else []
    first += [f"/password {config.password}"] if config.password else []
    lines = "".join(f"{line}\n" for line in first)
    return Talk(
        ending=EndOptions(Until.PEER),
        outbound=text.outbound(stdio.encoding, "standard input"),
        inbound=text.inbound(stdio.encoding, edits),
        opening=lines.encode(config.encoding, "backslashreplace"),
        size=config.size,
    )
