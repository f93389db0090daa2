"""chat join: a client of a chat room."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from sockkit.apps.shown import chat_view
from sockkit.core.address import Address
from sockkit.core.chat_lines import MARK
from sockkit.core.chat_view import ChatView
from sockkit.core.ending import EndOptions, Until
from sockkit.core.names import check_name
from sockkit.core.password import check_password
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, Errors, TextOptions
from sockkit.core.units import show_seconds
from sockkit.errors import (
    ConnectError,
    ReceiveError,
    SendError,
    SockkitError,
    TimedOut,
    UsageError,
)
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.session import Session, Talk
from sockkit.net.waiting import wait_for
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
        return _run_udp(config, context)
    loop, stdio, emit = context.loop, context.stdio, context.emit
    if config.password is not None:
        check_password(config.password, config.encoding)
    view = chat_view(context.palette, timestamps=config.timestamps)
    stdio.assist(view)
    dialling = partial(dial, context, config.address, config.connect, config.sockets)
    failures, lost = 0, False
    while True:
        session: Session | None = None
        error: SockkitError | None = None
        try:
            stream = wait_for(loop, dialling)
            failures = 0
            try:
                session = Session(loop, stream, stdio, _talk(config, stdio, view), emit)
                session.run()
            finally:
                stream.close()
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


def _run_udp(config: ChatJoin, context: Context) -> None:
    from sockkit.apps.datagrams import DatagramOptions
    from sockkit.apps.udp_client import UdpClient
    from sockkit.apps.udp_client import run as run_client
    from sockkit.core.chat_udp import refusal
    from sockkit.net.udp.client import AnswerOptions
    from sockkit.net.udp.open import UdpOptions

    unknown = ((config.password is not None, "--password"), (config.reconnect, "--reconnect"))
    for given, option in unknown:
        if given:
            raise UsageError(f"a room over UDP has no {option}", "leave it out, or leave out --udp")
    refused: list[SockkitError] = []

    def heard(text: str) -> None:
        if not refused and (error := refusal(text)):
            refused.append(error)

    posting = DatagramOptions(
        TextOptions(config.encoding, errors=config.errors),
        name=config.name or _login_name(context.environment),
        size=config.size,
        hello="",
        good_bye="/quit",
        quit_words=("q", "/quit"),
        timestamps=config.timestamps,
        # A person sees it, and says it again.
        heard=None if context.stdio.input.terminal else heard,
    )
    client = UdpClient(
        config.address,
        config.sockets,
        UdpOptions(),
        posting,
        AnswerOptions(),
        config.connect,
    )
    run_client(client, context)
    if refused:
        raise refused[0]


def _login_name(environment: Mapping[str, str]) -> str:
    """The user's name: LOGNAME or USER, or that of our user id, getpwuid(3)."""
    try:
        name = environment.get("LOGNAME") or environment.get("USER")
        if not name:
            import pwd

            name = pwd.getpwuid(os.getuid()).pw_name
        return check_name(name)
    except (ImportError, KeyError, UsageError) as error:
        raise UsageError("no name to sign with", "give --name") from error
