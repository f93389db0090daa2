"""Dialling: connects to several endpoints of an address, and keeps the first that answers.

This is Happy Eyeballs, RFC 8305.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Generator
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address
from sockkit.core.units import show_seconds
from sockkit.errors import (
    NO_ANSWER,
    REFUSED,
    BindError,
    ConnectError,
    ResolveError,
    SockkitError,
    TimedOut,
    reason,
)
from sockkit.events import Connected, ConnectFailed, Connecting, Emit, Peer, PeerUser, SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, is_group, show_address, to_address
from sockkit.net.ends.end import PeerEnd, failure_kind, os_error
from sockkit.net.ends.socket_end import SocketEnd, reset_on_close
from sockkit.net.loop import Timer
from sockkit.net.openers import opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.waiting import Done, OnDone, Pending, Start, Steps
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.proxy import Proxy
    from sockkit.net.openers import Resolve
    from sockkit.net.tls.contexts import TlsSetup

ATTEMPT_DELAY_SECONDS = 0.25  # before the next endpoint is tried too, RFC 8305 section 5
# A unix listener with a full backlog answers EAGAIN, and the system does not report when there is
# space again. So we retry.
BACKLOG_RETRY_SECONDS = 0.05

# The system has no socket for us, socket(2). This says nothing about the peer.
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

LocalEndpoints = dict[int, Endpoint]  # the endpoints to bind our socket to, by family


class ConnectOptions(Value):
    """How to connect. `timeout` is in seconds, for resolving and connecting together.

    The socket is bound to `source`, if it is given. With `proxy`, the connection goes through that
    proxy, within `timeout`. With `tls`, it is encrypted; the handshake has its own timeout.
    `resolve` replaces the lookup, for a caller that dials many ports of one host. `number` is the
    peer's number, for a caller that dials several peers. In the records of views, `on_behalf_of`
    replaces our local address: a relay passes its client's. `check` is called with each endpoint
    before we connect to it, and returns why we must not, or an empty text. With `resets`, the peer
    sees a reset, and no regular end, if connecting is given up or this process is killed.
    """

    timeout: float = 10.0
    source: Address | None = None
    tls: TlsSetup | None = None
    proxy: Proxy | None = None
    resolve: Resolve | None = None
    number: int = 0
    on_behalf_of: Address | None = None
    check: Callable[[Endpoint], str] | None = None
    resets: bool = False


def dial(
    context: Context,
    address: Address,
    options: ConnectOptions,
    sockets: SocketOptions,
    on_done: OnDone[PeerEnd],
) -> Pending:
    """Connect to `address`, and call `on_done` with the connection, which it then owns.

    The loop calls `on_done` once, never before this returns. Errors are ResolveError, ConnectError,
    TimedOut, UsageError, and BindError for a bad `source`; with a proxy also ProxyError, with TLS
    also TrustError and HandshakeError.
    """
    if special := opener(address).dial:
        return special(context, address, options, sockets, on_done)
    return Steps(_dial(context, address, options, sockets), on_done)


def _dial(
    context: Context, address: Address, options: ConnectOptions, sockets: SocketOptions
) -> Generator[Start[Any], Any, PeerEnd]:
    deadline = context.loop.now + options.timeout
    if options.tls:
        sockets = sockets.for_tls()
    found: LocalEndpoints = yield partial(resolve_source, context, options)
    to = options.proxy.address if options.proxy else address
    race = partial(_Race, context, to, options, sockets, found, deadline)
    if options.proxy:
        from sockkit.net.proxy.tunnel import dial_through

        end = yield from dial_through(context, options, address, sockets.families(), deadline, race)
    else:
        end = yield race
    if options.tls:
        from sockkit.net.tls.handshake import secure

        end = yield partial(secure, context, end, options.tls)
    if context.views:
        stream, local = opener(address).stream, options.on_behalf_of
        end = context.views.watch(end, stream, dialled=True, local=local)
    return end


def resolve_source(
    context: Context, options: ConnectOptions, on_done: OnDone[LocalEndpoints]
) -> Pending:
    """Find the endpoints of `options.source`, at most one per family."""

    def found(outcome: list[Endpoint] | SockkitError) -> None:
        if isinstance(outcome, ResolveError):
            on_done({})  # `reachable_from` then raises the error
        elif isinstance(outcome, SockkitError):
            on_done(outcome)
        else:
            on_done({endpoint.family: endpoint for endpoint in reversed(outcome)})

    if not options.source:
        on_done({})
        return Done()
    find = options.resolve or resolve
    return find(context, options.source, socket.AF_UNSPEC, found, options.timeout)


def reachable_from(
    found: list[Endpoint],
    local_endpoints: LocalEndpoints,
    options: ConnectOptions,
    name: str,
) -> list[Endpoint]:
    """The endpoints of `found` for whose family we have a local endpoint.

    Raises BindError if there is none; `name` is the dialled address, for its message.
    """
    if not options.source:
        return found
    reachable = [endpoint for endpoint in found if endpoint.family in local_endpoints]
    if not reachable:
        raise BindError(
            f"could not use {options.source.host or options.source} to reach {name}",
            "give --source an address of this machine, of the same family",
        )
    return reachable


def interleave(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Alternate between the families, beginning with the first endpoint: RFC 8305, section 4."""
    if len(endpoints) < 2:
        return endpoints
    first = [point for point in endpoints if point.family == endpoints[0].family]
    other = [point for point in endpoints if point.family != endpoints[0].family]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [point for point in pairs if point]


