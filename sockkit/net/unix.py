"""Unix-domain addresses, unix(7): the path of a socket file, or `@name` for an abstract one.

We replace a socket file only if it belongs to our user and nobody receives on it. We remove one
only if we have created it. We never touch a file that is not a socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sockkit.core.address import UnixPath
from sockkit.errors import BindError, UsageError, reason
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.files import is_same
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import Done, OnDone, Pending

if TYPE_CHECKING:
    from sockkit.net.tcp.listen import ListenOptions
    from sockkit.net.unix_users import OneUser


def resolve(
    context: Context,
    address: UnixPath,
    family: int,
    on_done: OnDone[list[Endpoint]],
    timeout: float | None,
) -> Pending:
    """Call `on_done` at once: there is nothing to look up."""
    if address.abstract and sys.platform != "linux":
        on_done(
            UsageError(f"{address} is an abstract address, which only Linux has", "use unix:/PATH")
        )
    else:
        on_done([endpoint(address)])
    return Done()


def endpoint(address: UnixPath) -> Endpoint:
    """The endpoint of `address`. A leading NUL byte marks the abstract namespace."""
    path = address.path
    return Endpoint(socket.AF_UNIX, b"\0" + os.fsencode(path[1:]) if address.abstract else path)


def admission(address: UnixPath, options: ListenOptions, sockets: SocketOptions) -> OneUser | None:
    """What decides which users a server admits; None for everybody. Raises UsageError."""
    from sockkit.net.unix_users import users_admission

    if address.abstract and sockets.unix_mode is not None:
        raise UsageError(f"{address} has no file mode", "remove --unix-mode, or use unix:/PATH")
    return users_admission(address, options.allow_users)


def bind(
    sock: socket.socket, endpoint: Endpoint, sockets: SocketOptions
) -> Callable[[], None] | None:
    """Bind `sock`, and return a function that removes the socket file; None if there is no file.

    Replaces a stale socket file; for streams only with `reuse_address`. From then on a datagram
    socket gets the credentials of each sender. Raises OSError.
    """
    path, datagrams = endpoint.address, sock.type == socket.SOCK_DGRAM
    if datagrams and hasattr(socket, "SO_PASSCRED"):  # before anybody can send
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    if not isinstance(path, str):
        sock.bind(path)
        return None
    if datagrams or sockets.reuse_address:
        _remove_stale(path)
    with _creating(sockets.unix_mode):
        sock.bind(path)
    made = os.lstat(path)

    def remove() -> None:
        """Remove our socket file, unless another one has replaced it."""
        if is_same(path, made):
            _unlink(path)

    return remove


@contextlib.contextmanager
def _creating(mode: int | None) -> Iterator[None]:
    """Within the block, new files get no more permissions than `mode`, umask(2).

    With chmod(2) the file would have wider permissions for a moment.
    """
    if mode is None:
        yield
        return
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def bind_error(error: OSError, address: UnixPath, protocol: str) -> BindError:
    why, hint = reason(error), ""
    if error.errno == errno.EADDRINUSE and not address.path.startswith("@"):
        there = _socket_at(address.path)
        hint = "use another path"
        if not there:
            why = "that file exists and is not a socket"
        elif there.st_uid != os.geteuid():
            hint = f"that socket belongs to another user: {hint}"
    return BindError(f"could not listen on {address}: {why}", hint)


def _socket_at(path: str) -> os.stat_result | None:
    """The result of lstat(2) for the socket file at `path`; None if there is none."""
    try:
        there = os.lstat(path)
    except OSError:
        return None
    return there if stat.S_ISSOCK(there.st_mode) else None


def _is_stale(path: str) -> bool:
    """Whether `path` is a socket file of our user, and nobody receives on it.

    To find out, we connect a datagram socket to it, which no server of either kind notices.
    """
    there = _socket_at(path)
    if not there or there.st_uid != os.geteuid():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def _remove_stale(path: str) -> None:
    """Remove a stale socket file. Leave any other file there: bind(2) then fails.

    Between the check and unlink(2), another server could replace the file. So we first move it to
    a folder where nobody else binds, and check it again there.
    """
    if not _is_stale(path):
        return
    folder = os.path.join(os.path.dirname(path), f".s{os.urandom(4).hex()}")
    aside = os.path.join(folder, "s")
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
        with contextlib.suppress(OSError):
            os.rename(path, aside)
            if not _is_stale(aside):  # put it back, unless there is another by now
                os.link(aside, path, follow_symlinks=False)
            os.unlink(aside)
        os.rmdir(folder)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # it is gone, or we may not remove it
