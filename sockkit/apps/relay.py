"""relay: forwards connections from clients to a target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import invite, secure_dialling, secure_listening
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
from sockkit.net.relay.itself import OwnConnections, check_target
from sockkit.net.relay.pair import Dial, Shared
from sockkit.net.relay.server import RelayServer
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import Bound, ListenOptions, announce, is_local, listen, raise_limit
from sockkit.net.waiting import Done, OnDone, Pending, wait_for
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


def run(config: Relay, context: Context) -> None:
    """Relay until a signal, or with `once` one client. Raises SockkitError."""
    if config.once and config.listen.max_connections:
        raise UsageError(
            "--once cannot be used with --max-connections",
            "remove --max-connections: --once relays one client",
        )
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
        _run(config, context, _dialler(config, context))


def _run(config: Relay, context: Context, dial_for: Dial) -> None:
    if config.address:
        check_target(config.listen.address, config.address)
        _check_source(config)
    options = secure_listening(context, config.listen, config.access, config.tls)
    pairs = _shared(config, context, dial_for)
    options = options._replace(tapped=False)  # views show the target's side
    listener = wait_for(context.loop, partial(listen, context, options, config.sockets))
    try:
        with port_file(context.loop, config.port_file, listener):
            announce(listener, context)
            invite(context, options, listener, "tcp-client")
            warn_if_open(context, listener, config)
            server = RelayServer(listener, pairs)
            (server.run_one if config.once else server.run)()
    finally:
        listener.close()


def _check_source(config: Relay) -> None:
    """Raise UsageError if several connections would need the same local address."""
    source = config.connect.source
    fixed = source and (source.port or source.location.startswith("@"))
    if fixed and not config.once and config.listen.max_connections != 1:
        raise UsageError(
            f"each client has a connection of its own, and only one can be bound to {source}",
            "remove the port of --source, or add --max-connections 1",
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
        _run(limited, context, targets.dial)
        _check_exit(targets, context)
    finally:
        targets.close()


def _check_exit(targets: ProgramTargets, context: Context) -> None:
    from sockkit.core.programs import exit_status

    wait_for(context.loop, targets.when_exited)
    if targets.code:
        raise ProgramFailed(exit_status(targets.code))


def _dialler(config: Relay, context: Context) -> Dial:
    address = config.address
    assert address
    ours = OwnConnections(address)
    connect = secure_dialling(context, config.connect, address, config.to_tls)
    connect = connect._replace(on_connect=ours.add)
    sockets = config.sockets._replace(reuse_address=False, reuse_port=False)

    def dial_for(client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        if refusal := ours.refusal(client):
            on_done(refusal)
            return Done()
        own = connect._replace(number=client.peer.number, on_behalf_of=client.remote)
        return dial(context, address, own, sockets, on_done)

    return dial_for


def _shared(config: Relay, context: Context, dial_for: Dial) -> Shared:
    return Shared(
        context,
        Closer(context.loop, alone=config.once, polite=True),
        dial_for,
        partial(config.text.outbound, CLIENTS_ENCODING, "what the client sent"),
        partial(config.text.inbound, CLIENTS_ENCODING),
        config.idle,
        config.sockets.buffer_size,
        _faults(config, context),
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
