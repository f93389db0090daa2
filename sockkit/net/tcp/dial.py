"""Dialling: the first of a name's addresses to answer wins (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Generator
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from sockkit.core.address import Address, HostPort
from sockkit.core.units import show_seconds
from sockkit.errors import BindError, ConnectError, ResolveError, SockkitError, TimedOut
from sockkit.events import Connected, ConnectFailed, Connecting, Peer, SocketCall
from sockkit.net.context import Context
from sockkit.net.ends.end import words
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Timer
from sockkit.net.openers import opener, resolve
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, show_address
from sockkit.net.waiting import Done, OnDone, Pending, Start, Steps
from sockkit.values import Value

ATTEMPT_DELAY = 0.25  # seconds before the next address is tried too, RFC 8305 section 5
BACKLOG_RETRY = 0.05  # a unix listener whose backlog is full says EAGAIN, and never "ready"

Sources = dict[int, Endpoint]  # our end by family, of those that it has an address of


class ConnectOptions(Value):
    """`timeout` bounds name and connection together, in seconds. `source` binds our end."""

    timeout: float = 10.0
    source: HostPort | None = None


def dial(
    context: Context,
    address: Address,
    options: ConnectOptions,
    sockets: SocketOptions,
    on_done: OnDone[SocketEnd],
) -> Pending:
    """Connect to `address`, and hand the connection over to `on_done`, who then owns it.

    Failures are ResolveError, ConnectError, TimedOut, UsageError, and BindError for a bad `source`.
    The outcome is told by the loop, once, never before this returns.
    """
    if special := opener(address).dial:
        return special(context, address, options, sockets, on_done)
    return Steps(_dial(context, address, options, sockets), on_done)


def _dial(
    context: Context, address: Address, options: ConnectOptions, sockets: SocketOptions
) -> Generator[Start[Any], Any, SocketEnd]:
    sources: Sources = yield partial(find_sources, context, options)
    won: SocketEnd = yield partial(_race, context, address, options, sockets, sources)
    return won


def find_sources(context: Context, options: ConnectOptions, on_done: OnDone[Sources]) -> Pending:
    """Find our end, of each family that the source has an address of."""

    def found(outcome: list[Endpoint] | SockkitError) -> None:
        if isinstance(outcome, ResolveError):
            on_done({})  # no family will do: `usable` says so
        elif isinstance(outcome, SockkitError):
            on_done(outcome)
        else:
            on_done({endpoint.family: endpoint for endpoint in reversed(outcome)})

    if not options.source:
        on_done({})
        return Done()
    return resolve(context, options.source, socket.AF_UNSPEC, found, options.timeout)


def usable(
    found: list[Endpoint], sources: Sources, options: ConnectOptions, address: Address
) -> list[Endpoint]:
    """Those of `found` that a socket of ours can be connected to. Raises BindError for none."""
    if not options.source:
        return found
    reachable = [endpoint for endpoint in found if endpoint.family in sources]
    if not reachable:
        raise BindError(
            f"could not use {options.source.host} to reach {address}",
            "give --source an address of this machine, of the same family",
        )
    return reachable


def interleave(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Families in turn, beginning with the resolver's first choice, RFC 8305 section 4."""
    if not endpoints:
        return []
    first = [point for point in endpoints if point.family == endpoints[0].family]
    other = [point for point in endpoints if point.family != endpoints[0].family]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [point for point in pairs if point]


