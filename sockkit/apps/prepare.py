"""Makes access lists and TLS contexts from the options, before a command dials or listens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.core.address import Address
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.waiting import wait_for

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import Listener, ListenOptions
    from sockkit.net.tls.contexts import TlsSetup
    from sockkit.net.tls.options import ClientTls, ServerTls


def secure_dialling(
    context: Context, connect: ConnectOptions, address: Address, tls: ClientTls | None
) -> ConnectOptions:
    """`connect` with the TLS setup to dial `address`, if `tls` asks for it. Raises UsageError."""
    if not tls:
        return connect
    from sockkit.net.tls.contexts import client

    return connect._replace(tls=client(tls, address, context))


def secure_probing(
    context: Context, addresses: list[Address], tls: ClientTls | None
) -> dict[str | None, TlsSetup] | None:
    """The TLS setup for the host of each address; None without `tls`. Raises UsageError."""
    if not tls:
        return None
    from sockkit.net.tls.contexts import clients

    setups = clients(tls, addresses, context)
    return {address.host: setup for address, setup in zip(addresses, setups, strict=True)}


def with_access(
    context: Context, listen: ListenOptions, access: AccessOptions | None
) -> ListenOptions:
    """`listen` with the access list that `access` describes.

    Runs the loop until the names in it are resolved. Raises ResolveError and UsageError.
    """
    if not access:
        return listen
    from sockkit.net.access import prepare

    made = wait_for(context.loop, partial(prepare, context, access, listen.address))
    return listen._replace(access=made)


def secure_listening(
    context: Context,
    listen: ListenOptions,
    access: AccessOptions | None,
    tls: ServerTls | None,
) -> ListenOptions:
    """`listen` with the access list and the TLS setup. Raises ResolveError and UsageError."""
    listen = with_access(context, listen, access)
    if not tls:
        return listen
    from sockkit.net.tls.contexts import server

    return listen._replace(tls=server(tls, listen.address.host or "", context))


def invite(context: Context, listen: ListenOptions, listener: Listener, command: str) -> None:
    """Say how to connect with `command`, if a certificate was made for this run."""
    if not (listen.tls and listen.tls.fingerprint):
        return
    host, where = listen.address.host, str(listen.address)
    if host:
        where = f"{'HOST' if host in ('0.0.0.0', '::') else host} {listener.port}"
    fingerprint = listen.tls.fingerprint.hex()
    context.emit(
        Notice(
            "made a certificate for this run: connect with "
            f"sockkit {command} --tls --tls-fingerprint {fingerprint} {where}"
        )
    )
