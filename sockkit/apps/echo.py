"""echo: the responder, over TCP and UDP on one port number."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from mmap import mmap
from typing import TYPE_CHECKING

from sockkit.apps.prepare import invite, secure_listening
from sockkit.apps.workers import check_workers, open_sockets, serve
from sockkit.core.responder import (
    MESSAGE_TIME,
    EchoResponder,
    Responder,
    Rule,
    RuleResponder,
    UpperResponder,
    parse_rules,
)
from sockkit.errors import BindError, SockkitError, UsageError
from sockkit.events import Emit, Failure
from sockkit.net.context import Context
from sockkit.net.echo.tcp import EchoOptions, TcpEcho
from sockkit.net.echo.udp import UdpEcho
from sockkit.net.files import read_text
from sockkit.net.openers import opener
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.scheduler import Scheduler
from sockkit.net.tcp.listen import Bound, Listener, ListenOptions, announce, listen, raise_limit
from sockkit.net.timeouts import bounded_silence, first_client
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions, bind_datagrams
from sockkit.net.waiting import wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule
    from sockkit.core.rule_notation import RuleReader
    from sockkit.net.access import AccessOptions
    from sockkit.net.tls.options import ServerTls

MAX_PORT_ATTEMPTS = 20  # to find a port that is free for both TCP and UDP


class Echo(Value):
    """Neither `tcp` nor `udp` means both. `drop` is the share of datagrams to drop, 0 to 1.

    `reader` reads `greet` and the file of rules if they are not plain text.
    """

    listen: ListenOptions
    sockets: SocketOptions
    tcp: bool = False
    udp: bool = False
    upper: bool = False
    rules: tuple[Rule, ...] = ()
    rules_file: str | None = None
    encoding: str = "utf-8"
    greet: str = ""
    reader: RuleReader | None = None
    delay: float = 0.0
    drop: float = 0.0
    close_after: int | None = None
    workers: int = 1
    port_file: str | None = None
    access: AccessOptions | None = None
    tls: ServerTls | None = None
    idle: float | None = None
    frame: FrameRule | None = None


class _WorkerSockets(Value):
    """Owns the sockets that one worker listens on."""

    listener: Listener | None
    sock: DatagramSocket | None

    @property
    def bound(self) -> Bound:
        return self.all[0]

    @property
    def port(self) -> int | None:
        return self.bound.port

    @property
    def all(self) -> list[Listener | DatagramSocket]:
        return [end for end in (self.listener, self.sock) if end]

    @property
    def serves_both(self) -> bool:
        return bool(self.listener and self.sock)

    def adopt(self, context: Context, number: int, of: int) -> None:
        if self.listener:
            self.listener.adopt(context, number, of)
        if self.sock:
            self.sock.adopt(context)

    def close(self) -> None:
        for end in self.all:
            end.close()


def run(config: Echo, context: Context) -> None:
    """Answer until a signal. Raises SockkitError."""
    _check(config)
    rules = [*config.rules]
    if config.rules_file is not None:
        rules += parse_rules(read_text(config.rules_file), config.rules_file, config.reader)
    timed_out = _TimeoutReporter(rules, context.emit)
    if config.reader:
        if not (rules or config.greet):
            told = "--hex-input and --escape-input need --greet, --reply, --reply-re or --rules"
            raise UsageError(told, "add one of them")
        config = config._replace(greet=_greeting(config.greet, config.reader))
    options = _options(config, rules, timed_out)
    raise_limit()
    config = config._replace(
        listen=secure_listening(context, config.listen, config.access, config.tls)
    )
    opening = partial(_open_sockets, config)
    opened = open_sockets(config.workers, context, config.listen, config.sockets, opening)
    first = opened[0]
    try:
        with port_file(context.loop, config.port_file, first.bound):
            announce(first.bound, context)
            if context.views and first.serves_both:
                context.views.listening("udp", first.bound.address)
            if first.listener:
                invite(context, config.listen, first.listener, "tcp-client")

            def serve_one(own_context: Context, own: _WorkerSockets) -> None:
                timed_out.emit = own_context.emit
                _serve(config, own, own_context, options)

            serve(context, opened, serve_one)
    finally:
        for own in opened:
            own.close()


def _greeting(text: str, reader: RuleReader) -> str:
    try:
        return reader.answer(text)
    except UsageError as error:
        raise UsageError(f"--greet: {error}") from error


def _serve(config: Echo, own: _WorkerSockets, context: Context, options: EchoOptions) -> None:
    loop = context.loop
    scheduler = Scheduler(loop, MESSAGE_TIME)
    tcp = TcpEcho(context, own.listener, options, scheduler) if own.listener else None
    with ExitStack() as stack:
        stack.enter_context(first_client(loop, config.listen.timeout, *own.all))
        if own.sock and not own.listener:
            stack.enter_context(bounded_silence(loop, config.idle, own.sock))
        if tcp:
            stack.callback(tcp.close)
            tcp.start()
        if own.sock:
            UdpEcho(context, own.sock, options, scheduler).start()
        loop.run()


def _open_sockets(
    config: Echo, context: Context, options: ListenOptions, sockets: SocketOptions
) -> _WorkerSockets:
    """Open a worker's sockets. For port 0, find a port that is free for TCP and UDP."""
    for attempt in range(1, MAX_PORT_ATTEMPTS + 1):
        try:
            return _try_port(config, context, options, sockets)
        except BindError:
            if options.address.port != 0 or attempt == MAX_PORT_ATTEMPTS:
                raise
    raise AssertionError


