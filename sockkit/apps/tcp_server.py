"""tcp-server: serves many clients until it is stopped, or one with --once."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.prepare import invite, secure_listening
from sockkit.apps.shown import ReceivedHints, beginnings
from sockkit.core.ending import Until
from sockkit.core.text import TextOptions
from sockkit.errors import UsageError
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import Listener, ListenOptions, announce, listen, raise_limit
from sockkit.net.timeouts import first_client
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.tcp.server import Server
    from sockkit.net.tls.options import ServerTls

NEEDS = "needs --once, --exec or --shell"
ENDS_NOTHING = "a server of many clients does not end with stdin"

SLOW_SECONDS = 30.0  # after which a client that delays the others is dropped


class TcpServer(Value):
    listen: ListenOptions
    sockets: SocketOptions
    conversation: ConversationOptions
    once: bool = False
    label: bool = False
    slow_timeout: float | None = None
    port_file: str | None = None
    access: AccessOptions | None = None
    tls: ServerTls | None = None
    program: tuple[str, ...] = ()


def run(config: TcpServer, context: Context) -> None:
    """Serve until a signal or `/quit`; with `once`, until the one session is over."""
    _check(config)
    config.conversation.check(context.stdio)
    if config.program:
        _run_programs(config, context)
    elif config.once:
        _run(config, context, _serve_one)
    else:
        _run(config, context, _serve_many)


def _check(config: TcpServer) -> None:
    config.conversation.check_one_way(label=config.label)
    ends_nothing = not (config.once or config.program)
    if ends_nothing and config.conversation.until in (Until.STDIN, Until.EITHER):
        raise UsageError(f"--until {config.conversation.until} {NEEDS}", ENDS_NOTHING)
    if ends_nothing and config.conversation.half_close:
        raise UsageError(f"--half-close {NEEDS}", ENDS_NOTHING)
    if config.once and config.listen.max_connections:
        raise UsageError(
            "--once cannot be used with --max-connections",
            "remove --max-connections: --once serves one client",
        )


def _run(
    config: TcpServer,
    context: Context,
    serve: Callable[[TcpServer, Context, Listener], None],
) -> None:
    """Listen, and call `serve` with the listener."""
    options = secure_listening(context, config.listen, config.access, config.tls)
    listener = wait_for(context.loop, partial(listen, context, options, config.sockets))
    try:
        with (
            port_file(context.loop, config.port_file, listener),
            first_client(context.loop, config.listen.timeout, listener),
        ):
            announce(listener, context)
            invite(context, options, listener, "tcp-client")
            serve(config, context, listener)
    finally:
        listener.close()


def _run_programs(config: TcpServer, context: Context) -> None:
    from sockkit.apps.programs import MAX_PROGRAMS, find_program, join_options, warn_of_strangers
    from sockkit.net.tcp.program_server import ProgramServer, run_one

    conversation = config.conversation
    text = TextOptions() if conversation.greet else conversation.text  # it is for the greeting
    programs = find_program(
        context,
        config.program,
        hex_input=text.hex_input,
        escape_input=text.escape_input,
        reply=conversation.reply,
        label=config.label,
        slow_timeout=config.slow_timeout,
        recv_only=config.conversation.recv_only,
        send_only=config.conversation.send_only,
    )
    join = join_options(
        context,
        conversation,
        fragile=bool(config.tls),
        buffer_size=config.sockets.buffer_size,
    )

    def serve(config: TcpServer, context: Context, listener: Listener) -> None:
        warn_of_strangers(context, listener, config.access, config.tls)
        if config.once:
            end = wait_for(context.loop, partial(_accept_one, listener))
            run_one(context, end, programs, join)
        else:
            raise_limit()
            ProgramServer(context, listener, programs, join).run()

    most = config.listen.max_connections or MAX_PROGRAMS
    limited = config._replace(listen=config.listen._replace(max_connections=most))
    _run(limited, context, serve)


def _serve_one(config: TcpServer, context: Context, listener: Listener) -> None:
    from sockkit.net.tcp.session import Session, run_session

    end = wait_for(context.loop, partial(_accept_one, listener))
    peer = end.peer if config.label else None
    options = config.conversation.session_options(context, peer, fragile=bool(config.tls))
    session = Session(context, end, options, config.sockets)
    config.conversation.offer_commands(context, session)
    with context.progress(session.moved):
        run_session(context, session)


def _serve_many(config: TcpServer, context: Context, listener: Listener) -> None:
    from sockkit.net.tcp.client import ClientOptions
    from sockkit.net.tcp.server import Server, ServerOptions

    stdio = context.stdio
    raise_limit()
    conversation, hints = config.conversation, ReceivedHints(context)
    text = conversation.text

    def said(words: str) -> bytes:
        transform, data = text.for_all(stdio.encoding, ""), os.fsencode(words)
        return transform.feed(data) + transform.flush() if transform else data

    shared = text.for_all(stdio.encoding, "stdin")
    options = ServerOptions(
        ClientOptions(
            conversation.ending(stdio),
            outbound=partial(text.for_one, shared),
            inbound=lambda: conversation.inbound(stdio, hints),
            slow_timeout=SLOW_SECONDS if config.slow_timeout is None else config.slow_timeout,
            frame=conversation.frame,
        ),
        shared=shared,
        greet=said(conversation.greet),
        reply=said(conversation.reply or ""),
        sockets=config.sockets,
    )
    labelled = config.label or stdio.output.terminal
    if begin := beginnings(context, labelled=labelled, timestamps=conversation.timestamps):
        options = options._replace(label=begin)
    server = Server(context, listener, options)
    console = _open_console(server, context) if stdio.input.terminal else None
    with context.progress(server.moved):
        server.run(console)


def _open_console(server: Server, context: Context) -> Callable[[bytes], None]:
    from sockkit.apps.operator import open_peer_console
    from sockkit.core.server_console import TcpCommands

    return open_peer_console(TcpCommands(server, context.stdio.encoding, context.emit), context)


def _accept_one(listener: Listener, on_done: OnDone[End]) -> Pending:
    """Call `on_done` with the first connection, and stop listening."""

    def accepted(end: End) -> None:
        listener.close()
        on_done(end)

    listener.accept(accepted)
    return Done()  # to cancel it, close the listener
