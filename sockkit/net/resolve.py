"""From names to socket addresses, and back to words."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from sockkit.core.address import HostPort, UnixPath, show
from sockkit.core.printable import escape
from sockkit.core.units import show_seconds
from sockkit.errors import ResolveError, TimedOut
from sockkit.net.loop import Loop
from sockkit.values import Value

SocketAddress = Any  # a tuple or a path, as Python's socket module has it


class Endpoint(Value):
    """One address a socket of `family` can be bound or connected to."""

    family: int
    address: SocketAddress

    def __str__(self) -> str:
        return show_address(self.address)


def service_port(name: str) -> int | None:
    """The TCP port of a service, getservbyname(3), or None."""
    try:
        return socket.getservbyname(name, "tcp")
    except OSError:
        return None


def unix_endpoint(address: UnixPath) -> Endpoint:
    """unix(7): a leading NUL stands for the abstract namespace."""
    path = address.path
    return Endpoint(socket.AF_UNIX, b"\0" + os.fsencode(path[1:]) if path.startswith("@") else path)


def resolve(
    address: HostPort, family: int, *, numeric: bool = False, passive: bool = False
) -> list[Endpoint]:
    """The stream endpoints of a name, best first, getaddrinfo(3). Blocks unless `numeric`.

    Raises ResolveError.
    """
    flags = (socket.AI_NUMERICHOST if numeric else 0) | (socket.AI_PASSIVE if passive else 0)
    # As bytes, a plain name does not load Python's IDNA tables.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        found = socket.getaddrinfo(host, address.port, family, socket.SOCK_STREAM, 0, flags)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, socket.gaierror) else "no such name can be"
        if error.args[0] == socket.EAI_ADDRFAMILY:
            why = f"it is no IPv{4 if family == socket.AF_INET else 6} address"
        raise ResolveError(f"could not resolve {address.host}: {why}") from error
    except OSError as error:
        raise ResolveError(f"could not resolve {address.host}: {error.strerror}") from error
    return list(dict.fromkeys(Endpoint(family, name) for family, _, _, _, name in found))


def resolve_on(
    loop: Loop,
    address: HostPort,
    family: int,
    *,
    passive: bool = False,
    timeout: float | None = None,
) -> list[Endpoint]:
    """The same, with the loop running meanwhile: a signal ends it, or `timeout`, in seconds.

    Raises ResolveError, TimedOut.
    """
    found: list[list[Endpoint] | ResolveError] = []

    waiting = True

    def done(answer: list[Endpoint] | ResolveError) -> None:
        if waiting:  # otherwise it is too late, and the loop does something else
            found.append(answer)
            loop.stop()

    resolve_soon(loop, address, family, done, passive=passive)
    if not found:
        timer = loop.later(timeout, loop.stop) if timeout is not None else None
        try:
            loop.run()
        finally:
            waiting = False
            if timer:
                timer.cancel()
        if not found:
            within = show_seconds(timeout or 0)
            raise TimedOut(f"could not resolve {address.host}: no answer within {within}")
    if isinstance(found[0], ResolveError):
        raise found[0]
    return found[0]


def resolve_soon(
    loop: Loop,
    address: HostPort,
    family: int,
    done: Callable[[list[Endpoint] | ResolveError], None],
    *,
    passive: bool = False,
) -> None:
    """Call `done` in the loop's thread: at once for a numeric address, when known for a name.

    A resolver cannot be interrupted, so a name is asked for in a thread that the process
    does not wait for.
    """
    try:
        return done(resolve(address, family, numeric=True, passive=passive))
    except ResolveError:
        pass

    import threading

    def ask() -> None:
        try:
            answer: list[Endpoint] | ResolveError = resolve(address, family, passive=passive)
        except ResolveError as error:
            answer = error
        loop.call_soon(lambda: done(answer))

    return threading.Thread(target=ask, daemon=True, name="resolver").start()


def show_address(address: SocketAddress) -> str:
    """`10.0.0.7:51234`, `[::1]:80`, `unix:/path`; a mapped IPv4 address as IPv4."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return show(host.removeprefix("::ffff:") if "." in host else host, port)
    path = os.fsdecode(address)  # a peer may have bound itself to any name it likes
    return "unix:" + escape(f"@{path[1:]}" if path.startswith("\0") else path)
