"""A unix-domain address, unix(7): a path with a socket that is made and removed, or `@abstract`."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable

from sockkit.core.address import UnixPath
from sockkit.errors import BindError
from sockkit.net.context import Context
from sockkit.net.ends.end import words
from sockkit.net.files import is_same
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint
from sockkit.net.waiting import Done, OnDone, Pending


def find(
    context: Context,
    address: UnixPath,
    family: int,
    on_done: OnDone[list[Endpoint]],
    timeout: float | None,
) -> Pending:
    """At once: there is nothing to look up."""
    on_done([endpoint(address)])
    return Done()


def endpoint(address: UnixPath) -> Endpoint:
    """A leading NUL stands for the abstract namespace."""
    path = address.path
    return Endpoint(socket.AF_UNIX, b"\0" + os.fsencode(path[1:]) if path.startswith("@") else path)


def bind(
    sock: socket.socket, endpoint: Endpoint, sockets: SocketOptions
) -> Callable[[], None] | None:
    """Bind, in place of a stale socket if addresses may be used again."""
    path = endpoint.address
    if not isinstance(path, str):
        sock.bind(path)
        return None
    if sockets.reuse_address:
        _remove_stale(path)
    sock.bind(path)
    made = os.lstat(path)

    def remove() -> None:
        """Remove the socket we made, unless somebody else has one there by now."""
        if is_same(path, made):
            _unlink(path)

    return remove


def bind_error(error: OSError, address: UnixPath, protocol: str) -> BindError:
    hint = ""
    if error.errno == errno.EADDRINUSE and not address.path.startswith("@"):
        there = _socket_at(address.path)
        hint = "give another path"
        if not there:
            hint = f"that is no socket: {hint}"
        elif there.st_uid != os.geteuid():
            hint = f"that socket is another user's: {hint}"
    return BindError(f"could not listen on {address}: {words(error)}", hint)


def _socket_at(path: str) -> os.stat_result | None:
    """The unix socket at `path` itself, not where it links to."""
    try:
        there = os.lstat(path)
    except OSError:
        return None
    return there if stat.S_ISSOCK(there.st_mode) else None


def _remove_stale(path: str) -> None:
    """Remove a socket of our user that nobody listens on any more; bind names all else."""
    there = _socket_at(path)
    if not there or there.st_uid != os.geteuid():
        return
    # A datagram socket cannot disturb a stream server, yet hears whether there is one.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            if is_same(path, there):
                _unlink(path)
        except OSError:
            pass


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # it is gone, or not ours to remove
