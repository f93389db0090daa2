"""Unix-domain addresses, unix(7): the path of a socket file, or `@name` for an abstract one."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable

from sockkit.core.address import UnixPath
from sockkit.errors import BindError
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.ends.end import words
from sockkit.net.files import is_same
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import Done, OnDone, Pending


def resolve(
    context: Context,
    address: UnixPath,
    family: int,
    on_done: OnDone[list[Endpoint]],
    timeout: float | None,
) -> Pending:
    """Call `on_done` at once: there is nothing to look up."""
    on_done([endpoint(address)])
    return Done()


def endpoint(address: UnixPath) -> Endpoint:
    """The endpoint of `address`. A leading NUL byte marks the abstract namespace."""
    path = address.path
    return Endpoint(socket.AF_UNIX, b"\0" + os.fsencode(path[1:]) if path.startswith("@") else path)


def bind(
    sock: socket.socket, endpoint: Endpoint, sockets: SocketOptions
) -> Callable[[], None] | None:
    """Bind `sock`, and return what removes the socket file.

    With `reuse_address` a stale socket file is replaced.
    """
    path = endpoint.address
    if not isinstance(path, str):
        sock.bind(path)
        return None
    if sockets.reuse_address:
        _remove_stale(path)
    sock.bind(path)
    made = os.lstat(path)

    def remove() -> None:
        """Remove our socket file, unless another one has replaced it."""
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
    """What lstat(2) says of the socket file at `path`; None if there is none."""
    try:
        there = os.lstat(path)
    except OSError:
        return None
    return there if stat.S_ISSOCK(there.st_mode) else None


def _remove_stale(path: str) -> None:
    """Remove a socket file of our user that nobody listens on. All else is left for bind(2)."""
    there = _socket_at(path)
    if not there or there.st_uid != os.geteuid():
        return
    # Connecting a datagram socket does not disturb a stream server, and shows whether one is there.
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
        pass  # it is gone, or we may not remove it