def _try_port(
    config: Echo, context: Context, options: ListenOptions, sockets: SocketOptions
) -> _WorkerSockets:
    both = config.tcp == config.udp
    listener = None
    if config.tcp or both:
        listener = wait_for(context.loop, partial(listen, context, options, sockets))
    try:
        if not config.udp and not both:
            return _WorkerSockets(listener, None)
        if listener and listener.port:
            options = options._replace(address=options.address.with_port(listener.port))
        datagrams = (options, sockets.for_datagrams(), UdpOptions())
        sock = wait_for(context.loop, partial(bind_datagrams, context, *datagrams))
        return _WorkerSockets(listener, sock)
    except SockkitError:
        if listener:
            listener.close()
        raise


def _check(config: Echo) -> None:
    """Raise UsageError for options that exclude each other, or would have no effect."""
    # These would count in each process.
    lonely = {"--connect-timeout": config.listen.timeout is not None}
    lonely["--idle-timeout"] = config.idle is not None and config.udp and not config.tcp
    check_workers(config.workers, config.listen, lonely)
    if not opener(config.listen.address).shared and config.tcp == config.udp:
        raise UsageError(
            f"{config.listen.address} cannot serve both TCP and UDP", "add --tcp or --udp"
        )
    if config.tcp == config.udp:
        return
    kind, streams = ("--udp", True) if config.udp else ("--tls" if config.tls else "--tcp", False)
    useless = [
        ("--close-after", config.close_after),
        ("--greet", config.greet),
        ("--frame", config.frame),
        ("--max-connections", config.listen.max_connections),
    ]
    for option, given in useless if streams else [("--drop", config.drop)]:
        if given:
            raise UsageError(f"{option} cannot be used with {kind}", "remove one of them")


class _TimeoutReporter:
    """Reports a pattern that took too long, once for all workers."""

    def __init__(self, rules: list[Rule], emit: Emit) -> None:
        self.emit = emit
        self._patterns = [rule.pattern.pattern for rule in rules]
        self._told = mmap(-1, len(rules) + 1)  # shared with the worker processes

    def tell(self, rule: Rule) -> None:
        pattern = rule.pattern.pattern
        place = self._patterns.index(pattern)
        if not self._told[place]:
            self._told[place] = 1
            limit = f"{1000 * MESSAGE_TIME:g} ms"
            self.emit(Failure(f"{pattern!r} took longer than {limit}: it counts as no match"))


def _options(config: Echo, rules: list[Rule], timed_out: _TimeoutReporter) -> EchoOptions:
    said = [
        ("--greet", config.greet),
        *((f"the answer {rule.answer!r}", rule.answer) for rule in rules),
    ]
    for what, text in said:
        try:
            text.encode(config.encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{what} cannot be encoded in {config.encoding}", "use --encoding utf-8"
            ) from error
    responder = _responder(config, rules, timed_out)
    greet = config.greet.encode(config.encoding, "surrogateescape")
    return EchoOptions(
        responder, greet, config.delay, config.drop, config.close_after, config.sockets, config.idle
    )


def _responder(
    config: Echo, rules: list[Rule], timed_out: _TimeoutReporter
) -> Callable[[], Responder] | None:
    """A function that makes a responder; None if bytes are echoed as they are."""
    responder: Callable[[], Responder] | None = None
    if rules:
        responder = partial(
            RuleResponder,
            rules,
            config.encoding,
            upper=config.upper,
            clock=time.monotonic,
            timed_out=timed_out.tell,
        )
    elif config.upper:
        responder = partial(UpperResponder, config.encoding)
    elif config.close_after or config.frame:
        responder = EchoResponder
    return _framed(config.frame, responder) if config.frame and responder else responder


def _framed(rule: FrameRule, responder: Callable[[], Responder]) -> Callable[[], Responder]:
    from sockkit.core.framed_responder import FramedResponder

    return lambda: FramedResponder(rule, responder(), time.monotonic)
