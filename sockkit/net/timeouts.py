"""Bounds on how long a server waits for its first client, and for datagrams from any peer.

When a bound is exceeded, the loop's `run` raises TimedOut, which ends the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sockkit.core.ending import idle_error
from sockkit.core.units import show_seconds
from sockkit.errors import TimedOut
from sockkit.net.loop import Loop, Timer

if TYPE_CHECKING:
    from sockkit.net.tcp.listen import Bound
    from sockkit.net.udp.datagrams import DatagramSocket


_LONGER = "check the address that clients use, or allow more time with --connect-timeout"


@contextmanager
def first_client(loop: Loop, seconds: float | None, *sockets: Bound) -> Iterator[None]:
    """Raise TimedOut in `loop` if none of `sockets` gets a client within `seconds`.

    A connection counts once it is admitted and its TLS handshake, if any, is done; a datagram once
    its sender is admitted. Without `seconds` there is no bound.
    """
    if seconds is None:
        yield
        return
    late_at: float | None = None  # from when the loop runs

    def check() -> float | None:
        nonlocal late_at
        if any(each.used for each in sockets):
            return None
        if late_at is None:
            late_at = loop.now + seconds
        if loop.now >= late_at:
            first, bound = sockets[0], show_seconds(seconds)
            came = (
                "no datagram came to"
                if first.transport in ("udp", "unix-datagram")
                else "no client connected to"
            )
            raise TimedOut(f"{came} {first.address} within {bound}", _LONGER)
        return late_at

    with _checking(loop, check):
        yield


@contextmanager
def bounded_silence(loop: Loop, seconds: float | None, sock: DatagramSocket) -> Iterator[None]:
    """Raise TimedOut in `loop` once `sock` has received and sent nothing for `seconds`."""
    if seconds is None:
        yield
        return
    began: float | None = None

    def check() -> float:
        nonlocal began
        if began is None:
            began = loop.now
        silent_at = max(began, sock.active_at) + seconds
        if loop.now >= silent_at:
            raise idle_error(seconds)
        return silent_at

    with _checking(loop, check):
        yield


@contextmanager
def _checking(loop: Loop, check: Callable[[], float | None]) -> Iterator[None]:
    """Call `check` as soon as `loop` runs, and again at each time that it returns."""
    timer: Timer

    def run() -> None:
        nonlocal timer
        when = check()
        if when is not None:
            timer = loop.at(when, run)

    timer = loop.later(0, run)
    try:
        yield
    finally:
        timer.cancel()
