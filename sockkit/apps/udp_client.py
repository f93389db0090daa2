"""udp-client: sends standard input as datagrams to one address, and writes the answers."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.apps.one_way import check_one_way
from sockkit.core.address import Address
from sockkit.core.answers import AnswerOptions
from sockkit.errors import UsageError
from sockkit.events import TargetChosen
from sockkit.net.context import Context
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.udp.client import DatagramClient
from sockkit.net.udp.open import UdpOptions, connect_datagrams, find_routes
from sockkit.net.waiting import wait_for
from sockkit.values import Value

M = TypeVar("M", bound=Messages)


class UdpClient(Value):
    address: Address
    sockets: SocketOptions
    udp: UdpOptions
    datagrams: DatagramOptions
    answers: AnswerOptions
    connect: ConnectOptions


def run(config: UdpClient, context: Context) -> None:
    """Return when all was sent and the answers have been written. Raises SockkitError."""
    _check(config)
    run_exchange(config, context, Messages)


def _check(config: UdpClient) -> None:
    datagrams, answers, source = config.datagrams, config.answers, config.connect.source
    unshown = {"label": datagrams.label, "expect": answers.expect, "linger": answers.linger}
    check_one_way(datagrams, {"name": datagrams.name}, unshown)
    if datagrams.recv_only and (source is None or source.port == 0):
        raise UsageError(
            "--recv-only needs a local address for the peer to send to",
            "add --source with a port, as in --source 127.0.0.1:5000",
        )


def run_exchange(config: UdpClient, context: Context, kind: type[M]) -> M:
    """Run the exchange with messages of the class `kind`, and return them. Raises SockkitError."""
    finding = partial(find_routes, context, config.address, config.connect, config.sockets)
    routes = wait_for(context.loop, finding)
    aims = connect_datagrams(context, config.address, routes, config.sockets, config.udp)
    sock, to = next(aims)
    try:
        context.emit(TargetChosen(str(to), sock.address))
        messages = kind(config.datagrams, context, many=not sock.connected)
        client = DatagramClient(context, (sock, to), aims, messages, config.answers)
        if context.stdio.offer:
            from sockkit.apps.prompt import client_commands, member_commands, offer_commands

            make = client_commands if kind is Messages else member_commands
            offer_commands(context, make(context, client))
        with context.progress(client.moved):
            client.run()
        return messages
    finally:
        sock.close()
