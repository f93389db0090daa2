"""relay: forwards connections from clients to a target."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import invite, secure_dialling, secure_listening
from sockkit.apps.workers import check_workers, open_sockets, serve
from sockkit.core.address import Address
from sockkit.core.faults import FaultOptions
from sockkit.core.text import Errors, TextOptions
from sockkit.errors import ProgramFailed, UsageError
from sockkit.events import Hint, Notice
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import PeerEnd
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.relay.itself import check_target, why_not
from sockkit.net.relay.pair import Dial, Shared
from sockkit.net.relay.server import RelayServer
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import (
    Bound,
    Listener,
    ListenOptions,
    announce,
    is_local,
    listen,
    raise_limit,
)
from sockkit.net.waiting import OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.relay.faults import Faults
    from sockkit.net.relay.program import ProgramTargets
    from sockkit.net.tls.options import ClientTls, ServerTls

MAX_SEED = 1_000_000_000  # of a seed that we choose: short enough to type
CLIENTS_ENCODING = "utf-8"  # if -E names another for the target
# Nothing is sent on a stalled connection, so the system has to probe whether the peer still exists.
# Linux forgets a connection 60 s after a program has closed it, and then answers with a reset.
STALL_PROBE_SECONDS = 10

Dialler = Callable[[Context, Listener], Dial]  # for the clients of a listener


class Relay(Value):
    """`tls` is for connections from clients, `to_tls` for those to the target. The target is
    `address` or `program`.
    """

    address: Address | None
    listen: ListenOptions
    connect: ConnectOptions
    sockets: SocketOptions
    text: TextOptions = TextOptions()
    idle: float | None = None
    once: bool = False
    udp: bool = False
    port_file: str | None = None
    access: AccessOptions | None = None
    faults: FaultOptions = FaultOptions()
    tls: ServerTls | None = None
    to_tls: ClientTls | None = None
    program: tuple[str, ...] = ()
    workers: int = 1


def run(config: Relay, context: Context) -> None:
    """Relay until a signal, or with `once` one client. Raises SockkitError."""
    if config.once and config.listen.max_connections:
        raise UsageError(
            "--once cannot be used with --max-connections",
            "remove --max-connections: --once relays one client",
        )
    _check_workers(config)
    raise_limit()
    # By default, what cannot be converted is not escaped: the connection is reset, or the datagram
    # dropped.
    strict = config.text._replace(errors=config.text.errors or Errors.STRICT)
    config = config._replace(text=strict)
    if config.faults.stall_at is not None:
        config = config._replace(sockets=config.sockets._replace(probe_after=STALL_PROBE_SECONDS))
    if config.udp:
        from sockkit.apps.relay_udp import run as run_udp

        run_udp(config, context)
    elif config.program:
        _run_programs(config, context)
    else:
        _run_address(config, context)


def _check_workers(config: Relay) -> None:
    given = {"--once": config.once, "--udp": config.udp, "faults": config.faults.of_streams}
    given["--exec or --shell"] = bool(config.program)
    check_workers(config.workers, config.listen, given)


def _run(config: Relay, context: Context, dialler: Dialler) -> None:
    options = secure_listening(context, config.listen, config.access, config.tls)
    faults = _faults(config, context)
    # Views show the target's side. If this process is killed, nobody sees a regular end.
    options = options._replace(tapped=False, resets=True)
    opened = open_sockets(config.workers, context, options, config.sockets, _listen)
    listener = opened[0]

    def serve_one(own_context: Context, own: Listener) -> None:
        shared = _shared(config, own_context, dialler(own_context, own), faults)
        server = RelayServer(own, shared)
        (server.run_one if config.once else server.run)()

    try:
        with port_file(context.loop, config.port_file, listener):
            announce(listener, context)
            invite(context, options, listener, "tcp-client")
            warn_if_open(context, listener, config)
            serve(context, opened, serve_one)
    finally:
        for each in opened:
            each.close()


def _listen(context: Context, options: ListenOptions, sockets: SocketOptions) -> Listener:
    listener: Listener = wait_for(context.loop, partial(listen, context, options, sockets))
    return listener


def _check_source(config: Relay) -> None:
    """Raise UsageError if several connections would need the same local address."""
    source = config.connect.source
    fixed = source and (source.port or source.location.startswith("@"))
    alone = config.once or (config.listen.max_connections == 1 and config.workers == 1)
    if fixed and not alone:
        raise UsageError(
            f"each client has a connection of its own, and only one can be bound to {source}",
            "remove the port of --source, or add "
            + ("--max-connections 1" if config.workers == 1 else "--once in place of --workers"),
        )


def _run_programs(config: Relay, context: Context) -> None:
    """Relay each client to a program. With `once`, raises ProgramFailed if the program failed."""
    from sockkit.apps.programs import MAX_PROGRAMS, find_program
    from sockkit.net.relay.program import ProgramTargets

    excluded = {"source": config.connect.source, "to_tls": config.to_tls}
    programs = find_program(context, config.program, **excluded)
    most = config.listen.max_connections or MAX_PROGRAMS
    targets = ProgramTargets(context, programs, most)
    limited = config._replace(listen=config.listen._replace(max_connections=most))
    try:
        _run(limited, context, lambda *_: targets.dial)
        _check_exit(targets, context)
    finally:
        targets.close()


def _check_exit(targets: ProgramTargets, context: Context) -> None:
    from sockkit.core.programs import exit_status

    wait_for(context.loop, targets.when_exited)
    if targets.code:
        raise ProgramFailed(exit_status(targets.code))


def _run_address(config: Relay, context: Context) -> None:
    """Relay each client to an address."""
    target, proxy = config.address, config.connect.proxy
    assert target
    nearest, name = target, f"the target {target}"  # what we connect to
    if proxy:
        nearest, name = proxy.address, f"the proxy {proxy.address}"
    check_target(config.listen.address, nearest, name)
    _check_source(config)
    connect = secure_dialling(context, config.connect, target, config.to_tls)
    connect = connect._replace(resets=True)
    sockets = config.sockets._replace(reuse_address=False, reuse_port=False)

    def dialler(context: Context, listener: Listener) -> Dial:
        checked = connect._replace(check=partial(why_not, listener.bound_to))

        def dial_for(client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
            own = checked._replace(number=client.peer.number, on_behalf_of=client.remote)
            return dial(context, target, own, sockets, on_done)

        return dial_for

    _run(config, context, dialler)


def _shared(config: Relay, context: Context, dial_for: Dial, faults: Faults | None) -> Shared:
    return Shared(
        context,
        Closer(context.loop, alone=config.once, polite=True),
        dial_for,
        partial(config.text.outbound, CLIENTS_ENCODING, "what the client sent"),
        partial(config.text.inbound, CLIENTS_ENCODING),
        config.idle,
        config.sockets.buffer_size,
        faults,
    )


def _faults(config: Relay, context: Context) -> Faults | None:
    options = config.faults
    if not options.of_streams:
        return None
    from sockkit.net.openers import opener
    from sockkit.net.relay.faults import Faults

    seed, address = chosen_seed(options, context), config.address
    target = (opener(address).stream, address.word) if address else ("program", config.program[0])
    return Faults(context, options, seed, *target)


def chosen_seed(options: FaultOptions, context: Context) -> int:
    """The seed that the user gave, or a random one, which is reported if it is used."""
    if options.seed is not None or not options.random:
        return options.seed or 0
    from random import SystemRandom  # few runs need it

    seed = SystemRandom().randrange(MAX_SEED)
    context.emit(Hint(f"to repeat this run's random choices: --seed {seed}"))
    return seed


def warn_if_open(context: Context, bound: Bound, config: Relay) -> None:
    """Warn if anyone who can reach this port can reach the target, or run the program."""
    if config.program:
        from sockkit.apps.programs import warn_of_strangers

        warn_of_strangers(context, bound, config.access, config.tls)
        return
    rules = config.access
    admits = bool(rules and (rules.allow or rules.allow_file))
    admits |= bool(config.tls and config.tls.client_ca)
    if bound.port is not None and not is_local(bound.address) and not admits:
        told = "anyone who can reach this port can reach the target: restrict it with --allow"
        context.emit(Notice(told))
