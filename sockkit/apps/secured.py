"""TLS for the commands that dial, and for those that listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockkit.core.address import Address
from sockkit.events import Notice
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.tcp.dial import ConnectOptions
    from sockkit.net.tcp.listen import Listener, ListenOptions
    from sockkit.net.tls.options import ClientTls, ServerTls


def secure_dialling(
    connect: ConnectOptions, tls: ClientTls | None, address: Address, context: Context
) -> ConnectOptions:
    """`connect` with what `tls` asks for. Raises UsageError."""
    if not tls:
        return connect
    from sockkit.net.tls.contexts import client

    return connect._replace(tls=client(tls, address, context))


def secure_listening(
    context: Context,
    listen: ListenOptions,
    access: AccessOptions | None,
    tls: ServerTls | None,
) -> ListenOptions:
    """`listen` with who may come in, and with what `tls` asks for.

    Waits for the names in `access`. Raises ResolveError and UsageError.
    """
    from sockkit.net.tcp.listen import with_access  # a client loads nothing of it

    listen = with_access(context, listen, access)
    if not tls:
        return listen
    from sockkit.net.tls.contexts import server

    return listen._replace(tls=server(tls, listen.address.host or "", context))


def invite(listen: ListenOptions, listener: Listener, command: str, context: Context) -> None:
    """Tell how to connect with `command`, if a certificate was made for this run."""
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
