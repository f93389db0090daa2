"""relay --udp: puts itself between the peers of a datagram socket and a target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.prepare import with_access
from sockkit.apps.relay import CLIENTS_ENCODING, chosen_seed
from sockkit.core.faults import Held
from sockkit.core.text import Errors
from sockkit.core.transforms import convert
from sockkit.errors import UsageError
from sockkit.net.context import Context
from sockkit.net.descriptors import free_descriptors
from sockkit.net.port_file import port_file
from sockkit.net.relay.datagram_way import WayOptions
from sockkit.net.relay.udp import DatagramRelay, RelayOptions
from sockkit.net.relay.udp_target import Target
from sockkit.net.tcp.listen import announce
from sockkit.net.udp.open import UdpOptions, bind_datagrams, find_routes
from sockkit.net.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from sockkit.apps.relay import Relay
    from sockkit.core.records import Direction
    from sockkit.core.text import Transform
    from sockkit.net.tcp.listen import Bound

IDLE_SECONDS = 60.0  # of silence, after which a peer is given up, unless --idle-timeout says it
MAX_PEERS = 1000  # each has a descriptor; one more makes the longest silent leave
SPARE_DESCRIPTORS = 16  # left to lookups and files; where there are few, fewer peers fit


def run(config: Relay, context: Context, warn: Callable[[Bound], None]) -> None:
    """Relay until a signal. Raises SockkitError."""
    _check(config, context)
    address = config.address
    assert address
    listen = with_access(context, config.listen, config.access)
    sockets = config.sockets.for_datagrams()
    # A view shows what passes between us and the target.
    unseen = context._replace(views=None)
    routes = wait_for(context.loop, partial(find_routes, context, address, config.connect, sockets))
    own = sockets._replace(reuse_port=False, unix_mode=None)
    target = Target(context, address, routes, own)
    sock = wait_for(context.loop, partial(bind_datagrams, unseen, listen, sockets, UdpOptions()))
    try:
        with port_file(context.loop, config.port_file, sock):
            announce(sock, context)
            warn(sock)
            DatagramRelay(context, sock, target, _options(config, context)).run()
    finally:
        sock.close()


def _options(config: Relay, context: Context) -> RelayOptions:
    # By default no character is shown as an escape: what cannot be converted is dropped.
    text = config.text._replace(errors=config.text.errors or Errors.STRICT)
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
    """Raise UsageError for options that datagrams do not have."""
    source = config.connect.source
    asked = {
        "--once": config.once,
        "--frame": context.views and context.views.frames,
    }
    for option, given in asked.items():
        if given:
            raise UsageError(f"{option} and --udp exclude each other", "leave out one")
    fixed = source and (source.port is None or source.port)
    if fixed and config.listen.max_connections != 1:
        raise UsageError(
            f"each peer has a socket of its own, and only one can be bound to {source}",
            "leave out the port of --source, or give --max-connections 1",
        )
