"""echo: the responder for tests, TCP and UDP on one port number."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from mmap import mmap

from sockkit.core.responder import (
    MESSAGE_TIME,
    EchoResponder,
    Responder,
    Rule,
    RuleResponder,
    UpperResponder,
    parse_rules,
)
from sockkit.errors import BindError, SockkitError, UsageError, reason
from sockkit.events import Emit, Failure
from sockkit.net.context import Context
from sockkit.net.echo.tcp import BUFFER, EchoOptions, TcpEcho
from sockkit.net.echo.turns import Turns
from sockkit.net.echo.udp import UdpEcho
from sockkit.net.loop import Loop
from sockkit.net.openers import opener
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.tcp.listen import Bound, Listener, ListenOptions, announce, listen, raise_limit
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions, bind_datagrams
from sockkit.net.waiting import wait_for
from sockkit.values import Value

ATTEMPTS = 20  # to find a free port that both TCP and UDP can have


class Echo(Value):
    """`tcp` and `udp`: neither means both. `drop` is a share, 0 to 1."""

    listen: ListenOptions
    sockets: SocketOptions
    tcp: bool = False
    udp: bool = False
    upper: bool = False
    rules: tuple[Rule, ...] = ()
    rules_file: str | None = None
    encoding: str = "utf-8"
    greet: str = ""
    delay: float = 0.0
    drop: float = 0.0
    close_after: int | None = None
    workers: int = 1
    size: int | None = None
    port_file: str | None = None


class _Share(Value):
    """What one worker listens on."""

    listener: Listener | None
    sock: DatagramSocket | None

    @property
    def bound(self) -> Bound:
        bound = self.listener or self.sock
        assert bound
        return bound

    def close(self) -> None:
        for end in (self.listener, self.sock):
            if end:
                end.close()


def run(config: Echo, context: Context) -> None:
    """Answer until a signal. Raises SockkitError."""
    loop, emit = context.loop, context.emit
    _check(config)
    rules = [*config.rules, *_file_rules(config.rules_file)]
    timed_out = _TimedOut(rules, emit)
    options = _options(config, rules, timed_out)
    raise_limit()
    silent = context._replace(emit=lambda _: None)
    shares: list[_Share] = []
    try:
        if config.workers > 1 and not config.sockets.reuse_port:
            # What shares a port would share that of others, too: see that it is free.
            _share(config._replace(workers=1), silent).close()
        shares.append(_first(config, context))
        bound = shares[0].bound
        same = config
        if bound.port:
            address = config.listen.address.with_port(bound.port)
            same = config._replace(listen=config.listen._replace(address=address))
        shares.extend(_share(same, silent) for _ in range(1, config.workers))
        with port_file(loop, config.port_file, bound):
            announce(bound, emit)
            if config.workers == 1:
                _serve(shares[0], context, options)
            else:
                _supervise(config.workers, shares, context, options, timed_out)
    finally:
        for share in shares:
            share.close()


def _serve(share: _Share, context: Context, options: EchoOptions) -> None:
    loop = context.loop
    turns = Turns(loop)
    tcp = TcpEcho(context, share.listener, options, turns) if share.listener else None
    try:
        if tcp:
            tcp.start()
        if share.sock:
            UdpEcho(context, share.sock, options, turns).start()
        loop.run()
    finally:
        if tcp:
            tcp.stop()


def _supervise(
    count: int, shares: list[_Share], context: Context, options: EchoOptions, timed_out: _TimedOut
) -> None:
    from sockkit.net.workers import Workers

    def work(number: int, own: Loop, tell: Emit) -> None:
        share, timed_out.emit = shares[number - 1], tell
        if share.listener:
            share.listener.adopt(own, number, count, tell)
        theirs = context._replace(loop=own, emit=tell)
        if share.sock:
            share.sock.adopt(theirs)
        _serve(share, theirs, options)

    Workers(context.loop, count, work, timed_out.emit).run()


def _first(config: Echo, context: Context) -> _Share:
    """On the port asked for, or on one that is free for both TCP and UDP."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _share(config, context)
        except BindError:
            if config.listen.address.port != 0 or attempt == ATTEMPTS:
                raise
    raise AssertionError


def _share(config: Echo, context: Context) -> _Share:
    both = config.tcp == config.udp
    options, sockets = config.listen, config.sockets
    if config.workers > 1:
        sockets = sockets._replace(reuse_port=True)
    listener = None
    if config.tcp or both:
        listener = wait_for(context.loop, partial(listen, context, options, sockets))
    try:
        if not config.udp and not both:
            return _Share(listener, None)
        if listener and listener.port:
            options = options._replace(address=options.address.with_port(listener.port))
        datagrams = (options, sockets.for_datagrams(), UdpOptions(), config.size)
        sock = wait_for(context.loop, partial(bind_datagrams, context, *datagrams))
        return _Share(listener, sock)
    except SockkitError:
        if listener:
            listener.close()
        raise


def _check(config: Echo) -> None:
    """Raise UsageError for what cannot be served, or has no effect on what is."""
    opens = opener(config.listen.address)
    if config.workers > 1 and not opens.workers:
        raise UsageError(f"--workers cannot share {opens.name}", "leave it out")
    if not opens.datagrams and not config.tcp:
        raise UsageError(f"{config.listen.address} is no address for UDP", "give --tcp")
    if config.tcp == config.udp:
        return
    kind, streams = ("--udp", True) if config.udp else ("--tcp", False)
    useless = [("--close-after", config.close_after), ("--greet", config.greet)]
    for option, given in useless if streams else [("--drop", config.drop)]:
        if given:
            raise UsageError(f"{option} and {kind} exclude each other", "leave out one")


class _TimedOut:
    """Names a pattern that has run out of time, once, whichever worker meets it."""

    def __init__(self, rules: list[Rule], emit: Emit) -> None:
        self.emit = emit
        self._patterns = [rule.pattern.pattern for rule in rules]
        self._told = mmap(-1, len(rules) + 1)  # shared with the processes that are forked

    def tell(self, rule: Rule) -> None:
        pattern = rule.pattern.pattern
        place = self._patterns.index(pattern)
        if not self._told[place]:
            self._told[place] = 1
            most = f"{1000 * MESSAGE_TIME:g} ms"
            self.emit(Failure(f"{pattern!r} took more than {most}: it counts as not matched"))


def _options(config: Echo, rules: list[Rule], timed_out: _TimedOut) -> EchoOptions:
    said = [
        ("--greet", config.greet),
        *((f"the answer {rule.answer!r}", rule.answer) for rule in rules),
    ]
    for what, text in said:
        try:
            text.encode(config.encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            raise UsageError(f"{what} cannot be said in {config.encoding}") from error
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
        responder = lambda: UpperResponder(config.encoding)  # noqa: E731
    elif config.close_after:
        responder = EchoResponder
    greet = config.greet.encode(config.encoding, "surrogateescape")
    return EchoOptions(
        responder, greet, config.delay, config.drop, config.close_after, config.size or BUFFER
    )


def _file_rules(path: str | None) -> list[Rule]:
    if path is None:
        return []
    try:
        with open(path, encoding="utf-8") as file:
            return parse_rules(file.read(), path)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise UsageError(f"could not read {os.fspath(path)}: {reason(error)}") from error