class _Race(Pending):
    """Connects to the endpoints of one address, until one has connected or all have failed.

    All callbacks of the loop go through `_step`. Only `_step` ends the race.
    """

    def __init__(
        self,
        context: Context,
        address: Address,
        options: ConnectOptions,
        sockets: SocketOptions,
        local_endpoints: LocalEndpoints,
        deadline: float,
        on_done: OnDone[SocketEnd],
    ) -> None:
        self._loop, self._emit = context.loop, context.emit
        self._name = f"the proxy {address}" if options.proxy else str(address)
        self._options, self._sockets = options, sockets
        self._local_endpoints, self._on_done = local_endpoints, on_done
        self._endpoints: list[Endpoint] = []  # not tried yet
        self._attempts: dict[socket.socket, Endpoint] = {}
        self._retries: dict[socket.socket, Timer] = {}  # of attempts that met a full backlog
        self._failures: list[tuple[Endpoint, OSError]] = []
        self._next: Timer | None = None
        self._search: Pending = Done()
        self._deadline = context.loop.at(deadline, lambda: self._step(self._expire))
        families = sockets.families()
        found = lambda outcome: self._step(lambda: self._begin(outcome))  # noqa: E731
        self._search = (options.resolve or resolve)(context, address, families, found, None)

    def cancel(self) -> None:
        """Close all attempts, and cancel the timers and the lookup."""
        self._deadline.cancel()
        self._search.cancel()
        if self._next:
            self._next.cancel()
        for timer in self._retries.values():
            timer.cancel()
        for sock in self._attempts:
            self._loop.when_writable(sock.fileno(), None)
            sock.close()
        self._attempts.clear()

    def _later(self, delay: float, step: Callable[[], SocketEnd | None]) -> Timer:
        return self._loop.later(delay, lambda: self._step(step))

    def _step(self, step: Callable[[], SocketEnd | None]) -> None:
        """Call `step`. The race ends when it returns a connection or raises an error."""
        try:
            won = step()
        except SockkitError as error:
            self.cancel()
            failure = error  # reported in the next turn, as `dial` may not have returned yet
            self._loop.call_soon(lambda: self._on_done(failure))
        else:
            if won:
                self.cancel()
                self._on_done(won)

    def _begin(self, found: list[Endpoint] | SockkitError) -> None:
        if isinstance(found, SockkitError):
            raise found
        self._endpoints = interleave(
            reachable_from(found, self._local_endpoints, self._options, self._name)
        )
        self._try_next()

    def _try_next(self) -> None:
        """Try the next endpoint. If it fails at once, try the one after it, and so on."""
        if self._next:
            self._next.cancel()
        while self._endpoints:
            endpoint = self._endpoints.pop(0)
            self._emit(Connecting(str(endpoint)))
            try:
                self._attempt(endpoint)
            except OSError as error:
                self._failed(endpoint, error)
                continue
            self._next = self._later(ATTEMPT_DELAY_SECONDS, self._try_next)
            return
        if not self._attempts:
            raise self._failure()

    def _attempt(self, endpoint: Endpoint) -> None:
        if self._options.check and (why := self._options.check(endpoint)):
            raise OSError(errno.ELOOP, why)
        sock = self._sockets.open(endpoint.family, self._emit)
        self._attempts[sock] = endpoint
        try:
            sock.setblocking(False)
            if self._options.resets:
                reset_on_close(sock)
            self._bind(sock, endpoint)
            self._connect(sock, endpoint)
        except OSError:
            self._drop(sock)
            raise

    def _bind(self, sock: socket.socket, endpoint: Endpoint) -> None:
        source = self._local_endpoints.get(endpoint.family)
        if not source:
            return
        self._emit(SocketCall("bind", str(source)))
        try:
            if source.family == socket.AF_UNIX:
                _bind_unix(sock, source, self._sockets)
            else:
                sock.bind(source.address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and len(self._attempts) > 1:
                raise  # another attempt of ours uses that port, and may succeed
            raise BindError(
                f"could not connect from {source}: {reason(error)}",
                _hint(source),
            ) from error

    def _connect(self, sock: socket.socket, endpoint: Endpoint) -> None:
        self._emit(SocketCall("connect", str(endpoint)))
        try:
            sock.connect(endpoint.address)
        except BlockingIOError as error:
            if error.errno == errno.EAGAIN and endpoint.family == socket.AF_UNIX:
                self._retries[sock] = self._later(BACKLOG_RETRY_SECONDS, lambda: self._retry(sock))
                return
        settled = partial(self._step, partial(self._settled, sock))
        self._loop.when_writable(sock.fileno(), settled)

    def _retry(self, sock: socket.socket) -> None:
        try:
            self._connect(sock, self._attempts[sock])
        except OSError as error:
            self._attempt_failed(sock, error)

    def _settled(self, sock: socket.socket) -> SocketEnd | None:
        self._loop.when_writable(sock.fileno(), None)
        endpoint = self._attempts[sock]
        try:
            local = _connected(sock, endpoint)
        except OSError as error:
            self._attempt_failed(sock, error)
            return None
        del self._attempts[sock]
        shown = f"the proxy {endpoint}" if self._options.proxy else str(endpoint)
        remote = to_address(endpoint.address)
        end = SocketEnd(self._loop, sock, Peer(self._options.number, shown), self._emit, remote)
        if self._options.resets:
            end.reset_unless_closed()
        self._emit(Connected(end.peer, show_address(local)))
        if endpoint.family == socket.AF_UNIX:
            _tell_user(sock, end.peer, self._emit)
        return end

    def _attempt_failed(self, sock: socket.socket, error: OSError) -> None:
        self._failed(self._drop(sock), error)
        self._try_next()

    def _drop(self, sock: socket.socket) -> Endpoint:
        sock.close()
        return self._attempts.pop(sock)

    def _failed(self, endpoint: Endpoint, error: OSError) -> None:
        self._failures.append((endpoint, error))
        self._emit(ConnectFailed(str(endpoint), reason(error)))

    def _failure(self) -> SockkitError:
        """The error to report if all attempts have failed."""
        reasons = {reason(error) for _, error in self._failures}
        each = [f"{endpoint} {reason(error)}" for endpoint, error in self._failures]
        why = reasons.pop() if len(reasons) == 1 else ", ".join(each)
        code = self._failures[-1][1].errno
        timed_out = code == errno.ETIMEDOUT
        failure = TimedOut if timed_out else ConnectError
        hint = "it is a datagram socket: use udp-client" if code == errno.EPROTOTYPE else ""
        if is_group(self._failures[-1][0]):
            hint = "a multicast group takes only datagrams: use udp-client"
        elif code == errno.ELOOP:
            hint = "give another one"
        elif code == errno.ECONNREFUSED and _is_file(self._failures[-1][0]):
            hint = "that is not a socket, check the path"
        elif code == errno.EINVAL:  # a link-local address without its interface, ipv6(7)
            hint = "add its interface, as in fe80::1%eth0"
        told = f"could not connect to {self._name}: {why}"
        error = failure(told, hint, kind=self._kind(timed_out))
        error.__cause__ = self._cause()
        return error

    def _cause(self) -> OSError | None:
        """The cause of the failure. A lack of resources on our side comes before other causes."""
        errors = [error for _, error in self._failures]
        return min(errors, key=lambda error: error.errno not in NO_RESOURCES, default=None)

    def _kind(self, silent: bool) -> str:
        """The kind of the failure. Of several kinds, the one that says most about the peer."""
        kinds = [_kind(error) for _, error in self._failures]
        if silent:
            return NO_ANSWER
        return REFUSED if REFUSED in kinds else kinds[-1]

    def _expire(self) -> None:
        why = f" within {show_seconds(self._options.timeout)}"
        if self._failures:  # these say more than the silence of the other endpoints
            told = [f"{endpoint} {reason(error)}" for endpoint, error in self._failures]
            told += [f"{endpoint} no answer{why}" for endpoint in self._attempts.values()]
            why = f": {', '.join(told)}"
        raise TimedOut(
            f"could not connect to {self._name}{why}",
            "allow more time with --connect-timeout",
            kind=NO_ANSWER,
        ) from self._cause()


def _is_file(endpoint: Endpoint) -> bool:
    """Whether there is no socket at the path of a unix endpoint, but something else."""
    path = endpoint.address
    try:
        return endpoint.family == socket.AF_UNIX and not stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):  # an abstract name has a null byte
        return False


