"""chat join: a client of a chat room."""

from __future__ import annotations

from collections.abc import Mapping
from getpass import getuser
from typing import NamedTuple

from sockkit.apps.chat_serve import chat_view
from sockkit.core.address import Address
from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions
from sockkit.core.units import show_seconds
from sockkit.errors import (
    ConnectError,
    ReceiveError,
    SendError,
    SockkitError,
    TimedOut,
    UsageError,
)
from sockkit.events import Emit, Notice
from sockkit.net.chat import MARK
from sockkit.net.connect import ConnectOptions, connect
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.session import Session, Talk
from sockkit.net.stdio import Stdio

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before connecting again


class ChatJoin(NamedTuple):
    address: Address
    connect: ConnectOptions
    sockets: SocketOptions
    name: str | None = None
    password: str | None = None
    encoding: str = "utf-8"
    timestamps: bool = False
    reconnect: bool = False
    udp: bool = False
    colors: Mapping[str, str] = {}


def run(config: ChatJoin, loop: Loop, stdio: Stdio, emit: Emit) -> None:
    """Return when one of both has left, having delivered what was said. Raises SockkitError."""
    if config.udp:
        return _run_udp(config, loop, stdio, emit)
    view = chat_view(stdio, config.colors, timestamps=config.timestamps)
    stdio.assist(view)
    edits: tuple[Edit, ...] = (Printable(), view) if stdio.output.terminal else (view,)
    text = TextOptions(config.encoding)
    first = [MARK]
    first += [f"/nick {config.name}"] if config.name else []
    first += [f"/password {config.password}"] if config.password else []
    failures = 0
    while True:
        talk = Talk(
            ending=EndOptions(Until.PEER),
            outbound=text.outbound(stdio.encoding, "standard input"),
            inbound=text.inbound(stdio.encoding, edits),
            greet="".join(f"{line}\n" for line in first).encode(stdio.encoding, "surrogateescape"),
        )
        try:
            stream = connect(loop, config.address, config.connect, config.sockets, emit)
            failures = 0
            try:
                session = Session(loop, stream, stdio, talk, emit)
                session.run()
            finally:
                stream.close()
            if view.outside:
                raise SockkitError("the room did not let us in", "see what it said, and --password")
            if session.input_ended or view.parted:
                return None
            raise ReceiveError("the room has closed")
        except (ConnectError, ReceiveError, SendError, TimedOut) as error:
            if not config.reconnect:
                raise
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            failures += 1
            emit(Notice(f"{error}: connecting again in {show_seconds(pause)}"))
            loop.later(pause, loop.stop)
            loop.run()


def _run_udp(config: ChatJoin, loop: Loop, stdio: Stdio, emit: Emit) -> None:
    from sockkit.apps.datagrams import PostingOptions
    from sockkit.apps.udp_client import UdpClient
    from sockkit.apps.udp_client import run as run_client
    from sockkit.net.udp import UdpOptions
    from sockkit.net.udp_session import AnswerOptions

    name = config.name or getuser()
    for given, option in ((config.password, "--password"), (config.reconnect, "--reconnect")):
        if given:
            raise UsageError(f"a room over UDP has no {option}", "leave it out, or leave out --udp")
    posting = PostingOptions(
        TextOptions(config.encoding),
        name=name,
        hello="",
        good_bye="q",
        colors=config.colors,
    )
    client = UdpClient(
        config.address,
        config.sockets,
        UdpOptions(),
        posting,
        AnswerOptions(),
        config.connect.source,
    )
    run_client(client, loop, stdio, emit)
