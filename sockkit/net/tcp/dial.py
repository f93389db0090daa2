"""Connecting: the first of a name's addresses to answer wins (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import errno
import os
import socket
from itertools import chain, zip_longest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.units import show_seconds
from sockkit.errors import BindError, ConnectError, ResolveError, SockkitError, TimedOut
from sockkit.events import Connected, ConnectFailed, Connecting, Emit, Peer, Step
from sockkit.net.ends.end import words
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop, Timer
from sockkit.net.options import SocketOptions
from sockkit.net.resolve import Endpoint, resolve_on, resolve_soon, show_address, unix_endpoint
from sockkit.values import Value

ATTEMPT_DELAY = 0.25  # seconds before the next address is tried too, RFC 8305 section 5
BACKLOG_RETRY = 0.05  # a unix listener whose backlog is full says EAGAIN, and never "ready"


class ConnectOptions(Value):
    """`timeout` bounds name and connection together, in seconds. `source` binds our end."""

    timeout: float = 10.0
    source: HostPort | None = None


def connect(
    loop: Loop, address: Address, options: ConnectOptions, sockets: SocketOptions, emit: Emit
) -> SocketEnd:
    """A stream to `address`. Runs the loop until it stands.

    Raises ResolveError, ConnectError, TimedOut, and BindError for a bad `source`.
    """
    sources = our_ends(loop, options)
    race = _Race(loop, address, options, sockets, emit)
    try:
        race.start(sources)
        loop.run()
        return race.winner()
    finally:
        race.close()


def our_ends(loop: Loop, options: ConnectOptions) -> dict[int, Endpoint]:
    """Our end by family, of those that it has an address of."""
    found: dict[int, Endpoint] = {}
    for family in (socket.AF_INET, socket.AF_INET6) if options.source else ():
        try:
            assert options.source
            found[family] = resolve_on(loop, options.source, family, timeout=options.timeout)[0]
        except ResolveError:
            pass  # the name, or the address, is of another family
    return found


def reachable(
    found: list[Endpoint], sources: dict[int, Endpoint], options: ConnectOptions, address: Address
) -> list[Endpoint]:
    """Those of `found` that a socket of ours can be connected to. Raises BindError for none."""
    if not options.source:
        return found
    usable = [endpoint for endpoint in found if endpoint.family in sources]
    if not usable:
        raise BindError(
            f"could not use {options.source.host} to reach {address}",
            "give --source an address of this machine, of the same family",
        )
    return usable


def interleave(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Families in turn, beginning with the resolver's first choice, RFC 8305 section 4."""
    if not endpoints:
        return []
    first = [point for point in endpoints if point.family == endpoints[0].family]
    other = [point for point in endpoints if point.family != endpoints[0].family]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [point for point in pairs if point]


