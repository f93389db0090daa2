"""Listeners, which bind a socket and accept connections."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Generator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Protocol

from sockkit.core.address import Address
from sockkit.errors import BindError, ResolveError, SockkitError, UsageError, reason
from sockkit.events import Connected, Listening, Notice, Peer, PeerUser, SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import (
    DEFAULT_BACKLOG,
    Endpoint,
    SocketAddress,
    is_group,
    show_address,
    to_address,
)
from sockkit.net.ends.end import PeerEnd, os_error
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Timer
from sockkit.net.openers import opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.access import AccessList
    from sockkit.net.openers import Admission
    from sockkit.net.tls.contexts import TlsSetup
    from sockkit.net.tls.handshake import Handshakes
    from sockkit.net.unix_users import Credentials

ACCEPT_PAUSE_SECONDS = 1.0  # after accepting has failed for lack of resources
WARNING_INTERVAL_SECONDS = 60.0  # between two notices of such a failure
MAX_ACCEPTS_PER_TURN = 64  # then the loop serves others

# Errors of a connection that failed before we accepted it, accept(2). The next one may succeed.
_FAILED_EARLY = {
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
    """Where a server listens, and whom it admits. Port 0 lets the system choose.

    `access` decides which peers may come in; on a unix socket, `allow_users` does: "own", "any", or
    None for the default. At most `max_connections` are open. With `tls`, connections are encrypted.
    `timeout` is how long the server waits for its first client, in seconds; see net/timeouts.py. If
    `tapped`, views see the connections here; those of a relay see them at the target instead. With
    `resets`, clients see a reset, and no regular end, if this process is killed.
    """

    address: Address
    backlog: int = DEFAULT_BACKLOG
    access: AccessList | None = None
    max_connections: int | None = None
    tls: TlsSetup | None = None
    allow_users: str | None = None
    timeout: float | None = None
    tapped: bool = True
    resets: bool = False


class Bound(Protocol):
    """A bound socket: a listener, or a datagram socket.

    `port` is None for a unix address. `used` is whether a client has come. `transport` is its name
    in records.
    """

    address: str
    used: bool

    @property
    def port(self) -> int | None: ...

    @property
    def transport(self) -> str: ...


def announce(bound: Bound, context: Context) -> None:
    """Emit that the server is ready: clients can connect from now on."""
    context.emit(Listening(bound.address, is_local(bound.address)))
    if context.views:
        context.views.listening(bound.transport, bound.address)


def listen(
    context: Context, options: ListenOptions, sockets: SocketOptions, on_done: OnDone[Listener]
) -> Pending:
    """Resolve the address and listen on it. Failures are BindError, ResolveError, UsageError."""

    def steps() -> Generator[Start[list[Endpoint]], list[Endpoint], Listener]:
        found = yield partial(resolve, context, options.address, sockets.families())
        return Listener(context, options, found[0], sockets)

    def done(outcome: Listener | SockkitError) -> None:
        if isinstance(outcome, ResolveError) and not sockets.family:
            outcome.hint = "give an address of this machine, and quote a text of several words"
        on_done(outcome)

    return Steps(steps(), done)


class Listener:
    """Owns a listening socket. `port` is the bound port, None for a unix address.

    Connections are numbered from 1 in the order in which they are accepted. A connection that the
    options refuse is closed at once: it gets no number, and not one byte is sent to it.
    """

    def __init__(
        self, context: Context, options: ListenOptions, endpoint: Endpoint, sockets: SocketOptions
    ) -> None:
        """Bind to `endpoint`, one of the options' address, and listen.

        Raises BindError, UsageError.
        """
        self._context, self._options = context, options
        kind = opener(options.address)
        self._admission: Admission | None = kind.admission(options.address, options, sockets)
        self._numbers = count(1)
        self._handshakes: Handshakes | None = None
        self._connections = 0  # open ones: handed over and not released
        self._most: int | None = None
        self.used = False
        self._on_accepted: Callable[[PeerEnd], None] | None = None
        self._pause = _Pause(self._resume)
        self._unbind: Callable[[], None] | None = None  # called after the socket is closed
        self._socket = self._open(options, endpoint, sockets)
        name = self._socket.getsockname()
        self.port: int | None = name[1] if isinstance(name, tuple) else None
        self.address = show_address(name)

    @property
    def bound_to(self) -> Address | None:
        """The address to which the open socket is bound."""
        return to_address(self._socket.getsockname())

    @property
    def transport(self) -> str:
        return opener(self._options.address).stream

    def accept(self, on_accepted: Callable[[PeerEnd], None], most: int | None = None) -> None:
        """Accept connections, and pass each to `on_accepted`, which then owns it.

        With TLS it is passed on when its handshake is done. The caller must call `released` once
        for each connection. While `most` connections are open, including those whose handshake is
        under way, new ones wait in the backlog.
        """
        self._on_accepted, self._most = on_accepted, most
        if tls := self._options.tls:
            from sockkit.net.tls.handshake import Handshakes

            loop, emit = self._context.loop, self._context.emit
            self._handshakes = Handshakes(loop, emit, tls, self._hand_over)
        self._context.loop.when_readable(self._socket.fileno(), self._ready)

    def released(self) -> None:
        """A connection passed to `on_accepted` is closed: there is space for one more."""
        self._connections -= 1
        self._resume()

    def _resume(self) -> None:
        """End a pause, and accept again."""
        self._pause.end()
        if self._on_accepted:
            self._context.loop.when_readable(self._socket.fileno(), self._ready)

    def adopt(self, context: Context, number: int, of: int) -> None:
        """Use the loop of a forked process: it is process `number`, from 1, `of` so many."""
        self._context = context
        self._numbers = count(number, of)  # so that no two processes use one number

    def close(self) -> None:
        """Listen no more. Accepted connections stay open. May be called twice."""
        if self._socket.fileno() < 0:
            return
        self._on_accepted = None
        self._pause.end()
        self._context.loop.when_readable(self._socket.fileno(), None)
        self._socket.close()
        if self._handshakes:
            self._handshakes.close_all()
        self._context.emit(SocketCall("close", f"the listener on {self.address}"))
        if self._unbind:
            self._unbind()

    def _open(
        self, options: ListenOptions, endpoint: Endpoint, sockets: SocketOptions
    ) -> socket.socket:
        kind = opener(options.address)
        if is_group(endpoint):
            raise UsageError(f"{options.address} is a multicast group", "use udp-server --join")
        if options.tls:
            sockets = sockets.for_tls()
        try:
            sock = sockets.open(endpoint.family, self._context.emit)
        except OSError as error:
            raise BindError(f"could not listen on {options.address}: {reason(error)}") from error
        try:
            sock.setblocking(False)
            self._context.emit(SocketCall("bind", str(endpoint)))
            self._unbind = kind.bind(sock, endpoint, sockets)
            sock.listen(options.backlog)
            self._context.emit(SocketCall("listen", f"backlog {options.backlog}"))
        except OSError as error:
            sock.close()
            if self._unbind:
                self._unbind()
            failed = kind.bind_error(error, options.address, "tcp")
            if error.errno == errno.EADDRINUSE and not sockets.reuse_address:
                failed.hint = f"leave out --no-reuse-address, or {failed.hint}"
            raise failed from error
        return sock

    def _ready(self) -> None:
        for _ in range(MAX_ACCEPTS_PER_TURN):
            if not self._on_accepted or self._views_are_full():
                return None
            if self._most is not None and self._open_now() >= self._most:
                return self._wait(os_error(errno.EMFILE))
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _FAILED_EARLY:
                    continue
                return self._wait(error)
            self._accepted(sock, address)
        return None

    def _views_are_full(self) -> bool:
        """Whether the views are full. Then new connections, which they would show, must wait."""
        views = self._context.views
        if not (views and views.full):
            return False
        self._context.loop.when_readable(self._socket.fileno(), None)
        views.when_room(self._resume)
        return True

    def _open_now(self) -> int:
        return self._connections + (self._handshakes.connections if self._handshakes else 0)

    def _wait(self, error: OSError) -> None:
        """Pause: the system has no resources for another connection."""
        self._context.loop.when_readable(self._socket.fileno(), None)
        self._pause.begin(self._context, error)

    def _accepted(self, sock: socket.socket, address: SocketAddress) -> None:
        shown = show_address(address)
        self._context.emit(SocketCall("accept", shown))
        credentials = None if isinstance(address, tuple) else _credentials(sock)
        if why := self._refusal(address, credentials):
            sock.close()
            self._context.emit(SocketCall("close", f"the connection to {shown}"))
            self._refused(f"{shown}, {credentials}" if credentials else shown, why)
            return
        peer = Peer(next(self._numbers), shown)
        end = SocketEnd(self._context.loop, sock, peer, self._context.emit, to_address(address))
        if self._options.resets:
            end.reset_unless_closed()
        self._context.emit(Connected(end.peer, self.address))
        if credentials:
            self._context.emit(PeerUser(end.peer, *credentials))
        if self._handshakes:
            self._handshakes.begin(end)
        else:
            self._hand_over(end)

    def _refusal(self, address: SocketAddress, credentials: Credentials | None) -> str:
        """The reason to refuse a connection from `address`; empty to admit it."""
        why = self._admission.refusal(address, credentials) if self._admission else ""
        return why or self._full()

    def _full(self) -> str:
        most = self._options.max_connections
        full = most is not None and self._connections >= most
        return f"full: --max-connections {most}" if full else ""

    def _refused(self, shown: str, why: str) -> None:
        told = f"refused a connection from {shown} ({why})"
        self._context.emit(Notice(told, f"refused a connection ({why})"))

    def _hand_over(self, end: PeerEnd) -> None:
        if self._handshakes and (why := self._full()):  # it was not full before the handshake
            end.close()
            self._refused(end.peer.address, why)
        elif self._on_accepted:
            self._connections += 1
            self.used = True
            self._on_accepted(self._watched(end))

    def _watched(self, end: PeerEnd) -> PeerEnd:
        views = self._context.views
        if not (views and self._options.tapped):
            return end
        return views.watch(end, self.transport, dialled=False)


class _Pause:
    """A pause in accepting. `on_end` is called after it, unless `end` is called before."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._timer: Timer | None = None
        self._warn_after = 0.0

    def begin(self, context: Context, error: OSError) -> None:
        """Begin a pause. Emits why, at most once in WARNING_INTERVAL_SECONDS."""
        loop = context.loop
        self._timer = loop.later(ACCEPT_PAUSE_SECONDS, self._on_end)
        if loop.now >= self._warn_after:
            self._warn_after = loop.now + WARNING_INTERVAL_SECONDS
            told = f"could not accept a connection ({reason(error)}): new clients wait"
            context.emit(Notice(told))

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def _credentials(sock: socket.socket) -> Credentials | None:
    from sockkit.net.unix_users import peer_credentials

    return peer_credentials(sock)


def raise_limit() -> None:
    """Raise this process's limit of descriptors to its hard limit, getrlimit(2)."""
    try:
        import resource
    except ImportError:  # a system without getrlimit(2)
        return
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    except (OSError, ValueError):
        pass  # the system refuses: the limit stays as it was


def is_local(address: str) -> bool:
    """Whether only this machine can connect; False for a unix address, where that is obvious."""
    return address.startswith(("127.", "[::1]:"))