class _Race(Pending):
    """Attempts at the endpoints of one address, until one of them stands or none is left.

    Whatever the loop calls here is a `_step`: it alone ends the race.
    """

    def __init__(
        self,
        context: Context,
        address: Address,
        options: ConnectOptions,
        sockets: SocketOptions,
        sources: Sources,
        on_done: OnDone[SocketEnd],
    ) -> None:
        self._loop, self._emit = context.loop, context.emit
        self._address, self._options, self._sockets = address, options, sockets
        self._sources, self._on_done = sources, on_done
        self._endpoints: list[Endpoint] = []  # that are still to be tried
        self._attempts: dict[socket.socket, Endpoint] = {}
        self._retries: dict[socket.socket, Timer] = {}  # of attempts that wait for a backlog
        self._failures: list[tuple[Endpoint, OSError]] = []
        self._next: Timer | None = None
        self._search: Pending = Done()
        self._deadline = self._later(options.timeout, self._expire)

    def start(self, context: Context) -> None:
        families = self._sockets.families()
        self._search = resolve(
            context, self._address, families, lambda found: self._step(lambda: self._begin(found))
        )

    def cancel(self) -> None:
        """Leave nothing on the loop: no attempt, no timer, no search for an address."""
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
        """Do `step`. The connection that it returns has won; what it raises ends the race, too."""
        try:
            won = step()
        except SockkitError as error:
            self.cancel()
            failure = error  # told in a turn of the loop, as the step may be one of `start`
            self._loop.call_soon(lambda: self._on_done(failure))
        else:
            if won:
                self.cancel()
                self._on_done(won)

    def _begin(self, found: list[Endpoint] | SockkitError) -> None:
        if isinstance(found, SockkitError):
            raise found
        self._endpoints = interleave(usable(found, self._sources, self._options, self._address))
        self._try_next()

    def _try_next(self) -> None:
        """Attempt the next endpoint that does not fail at once."""
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
            self._next = self._later(ATTEMPT_DELAY, self._try_next)
            return
        if not self._attempts:
            raise self._failure()

    def _attempt(self, endpoint: Endpoint) -> None:
        sock = self._sockets.open(endpoint.family, self._emit)
        self._attempts[sock] = endpoint
        try:
            sock.setblocking(False)
            self._bind(sock, endpoint)
            self._connect(sock, endpoint)
        except OSError:
            self._drop(sock)
            raise

    def _bind(self, sock: socket.socket, endpoint: Endpoint) -> None:
        source = self._sources.get(endpoint.family)
        if not source:
            return
        try:
            sock.bind(source.address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and len(self._attempts) > 1:
                raise  # by an attempt of ours, which may succeed
            raise BindError(
                f"could not connect from {source}: {words(error)}",
                "give --source an address of this machine and a free port",
            ) from error
        self._emit(SocketCall("bind", str(source)))

    def _connect(self, sock: socket.socket, endpoint: Endpoint) -> None:
        self._emit(SocketCall("connect", str(endpoint)))
        try:
            sock.connect(endpoint.address)
        except BlockingIOError as error:
            if error.errno == errno.EAGAIN and endpoint.family == socket.AF_UNIX:
                self._retries[sock] = self._later(BACKLOG_RETRY, lambda: self._again(sock))
                return
        settled = partial(self._step, partial(self._settled, sock))
        self._loop.when_writable(sock.fileno(), settled)

    def _again(self, sock: socket.socket) -> None:
        try:
            self._connect(sock, self._attempts[sock])
        except OSError as error:
            self._lost(sock, error)

    def _settled(self, sock: socket.socket) -> SocketEnd | None:
        self._loop.when_writable(sock.fileno(), None)
        endpoint = self._attempts[sock]
        try:
            local = _connected(sock, endpoint)
        except OSError as error:
            self._lost(sock, error)
            return None
        del self._attempts[sock]
        end = SocketEnd(self._loop, sock, Peer(0, str(endpoint)), self._emit)
        self._emit(Connected(end.peer, show_address(local)))
        return end

    def _lost(self, sock: socket.socket, error: OSError) -> None:
        self._failed(self._drop(sock), error)
        self._try_next()

    def _drop(self, sock: socket.socket) -> Endpoint:
        sock.close()
        return self._attempts.pop(sock)

    def _failed(self, endpoint: Endpoint, error: OSError) -> None:
        self._failures.append((endpoint, error))
        self._emit(ConnectFailed(str(endpoint), words(error)))

    def _failure(self) -> SockkitError:
        """Why there is no connection, when every attempt has failed."""
        reasons = {words(error) for _, error in self._failures}
        each = [f"{endpoint} {words(error)}" for endpoint, error in self._failures]
        why = reasons.pop() if len(reasons) == 1 else ", ".join(each)
        timed_out = self._failures[-1][1].errno == errno.ETIMEDOUT
        kind = TimedOut if timed_out else ConnectError
        return kind(f"could not connect to {self._address}: {why}")

    def _expire(self) -> None:
        why = f" within {show_seconds(self._options.timeout)}"
        if self._failures:  # of other addresses: they say more than the one that is silent
            told = [f"{endpoint} {words(error)}" for endpoint, error in self._failures]
            told += [f"{endpoint} no answer{why}" for endpoint in self._attempts.values()]
            why = f": {', '.join(told)}"
        raise TimedOut(
            f"could not connect to {self._address}{why}", "give it longer with --connect-timeout"
        )


def _race(
    context: Context,
    address: Address,
    options: ConnectOptions,
    sockets: SocketOptions,
    sources: Sources,
    on_done: OnDone[SocketEnd],
) -> Pending:
    race = _Race(context, address, options, sockets, sources, on_done)
    race.start(context)
    return race


def _connected(sock: socket.socket, endpoint: Endpoint) -> Any:
    """Our end of a connection that stands. Raises OSError for one that does not."""
    try:
        # Unlike SO_ERROR this leaves the reset of a peer that answered at once where it
        # is: behind the bytes it sent.
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    local, remote = sock.getsockname(), endpoint.address
    if sock.family != socket.AF_UNIX and local[:2] == remote[:2]:
        # Nobody listens: our own port was the one asked for, and TCP let us meet ourselves.
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    return local
