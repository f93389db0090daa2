"""relay: puts itself between clients and a target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import invite, secure_dialling, secure_listening
from sockkit.core.address import Address
from sockkit.core.faults import FaultOptions
from sockkit.core.text import TextOptions
from sockkit.events import Hint, Notice
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import PeerEnd
from sockkit.net.options import SocketOptions
from sockkit.net.port_file import port_file
from sockkit.net.relay.pair import PairOptions
from sockkit.net.relay.server import RelayServer
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import Bound, ListenOptions, announce, is_local, listen, raise_limit
from sockkit.net.waiting import OnDone, Pending, wait_for
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.relay.faults import Faults
    from sockkit.net.tls.options import ClientTls, ServerTls

MAX_SEED = 1_000_000_000  # of a seed that is chosen: easy to type
CLIENTS_ENCODING = "utf-8"  # where the target has another


class Relay(Value):
    """`tls` is towards the clients, `to_tls` towards the target."""

    address: Address
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


def run(config: Relay, context: Context) -> None:
    """Relay until a signal, or with `once` one client. Raises SockkitError."""
    raise_limit()
    if config.udp:
        from sockkit.apps.relay_udp import run as run_udp

        run_udp(config, context, lambda sock: _warn_of_strangers(context, sock, config))
        return
    options = secure_listening(context, config.listen, config.access, config.tls)
    pairs = _pair_options(config, context)
    # A view shows what passes between us and the target.
    unseen = context._replace(views=None)
    listener = wait_for(context.loop, partial(listen, unseen, options, config.sockets))
    try:
        with port_file(context.loop, config.port_file, listener):
            announce(listener, context)
            invite(context, options, listener, "tcp-client")
            _warn_of_strangers(context, listener, config)
            server = RelayServer(listener, pairs)
            (server.run_one if config.once else server.run)()
    finally:
        listener.close()


def _pair_options(config: Relay, context: Context) -> PairOptions:
    connect = secure_dialling(context, config.connect, config.address, config.to_tls)
    sockets = config.sockets._replace(reuse_address=False, reuse_port=False)

    def dial_for(client: PeerEnd, on_done: OnDone[PeerEnd]) -> Pending:
        own = connect._replace(number=client.peer.number, on_behalf_of=client.remote)
        return dial(context, config.address, own, sockets, on_done)

    return PairOptions(
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

    seed = chosen_seed(options, context)
    return Faults(context, options, seed, opener(config.address).stream, config.address.word)


def chosen_seed(options: FaultOptions, context: Context) -> int:
    """The seed that is given, or one that is told."""
    if options.seed is not None:
        return options.seed
    from random import SystemRandom  # few runs need it

    seed = SystemRandom().randrange(MAX_SEED)
    context.emit(Hint(f"to repeat this run's random choices: --seed {seed}"))
    return seed


def _warn_of_strangers(context: Context, bound: Bound, config: Relay) -> None:
    """Say it if everybody who reaches us reaches the target."""
    rules = config.access
    admits = bool(rules and (rules.allow or rules.allow_file))
    admits |= bool(config.tls and config.tls.client_ca)
    if bound.port is not None and not is_local(bound.address) and not admits:
        told = "anyone who can reach this port can reach the target: restrict it with --allow"
        context.emit(Notice(told))
