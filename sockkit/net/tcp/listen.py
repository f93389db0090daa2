"""Listening: one socket bound, and the connections it accepts."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from itertools import count
from typing import Protocol

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import BindError, SockkitError
from sockkit.events import Connected, Emit, Listening, Notice, Peer, Step
from sockkit.net.ends.end import words
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.files import is_same
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, resolve_on, show_address, unix_endpoint
from sockkit.values import Value

ACCEPT_PAUSE = 1.0  # seconds without accepting when the system has no room for a connection
WARN_AGAIN = 60.0  # seconds before that is said again
ACCEPTS_A_TURN = 64  # connections taken before others on the loop get their turn

# A connection that failed before it was accepted, accept(2); another may follow it.
_NEXT = {
    errno.ECONNABORTED,
    errno.EPERM,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENOPROTOOPT,
}


class ListenOptions(Value):
    """Where a server listens. Port 0 lets the system choose."""

    address: Address
    backlog: int = 128


class Bound(Protocol):
    """What is reached at a port; for unix `port` is None and the address says where."""

    port: int | None
    address: str


def announce(bound: Bound, emit: Emit) -> None:
    """Say that clients may come: after this, whoever waits for it can connect."""
    emit(Listening(bound.address, _is_local(bound.address)))


class Listener:
    """A listening socket, owned. `port` is the real one, None for unix.

    Connections are numbered from 1 as they are accepted.
    """

    def __init__(
        self, loop: Loop, options: ListenOptions, sockets: SocketOptions, emit: Emit
    ) -> None:
        """Bind and listen. Raises BindError, ResolveError, UsageError."""
        self._loop, self._emit = loop, emit
        self._numbers = count(1)
        self._on_stream: Callable[[SocketEnd], None] | None = None
        self._warn_after = loop.now
        self._endpoint = _endpoint(loop, options.address, sockets)
        self._made: os.stat_result | None = None  # the unix socket that binding made
        self._socket = self._bound(options, sockets)
        name = self._socket.getsockname()
        self.port: int | None = name[1] if isinstance(name, tuple) else None
        self.address = show_address(name)

    def accept(self, on_stream: Callable[[SocketEnd], None]) -> None:
        """Call `on_stream` with each new connection from now on, who then owns it."""
        self._on_stream = on_stream
        self._loop.when_readable(self._socket.fileno(), self._ready)

    def resume(self) -> None:
        """A descriptor has been freed: accept at once if that had to pause."""
        if self._on_stream:
            self._loop.when_readable(self._socket.fileno(), self._ready)

    def adopt(self, loop: Loop, number: int, of: int, emit: Emit) -> None:
        """In a process that was forked, the `number`-th of several: accept by its own loop."""
        self._loop, self._emit = loop, emit
        self._numbers = count(number, of)  # so that no two give a connection one number

    def close(self) -> None:
        """Listen no more; accepted connections stay. Calling it twice is allowed."""
        if self._socket.fileno() < 0:
            return
        self._on_stream = None
        self._loop.when_readable(self._socket.fileno(), None)
        self._socket.close()
        self._emit(Step("close", f"the listener on {self.address}"))
        self._remove()

    def _remove(self) -> None:
        """Remove the unix socket we made, unless somebody else has one there by now."""
        path = self._endpoint.address
        if isinstance(path, str) and is_same(path, self._made):
            _unlink(path)

    def _bound(self, options: ListenOptions, sockets: SocketOptions) -> socket.socket:
        where = self._endpoint
        try:
            sock = sockets.open(where.family, self._emit)
        except OSError as error:
            raise BindError(f"could not listen on {options.address}: {words(error)}") from error
        try:
            sock.setblocking(False)
            if where.family == socket.AF_INET6:
                # `::` takes IPv4 too, whatever the system's default; -6 keeps it out.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockets.family == 6)
            if sockets.reuse_address and isinstance(where.address, str):
                _remove_stale(where.address)
            sock.bind(where.address)
            if isinstance(where.address, str):
                self._made = os.lstat(where.address)
            self._emit(Step("bind", str(where)))
            sock.listen(options.backlog)
            self._emit(Step("listen", f"backlog {options.backlog}"))
        except OSError as error:
            sock.close()
            self._remove()
            raise bind_error(error, options.address) from error
        return sock

    def _ready(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if not self._on_stream:
                return None
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _NEXT:
                    continue
                return self._pause(error)
            self._welcome(sock, address, self._on_stream)
        return None

    def _welcome(
        self, sock: socket.socket, address: object, on_stream: Callable[[SocketEnd], None]
    ) -> None:
        shown = show_address(address) if address else "unix"
        self._emit(Step("accept", shown))
        end = SocketEnd(self._loop, sock, Peer(next(self._numbers), shown), self._emit)
        self._emit(Connected(end.peer, self.address))
        on_stream(end)

    def _pause(self, error: OSError) -> None:
        self._loop.when_readable(self._socket.fileno(), None)
        self._loop.later(ACCEPT_PAUSE, self.resume)
        if self._loop.now >= self._warn_after:
            self._warn_after = self._loop.now + WARN_AGAIN
            self._emit(Notice(f"could not accept a connection ({words(error)}): newcomers wait"))


def raise_limit() -> None:
    """Allow this process as many descriptors as it may have, getrlimit(2)."""
    try:
        import resource
    except ImportError:  # a system without such a limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        pass  # more than the system has: what it was will do


def _endpoint(loop: Loop, address: Address, sockets: SocketOptions) -> Endpoint:
    if isinstance(address, UnixPath):
        return unix_endpoint(address)
    return resolve_on(loop, address, sockets.families(), passive=True)[0]


def _is_local(address: str) -> bool:
    """Whether nobody on another machine can connect; a unix address needs no telling."""
    return address.startswith(("127.", "[::1]:"))


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


def bind_error(error: OSError, address: Address, protocol: str = "tcp") -> SockkitError:
    """What a failed bind means, and what to try."""
    if not isinstance(address, HostPort):
        hint = ""
        if error.errno == errno.EADDRINUSE and not address.path.startswith("@"):
            there = _socket_at(address.path)
            hint = "give another path"
            if not there:
                hint = f"that is no socket: {hint}"
            elif there.st_uid != os.geteuid():
                hint = f"that socket is another user's: {hint}"
        return BindError(f"could not listen on {address}: {words(error)}", hint)
    port = address.port
    if error.errno == errno.EADDRINUSE:
        from sockkit.net.port_owner import holder

        by = f" by {who}" if (who := holder(port, protocol)) else ""
        return BindError(
            f"could not listen on {address}: port {port} is in use{by}",
            "try another with -p, or -p 0 for any free one",
        )
    if error.errno == errno.EACCES:
        return BindError(
            f"could not listen on {address}: port {port} needs privileges",
            f"try -p {port + 8000 if port < 1024 else 8080}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return BindError(
            f"could not listen on {address}: this machine does not have that address",
            "try --bind 127.0.0.1, or --bind 0.0.0.0 for all it has",
        )
    return BindError(f"could not listen on {address}: {words(error)}")
