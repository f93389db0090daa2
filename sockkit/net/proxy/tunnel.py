"""A connection through a proxy: we connect to the proxy, and it connects us to the target.

We never read a byte that may come from the target: if we know the size of the proxy's answer, we
read exactly that size, and we read the head of an HTTP answer byte by byte. So we can hand over the
end as it is, and TLS and the kernel's lanes work on it as on any other.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address, HostPort, show
from sockkit.core.proxy import Proxy
from sockkit.core.units import show_seconds
from sockkit.errors import (
    ConnectError,
    ProxyError,
    ResolveError,
    SendError,
    SockkitError,
    TimedOut,
)
from sockkit.events import Peer, Tunnelled
from sockkit.net.context import Context
from sockkit.net.ends.end import PeerEnd
from sockkit.net.loop import Loop
from sockkit.net.openers import resolve
from sockkit.net.proxy.protocols import HEAD, Conversation, TargetRefused, conversation
from sockkit.net.waiting import OnDone, Pending, Start

if TYPE_CHECKING:
    from sockkit.net.tcp.dial import ConnectOptions

_HINT = "start the proxy first, or check --proxy"
MAX_HEAD_BYTES = 64 * 1024  # of an HTTP proxy's answer; we use only its first line


def dial_through(
    context: Context,
    options: ConnectOptions,
    address: Address,
    family: int,
    deadline: float,
    connect: Start[PeerEnd],
) -> Generator[Start[Any], Any, PeerEnd]:
    """The steps of dialling `address` through the proxy of `options`.

    `connect` connects to the proxy. If we resolve the address ourselves, we try its endpoints in
    turn, each with a new connection to the proxy. Raises ProxyError, ResolveError, TimedOut and
    UsageError.
    """
    proxy = options.proxy
    assert proxy
    wanted = proxy.target(address)
    for target in (targets := (yield from _targets(context, proxy, wanted, family, deadline))):
        talk = conversation(proxy, target)
        end: PeerEnd = yield from _reach(proxy, connect)
        late = _late(proxy, target, options.timeout)
        try:
            yield partial(Tunnel, context.loop, end, proxy, talk, (deadline, late))
        except TargetRefused:
            if target is targets[-1]:
                raise
        else:
            end.peer = Peer(0, f"{show(wanted.host, wanted.port)} through {proxy}")
            end.remote = wanted
            context.emit(Tunnelled(end.peer))
            return end
    raise AssertionError(f"{address} was resolved to nothing")


def _late(proxy: Proxy, target: HostPort, timeout: float) -> TimedOut:
    within = f"within {show_seconds(timeout)}"
    return TimedOut(
        f"the proxy {proxy.address} did not connect to {target} {within}",
        "allow more time with --connect-timeout",
    )


def _targets(
    context: Context, proxy: Proxy, address: HostPort, family: int, deadline: float
) -> Generator[Start[Any], Any, list[HostPort]]:
    """The targets to ask the proxy for, best first: the name, or the addresses of the name."""
    if proxy.resolves:
        return [address]
    if proxy.protocol == "SOCKS4":
        family = socket.AF_INET
    left = max(0.0, deadline - context.loop.now)
    found = yield lambda done: resolve(context, address, family, done, left)
    return [HostPort(endpoint.address[0].partition("%")[0], address.port) for endpoint in found]


def _reach(proxy: Proxy, connect: Start[PeerEnd]) -> Generator[Start[Any], Any, PeerEnd]:
    """Connect to the proxy. Raises ProxyError and TimedOut."""
    try:
        end: PeerEnd = yield connect
    except ConnectError as error:
        raise ProxyError(str(error.args[0]), error.hint or _HINT) from error
    except ResolveError as error:
        told = f"could not connect to the proxy {proxy.address}: {error.args[0]}"
        raise ProxyError(told, error.hint or "check --proxy") from error
    return end


class Tunnel(Pending):
    """Holds the conversation `talk` over `end`, which it owns until it calls `on_done`.

    `expiry` is a time, and the error if the conversation lasts longer.
    """

    def __init__(
        self,
        loop: Loop,
        end: PeerEnd,
        proxy: Proxy,
        talk: Conversation,
        expiry: tuple[float, TimedOut],
        on_done: OnDone[None],
    ) -> None:
        self._end, self._proxy, self._talk, self._on_done = end, proxy, talk, on_done
        self._ended = False
        self._unsent, self._wanted = next(talk)
        self._got = bytearray()
        deadline, late = expiry
        self._heard = False
        self._timer = loop.at(deadline, lambda: self._expire(late))
        loop.call_soon(self._go_on)

    def cancel(self) -> None:
        if not self._ended:
            self._release()
            self._end.close()

    def _release(self) -> None:
        """Stop using the end."""
        self._ended = True
        self._timer.cancel()
        self._end.when_readable(None)
        self._end.when_writable(None)

    def _finish(self, outcome: SockkitError | None) -> None:
        self._release()
        if outcome:
            self._end.close()
        self._on_done(outcome)

    def _expire(self, late: TimedOut) -> None:
        if not self._heard:
            late.hint = f"does it speak {self._proxy.protocol}? If so, {late.hint}"
        self._finish(late)

    def _go_on(self) -> None:
        if self._ended:
            return
        try:
            while True:
                self._send()
                self._receive()
                self._unsent, self._wanted = self._talk.send(bytes(self._got))
                self._got.clear()
        except BlockingIOError:
            self._end.when_writable(self._go_on if self._unsent else None)
            self._end.when_readable(None if self._unsent else self._go_on)
        except StopIteration:
            self._finish(None)
        except ProxyError as error:
            self._finish(error)
        except SockkitError as error:
            self._finish(ProxyError(str(error)))

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._end.write(self._unsent) :]
        except SendError:
            self._unsent = b""  # the proxy's answer, sent before it closed, says more

    def _receive(self) -> None:
        """Read the wanted part of the answer, and not one byte more."""
        while missing := self._missing():
            buffer = bytearray(missing)
            size = self._end.read_into(memoryview(buffer))
            if not size:
                told = f"the proxy {self._proxy.address} closed the connection"
                raise ProxyError(told, f"does it speak {self._proxy.protocol}?")
            self._got += buffer[:size]
            self._heard = True

    def _missing(self) -> int:
        """The most bytes to read now."""
        if self._wanted != HEAD:
            return self._wanted - len(self._got)
        if len(self._got) > MAX_HEAD_BYTES:
            told = f"the proxy {self._proxy.address} sends an endless header"
            raise ProxyError(told, f"does it speak {self._proxy.protocol}?")
        return not self._got.endswith((b"\n\r\n", b"\n\n"))