def lacks_resources(error: SockkitError) -> bool:
    """Whether the system had no socket for us. Then we know nothing about the peer."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in NO_RESOURCES


def _kind(error: OSError) -> str:
    # The system's words, "protocol wrong type for socket", say nothing to most people.
    return "takes datagrams" if error.errno == errno.EPROTOTYPE else failure_kind(error)


def _hint(source: Endpoint) -> str:
    if source.family == socket.AF_UNIX:
        return "use another --source unix:/PATH, or remove it"
    return "give --source an address of this machine and a free port"


def _bind_unix(sock: socket.socket, source: Endpoint, sockets: SocketOptions) -> None:
    """Bind to a unix address, and remove its file: nobody connects to a client."""
    from sockkit.net import unix

    if remove := unix.bind(sock, source, sockets):
        remove()


def _tell_user(sock: socket.socket, peer: Peer, emit: Emit) -> None:
    from sockkit.net.unix_users import peer_credentials

    if credentials := peer_credentials(sock):
        emit(PeerUser(peer, *credentials))


def _connected(sock: socket.socket, endpoint: Endpoint) -> Any:
    """The local address of a connected socket. Raises OSError if connecting failed."""
    try:
        # If the peer has sent something and reset at once, reading SO_ERROR would clear the reset.
        # A peek does not: the bytes can still be read, and then the reset.
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    local, remote = sock.getsockname(), endpoint.address
    if sock.family != socket.AF_UNIX and local[:2] == remote[:2]:
        # Nobody listens there. The system chose that same port for us, and TCP connected our socket
        # to itself.
        raise os_error(errno.ECONNREFUSED)
    return local
