"""Addresses of a host and a port: resolves and binds them, and explains a failed bind."""

from __future__ import annotations

import errno
import socket
from _thread import start_new_thread  # importing `threading` takes half a millisecond
from typing import TYPE_CHECKING

from sockkit.core.address import HostPort
from sockkit.core.units import show_seconds
from sockkit.errors import (
    NO_ANSWER,
    BindError,
    ResolveError,
    SockkitError,
    TimedOut,
    UsageError,
    reason,
)
from sockkit.events import SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, SocketAddress
from sockkit.net.loop import Timer
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import OnDone, Pending
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.access import AccessList
    from sockkit.net.tcp.listen import ListenOptions

Found = list[Endpoint]
CHECK_NAME = "check the name, or give an IP address"


def look_up(address: HostPort, family: int, *, numeric: bool = False) -> Found:
    """The stream endpoints of a host and port, best first, getaddrinfo(3).

    Blocks during the lookup. With `numeric` it accepts only a numeric host, and does not block.
    Raises ResolveError.
    """
    flags = socket.AI_NUMERICHOST if numeric else 0
    # An ASCII name given as bytes does not make Python load its IDNA tables.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        found = socket.getaddrinfo(host, address.port, family, socket.SOCK_STREAM, 0, flags)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, socket.gaierror) else "not a valid host name"
        version = 6 if family == socket.AF_INET6 else 4
        hint = f"check the name, or use one with an IPv{version} address" if family else ""
        if error.args[0] == socket.EAI_ADDRFAMILY:
            why, hint = f"it is not an IPv{version} address", f"leave out -{version}"
        elif not address.host.strip("0123456789."):
            why, hint = "it is not an IPv4 address", "give four numbers of 0 to 255"
        raise _not_resolved(address, why, hint) from error
    except OSError as error:
        raise _not_resolved(address, str(error.strerror)) from error
    return list(dict.fromkeys(Endpoint(family, name) for family, _, _, _, name in found))


def _not_resolved(address: HostPort, why: str | None, hint: str = "") -> ResolveError:
    if address.host[:3].upper() == "COM" and address.host[3:].isdigit():
        hint = "serial lines are not supported, use socat or picocom"
    told = str(why)
    kind = f"not resolved: {told[:1].lower()}{told[1:]}"
    hint = hint or CHECK_NAME
    return ResolveError(f"could not resolve {address.host}: {told}", hint, kind=kind)


def late_answer(host: str, timeout: float) -> TimedOut:
    """The error for a lookup that got no answer within `timeout` seconds."""
    why = f"{NO_ANSWER} within {show_seconds(round(timeout, 3))}"
    return TimedOut(f"could not resolve {host}: {why}", kind=f"not resolved: {NO_ANSWER}")


def resolve(
    context: Context, address: HostPort, family: int, on_done: OnDone[Found], timeout: float | None
) -> Pending:
    """Resolve `address`: a numeric one at once, a name in a thread. See `resolve` in openers.py."""
    work = _Lookup(context, address, on_done)
    try:
        found = look_up(address, family, numeric=True)
    except ResolveError:
        context.emit(SocketCall("getaddrinfo", address.word))
        work.start(family, timeout)
    else:
        work.finish(found)
    return work


class _Lookup(Pending):
    """The lookup of a name in a thread. The process can exit while the thread still runs.

    A lookup cannot be interrupted. If its answer comes after `cancel` or the timeout, we drop it.
    """

    def __init__(self, context: Context, address: HostPort, on_done: OnDone[Found]) -> None:
        self._loop, self._address = context.loop, address
        self._on_done: OnDone[Found] | None = on_done
        self._timer: Timer | None = None

    def start(self, family: int, timeout: float | None) -> None:
        try:
            start_new_thread(self._look_up, (family,))
        except RuntimeError as error:  # the system allows no more threads
            return self.finish(_not_resolved(self._address, str(error)))
        if timeout is not None:
            late = late_answer(self._address.host, timeout)
            self._timer = self._loop.later(timeout, lambda: self.finish(late))
        return None

    def finish(self, outcome: Found | SockkitError) -> None:
        on_done = self._on_done
        self.cancel()
        if on_done:
            on_done(outcome)

    def cancel(self) -> None:
        self._on_done = None
        if self._timer:
            self._timer.cancel()

    def _look_up(self, family: int) -> None:
        """Runs in the lookup's thread."""
        try:
            answer: Found | SockkitError = look_up(self._address, family)
        except ResolveError as error:
            answer = error
        self._loop.call_soon(lambda: self.finish(answer))


class ByAddress(Value):
    """Admits the peers that an access list allows."""

    access: AccessList

    def refusal(self, address: SocketAddress, credentials: object) -> str:
        return self.access.refusal(address[0], *address[3:])


def admission(
    address: HostPort, options: ListenOptions, sockets: SocketOptions
) -> ByAddress | None:
    """What decides which peers a server admits; None for everybody.

    Raises UsageError for options that only unix sockets have.
    """
    for option, given in (
        ("--unix-mode", sockets.unix_mode is not None),
        ("--allow-users", options.allow_users),
    ):
        if given:
            raise UsageError(f"{option} needs a unix socket", "remove it, or use --bind unix:/PATH")
    return ByAddress(options.access) if options.access else None


def bind(sock: socket.socket, endpoint: Endpoint, sockets: SocketOptions) -> None:
    if endpoint.family == socket.AF_INET6:
        # Unless -6 is given, `::` also accepts IPv4, whatever the system's default is.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockets.family == 6)
    sock.bind(endpoint.address)


def bind_error(error: OSError, address: HostPort, protocol: str) -> BindError:
    port = address.port
    what = f"could not listen on {address}"
    if error.errno == errno.EADDRINUSE:
        from sockkit.net.port_owner import port_owner

        by = f" by {owner}" if (owner := port_owner(port, protocol)) else ""
        return BindError(
            f"{what}: port {port} is in use{by}", "use another with -p, or -p 0 for any free one"
        )
    if error.errno == errno.EACCES:
        return BindError(
            f"{what}: port {port} needs root privileges",
            f"try -p {port + 8000 if port < 1024 else 8080}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return BindError(
            f"{what}: this machine does not have that address",
            "use --bind 127.0.0.1, or --bind 0.0.0.0 for all addresses",
        )
    hint = ""
    if error.errno == errno.EINVAL and address.host.lower().startswith("fe80"):
        hint = "add its interface, as in fe80::1%eth0"
    elif error.errno == errno.ENODEV:  # no route leads to a group, ip(7)
        hint = "give --bind the address of the interface"
    return BindError(f"{what}: {reason(error)}", hint)
