"""Listening: one socket bound, and the connections it accepts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Generator
from functools import partial
from itertools import count
from typing import Protocol

from sockkit.core.address import Address
from sockkit.errors import BindError
from sockkit.events import Connected, Emit, Listening, Notice, Peer, SocketCall
from sockkit.net.context import Context
from sockkit.net.ends.end import words
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.openers import opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, show_address
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

ACCEPT_PAUSE = 1.0  # seconds without accepting when the system has no capacity for a connection
WARN_AGAIN = 60.0  # seconds before that is said again
ACCEPTS_A_TURN = 64  # connections accepted before others on the loop get their turn

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


def listen(
    context: Context, options: ListenOptions, sockets: SocketOptions, on_done: OnDone[Listener]
) -> Pending:
    """Find the address and listen on it. Failures are BindError, ResolveError, UsageError."""

    def steps() -> Generator[Start[list[Endpoint]], list[Endpoint], Listener]:
        found = yield partial(resolve, context, options.address, sockets.families())
        return Listener(context, options, found[0], sockets)

    return Steps(steps(), on_done)


class Listener:
    """A listening socket, owned. `port` is the real one, None for unix.

    Connections are numbered from 1 as they are accepted.
    """

    def __init__(
        self, context: Context, options: ListenOptions, endpoint: Endpoint, sockets: SocketOptions
    ) -> None:
        """Bind to `endpoint`, which the options' address has, and listen.

        Raises BindError, UsageError.
        """
        self._loop, self._emit = context.loop, context.emit
        self._numbers = count(1)
        self._on_accepted: Callable[[SocketEnd], None] | None = None
        self._warn_after = self._loop.now
        self._unbind: Callable[[], None] | None = None  # what remains to be done after closing
        self._socket = self._bound(options, endpoint, sockets)
        name = self._socket.getsockname()
        self.port: int | None = name[1] if isinstance(name, tuple) else None
        self.address = show_address(name)

    def accept(self, on_end: Callable[[SocketEnd], None]) -> None:
        """Call `on_end` with each new connection from now on, who then owns it."""
        self._on_accepted = on_end
        self._loop.when_readable(self._socket.fileno(), self._ready)

    def resume(self) -> None:
        """A descriptor has been freed: accept at once if that had to pause."""
        if self._on_accepted:
            self._loop.when_readable(self._socket.fileno(), self._ready)

    def adopt(self, loop: Loop, number: int, of: int, emit: Emit) -> None:
        """In a process that was forked, the `number`-th of several: accept by its own loop."""
        self._loop, self._emit = loop, emit
        self._numbers = count(number, of)  # so that no two give a connection one number

    def close(self) -> None:
        """Listen no more; accepted connections stay. Calling it twice is allowed."""
        if self._socket.fileno() < 0:
            return
        self._on_accepted = None
        self._loop.when_readable(self._socket.fileno(), None)
        self._socket.close()
        self._emit(SocketCall("close", f"the listener on {self.address}"))
        if self._unbind:
            self._unbind()

    def _bound(
        self, options: ListenOptions, endpoint: Endpoint, sockets: SocketOptions
    ) -> socket.socket:
        kind = opener(options.address)
        try:
            sock = sockets.open(endpoint.family, self._emit)
        except OSError as error:
            raise BindError(f"could not listen on {options.address}: {words(error)}") from error
        try:
            sock.setblocking(False)
            self._unbind = kind.bind(sock, endpoint, sockets)
            self._emit(SocketCall("bind", str(endpoint)))
            sock.listen(options.backlog)
            self._emit(SocketCall("listen", f"backlog {options.backlog}"))
        except OSError as error:
            sock.close()
            if self._unbind:
                self._unbind()
            raise kind.bind_error(error, options.address, "tcp") from error
        return sock

    def _ready(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if not self._on_accepted:
                return None
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _NEXT:
                    continue
                return self._pause(error)
            self._welcome(sock, address, self._on_accepted)
        return None

    def _welcome(
        self, sock: socket.socket, address: object, on_end: Callable[[SocketEnd], None]
    ) -> None:
        shown = show_address(address) if address else "unix"
        self._emit(SocketCall("accept", shown))
        end = SocketEnd(self._loop, sock, Peer(next(self._numbers), shown), self._emit)
        self._emit(Connected(end.peer, self.address))
        on_end(end)

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


def _is_local(address: str) -> bool:
    """Whether nobody on another machine can connect; a unix address needs no telling."""
    return address.startswith(("127.", "[::1]:"))
