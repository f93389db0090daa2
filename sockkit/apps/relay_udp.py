"""relay --udp: forwards datagrams between peers and a target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import with_access
from sockkit.apps.relay import CLIENTS_ENCODING, chosen_seed, warn_if_open
from sockkit.core.address import Address
from sockkit.core.faults import Held
from sockkit.core.transforms import convert
from sockkit.errors import UsageError
from sockkit.net.context import Context
from sockkit.net.descriptors import free_descriptors
from sockkit.net.endpoint import to_address
from sockkit.net.port_file import port_file
from sockkit.net.relay.datagram_way import WayOptions
from sockkit.net.relay.itself import check_target
from sockkit.net.relay.udp import DatagramRelay, RelayOptions
from sockkit.net.relay.udp_target import Target
from sockkit.net.tcp.listen import announce
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import Route, UdpOptions, bind_datagrams, find_routes
from sockkit.net.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from sockkit.apps.relay import Relay
    from sockkit.core.records import Direction
    from sockkit.core.text import Transform

IDLE_SECONDS = 60.0  # of silence, after which a peer times out, unless --idle-timeout is given
MAX_PEERS = 1000  # each has a descriptor; one more replaces the peer silent for longest
SPARE_DESCRIPTORS = 16  # for lookups and files; the rest limits the number of peers


def run(config: Relay, context: Context) -> None:
    """Relay until a signal. Raises SockkitError."""
    _check(config, context)
    address = config.address
    assert address
    listen = with_access(context, config.listen, config.access)
    sockets = config.sockets.for_datagrams()
    # Views show the datagrams between us and the target.
    unseen = context._replace(views=None)
    routes = wait_for(context.loop, partial(find_routes, context, address, config.connect, sockets))
    own = sockets._replace(reuse_port=False, unix_mode=None)
    target = Target(context, address, routes, own)
    sock = wait_for(context.loop, partial(bind_datagrams, unseen, listen, sockets, UdpOptions()))
    try:
        _check_target(sock, address, routes)
        with port_file(context.loop, config.port_file, sock):
            announce(sock, context)
            warn_if_open(context, sock, config)
            DatagramRelay(context, sock, target, _options(config, context)).run()
    finally:
        sock.close()


def _check_target(sock: DatagramSocket, address: Address, routes: list[Route]) -> None:
    """Raise UsageError if the target is the address on which we listen."""
    listen = to_address(sock.bound_to)
    for each in (to_address(route.to.address) for route in routes):
        if listen and each:
            check_target(listen, each, f"the target {address}")


def _options(config: Relay, context: Context) -> RelayOptions:
    text = config.text
    to_target = partial(text.outbound, CLIENTS_ENCODING, "what the client sent")
    to_client = partial(text.inbound, CLIENTS_ENCODING)
    delayed, faults = Held(), config.faults
    if faults.of_datagrams:
        faults = faults._replace(seed=chosen_seed(faults, context))

    def way(direction: Direction, make: Callable[[], Transform | None]) -> WayOptions:
        converts = partial(convert, make) if make() else None
        return WayOptions(context.loop, context.emit, direction, converts, faults, delayed)

    idle = IDLE_SECONDS if config.idle is None else config.idle
    most, free = config.listen.max_connections or MAX_PEERS, free_descriptors()
    if free is not None:
        most = min(most, max(free - SPARE_DESCRIPTORS, 1))
    return RelayOptions(way("sent", to_target), way("received", to_client), most, idle)


def _check(config: Relay, context: Context) -> None:
    """Raise UsageError for options that do not apply to datagrams."""
    source = config.connect.source
    asked = {
        "--once": config.once,
        "--frame": context.views and context.views.frames,
    }
    for option, given in asked.items():
        if given:
            raise UsageError(f"{option} cannot be used with --udp", "remove one of them")
    fixed = source and (source.port is None or source.port)
    if fixed and config.listen.max_connections != 1:
        raise UsageError(
            f"each peer has a socket of its own, and only one can be bound to {source}",
            "remove the port of --source, or add --max-connections 1",
        )