class _Race:
    def __init__(
        self,
        loop: Loop,
        address: Address,
        options: ConnectOptions,
        sockets: SocketOptions,
        emit: Emit,
    ) -> None:
        self._loop, self._address, self._options = loop, address, options
        self._sockets, self._emit = sockets, emit
        self._candidates: list[Endpoint] = []
        self._sources: dict[int, Endpoint] = {}
        self._attempts: dict[socket.socket, Endpoint] = {}
        self._failures: list[tuple[Endpoint, str]] = []
        self._timed_out = False
        self._won: SocketEnd | None = None
        self._next: Timer | None = None
        self._closed = False
        self._deadline = loop.later(options.timeout, self._expire)

    def start(self, sources: dict[int, Endpoint]) -> None:
        """`sources` is our end by family, where the options have a source."""
        self._sources = sources
        if isinstance(self._address, UnixPath):
            self._begin([unix_endpoint(self._address)])
        else:
            resolve_soon(self._loop, self._address, self._sockets.families(), self._begin)

    def winner(self) -> SocketEnd:
        assert self._won
        return self._won

    def close(self) -> None:
        self._deadline.cancel()
        if self._next:
            self._next.cancel()
        for sock in self._attempts:
            self._loop.when_writable(sock.fileno(), None)
            sock.close()
        self._attempts.clear()
        self._closed = True

    def _begin(self, found: list[Endpoint] | ResolveError) -> None:
        if self._closed:
            return  # the resolver was too late
        if isinstance(found, ResolveError):
            raise found
        found = reachable(found, self._sources, self._options, self._address)
        self._candidates = interleave(found)
        self._try_next()

    def _try_next(self) -> None:
        if self._next:
            self._next.cancel()
        if self._won:
            return
        if self._candidates:
            self._next = self._loop.later(ATTEMPT_DELAY, self._try_next)
            self._attempt(self._candidates.pop(0))
        elif not self._attempts:
            raise self._failure()

    def _attempt(self, endpoint: Endpoint) -> None:
        self._emit(Connecting(str(endpoint)))
        try:
            sock = self._sockets.open(endpoint.family, self._emit)
        except OSError as error:
            return self._failed(endpoint, error)
        self._attempts[sock] = endpoint
        sock.setblocking(False)
        if mine := self._sources.get(endpoint.family):
            try:
                sock.bind(mine.address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and len(self._attempts) > 1:
                    return self._lost(sock, error)  # by an attempt of ours, which may succeed
                raise BindError(
                    f"could not connect from {mine}: {words(error)}",
                    "give --source an address of this machine and a free port",
                ) from error
            self._emit(Step("bind", str(mine)))
        return self._connect(sock, endpoint)

    def _connect(self, sock: socket.socket, endpoint: Endpoint) -> None:
        self._emit(Step("connect", str(endpoint)))
        try:
            sock.connect(endpoint.address)
        except BlockingIOError as error:
            if error.errno == errno.EAGAIN and endpoint.family == socket.AF_UNIX:
                self._loop.later(BACKLOG_RETRY, lambda: self._again(sock, endpoint))
                return None
        except OSError as error:
            return self._lost(sock, error)
        return self._loop.when_writable(sock.fileno(), lambda: self._settled(sock))

    def _again(self, sock: socket.socket, endpoint: Endpoint) -> None:
        if sock in self._attempts:
            self._connect(sock, endpoint)

    def _settled(self, sock: socket.socket) -> None:
        self._loop.when_writable(sock.fileno(), None)
        try:
            # Unlike SO_ERROR this leaves the reset of a peer that answered at once where it
            # is: behind the bytes it sent.
            sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            pass
        except OSError as error:
            return self._lost(sock, error)
        local, remote = sock.getsockname(), self._attempts[sock].address
        if sock.family != socket.AF_UNIX and local[:2] == remote[:2]:
            # Nobody listens: our own port was the one asked for, and TCP let us meet ourselves.
            return self._lost(sock, OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))
        endpoint = self._attempts.pop(sock)
        self._won = SocketEnd(self._loop, sock, Peer(0, str(endpoint)), self._emit)
        self._emit(Connected(self._won.peer, show_address(local)))
        return self._loop.stop()

    def _lost(self, sock: socket.socket, error: OSError) -> None:
        endpoint = self._attempts.pop(sock)
        sock.close()
        self._failed(endpoint, error)

    def _failed(self, endpoint: Endpoint, error: OSError) -> None:
        self._timed_out = error.errno == errno.ETIMEDOUT
        self._failures.append((endpoint, words(error)))
        self._emit(ConnectFailed(str(endpoint), words(error)))
        self._try_next()

    def _failure(self) -> SockkitError:
        reasons = {why for _, why in self._failures}
        why = (
            reasons.pop()
            if len(reasons) == 1
            else ", ".join(f"{endpoint} {why}" for endpoint, why in self._failures)
        )
        kind = TimedOut if self._timed_out else ConnectError
        return kind(f"could not connect to {self._address}: {why}")

    def _expire(self) -> None:
        why = f" within {show_seconds(self._options.timeout)}"
        if self._failures:  # of other addresses: they say more than the one that is silent
            told = [*self._failures, *((end, f"no answer{why}") for end in self._attempts.values())]
            why = ": " + ", ".join(f"{endpoint} {reason}" for endpoint, reason in told)
        raise TimedOut(
            f"could not connect to {self._address}{why}", "give it longer with --connect-timeout"
        )
