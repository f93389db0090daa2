"""udp-server: writes what all peers send, and answers from standard input."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.apps.one_way import check_one_way
from sockkit.apps.prepare import with_access
from sockkit.core.peers import Recipient
from sockkit.errors import UsageError
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import ListenOptions, announce
from sockkit.net.timeouts import bounded_silence, first_client
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions, bind_datagrams
from sockkit.net.udp.server import DatagramServer
from sockkit.net.waiting import wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions


STDIN_PATIENCE_SECONDS = 1.0  # that standard input waits for a unix peer whose queue is full


class UdpServer(Value):
    listen: ListenOptions
    sockets: SocketOptions
    udp: UdpOptions
    datagrams: DatagramOptions
    answer: Recipient | None
    reply: str | None
    port_file: str | None
    idle: float | None = None
    access: AccessOptions | None = None
    program: tuple[str, ...] = ()


def run(config: UdpServer, context: Context) -> None:
    """Serve until a signal, or the operator's `/quit`. Raises SockkitError."""
    if config.listen.max_connections and not config.program:
        raise UsageError("--max-connections needs --exec or --shell", "remove it")
    check_one_way(config.datagrams, {"answer": config.answer}, {"label": config.datagrams.label})
    serve = (_programs if config.program else _messages)(config, context)
    listen, udp = with_access(context, config.listen, config.access), config.udp
    if config.reply is None and not config.program:
        # With --reply or programs there is no patience: a peer that reads nothing would delay all
        # others.
        udp = udp._replace(patience=STDIN_PATIENCE_SECONDS)
    options = (listen, config.sockets, udp)
    sock = wait_for(context.loop, partial(bind_datagrams, context, *options))
    try:
        with (
            port_file(context.loop, config.port_file, sock),
            first_client(context.loop, config.listen.timeout, sock),
            bounded_silence(context.loop, config.idle, sock),
        ):
            announce(sock, context)
            serve(sock)
    finally:
        sock.close()


def _messages(config: UdpServer, context: Context) -> Callable[[DatagramSocket], None]:
    """A function that shows a socket's datagrams, and answers them from standard input."""
    messages = Messages(config.datagrams, context, many=True)
    reply = None
    if config.reply is not None:
        text = os.fsencode(config.reply)
        config.datagrams.text.check(context.stdio.encoding, "--reply", text)
        reply = messages.encode(text, "--reply")

    def serve(sock: DatagramSocket) -> None:
        answer = config.answer or Recipient.LAST
        server = DatagramServer(context, sock, messages, answer, reply)
        console = _open_console(server, context) if context.stdio.input.terminal else None
        with context.progress(server.moved):
            server.run(console)

    return serve


def _programs(config: UdpServer, context: Context) -> Callable[[DatagramSocket], None]:
    """A function that runs a program for each peer of a socket."""
    from sockkit.apps.programs import MAX_PROGRAMS, find_program, warn_of_strangers
    from sockkit.core.transforms import convert
    from sockkit.net.udp.program_server import Conversion, DatagramProgramServer

    programs = find_program(
        context,
        config.program,
        hex_input=config.datagrams.text.hex_input,
        escape_input=config.datagrams.text.escape_input,
        answer=config.answer,
        reply=config.reply,
        label=config.datagrams.label,
        recv_only=config.datagrams.recv_only,
        send_only=config.datagrams.send_only,
        lines=config.datagrams.lines,
    )
    text, user = config.datagrams.text, context.stdio.encoding
    conversion = Conversion(
        partial(convert, lambda: text.inbound(user)),
        partial(convert, lambda: text.outbound(user, "the program's output")),
    )

    def serve(sock: DatagramSocket) -> None:
        warn_of_strangers(context, sock, config.access, None)
        most = config.listen.max_connections or MAX_PROGRAMS
        DatagramProgramServer(context, sock, programs, most, conversion).run()

    return serve


def _open_console(server: DatagramServer, context: Context) -> Callable[[bytes], None]:
    from sockkit.apps.operator import open_peer_console
    from sockkit.core.server_console import UdpCommands

    return open_peer_console(UdpCommands(server, context.stdio.encoding, context.emit), context)
