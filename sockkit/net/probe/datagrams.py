"""Asks a target over UDP. If it answers, it is open; if it is silent, we cannot tell."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

from sockkit.core.address import Address
from sockkit.core.replies import Question, Reply
from sockkit.core.units import show_seconds
from sockkit.errors import NO_ANSWER, ConnectError, SockkitError, TimedOut
from sockkit.events import ConnectFailed, TargetChosen
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.loop import Timer
from sockkit.net.probe.attempt import MIN_SECONDS, AttemptOptions
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import Route, UdpOptions, connect_datagrams, find_routes
from sockkit.net.waiting import OnDone, Pending, Start, Steps

Aims = Iterator[tuple[DatagramSocket, Endpoint]]


def ask_by_datagram(
    context: Context, options: AttemptOptions, address: Address, on_done: OnDone[float]
) -> Pending:
    """Call `on_done` with the seconds that the answer took.

    It gets ConnectError if the target refuses, and TimedOut if the target is silent.
    """
    return Steps(_steps(context, options, address), on_done)


def _steps(
    context: Context, options: AttemptOptions, address: Address
) -> Generator[Start[Any], Any, float]:
    deadline = context.loop.now + options.connect.timeout
    routes: list[Route] = yield partial(
        find_routes, context, address, options.connecting, options.sockets
    )
    left = max(deadline - context.loop.now, MIN_SECONDS)
    aims = connect_datagrams(context, address, routes, options.sockets, UdpOptions())
    seconds: float = yield partial(
        _Exchange, context, aims, options.question or Question(), _silent(address, options), left
    )
    return seconds


def _silent(address: Address, options: AttemptOptions) -> TimedOut:
    within = show_seconds(options.connect.timeout)
    return TimedOut(
        f"no answer from {address} within {within}",
        "it may be open and silent, or filtered: UDP cannot tell",
        kind=NO_ANSWER,
    )


class _Exchange(Pending):
    """Sends one datagram, and waits for an answer. If an endpoint refuses, it tries the next."""

    def __init__(
        self,
        context: Context,
        aims: Aims,
        question: Question,
        silent: TimedOut,
        timeout: float,
        on_done: OnDone[float],
    ) -> None:
        self._emit, self._aims, self._question = context.emit, aims, question
        self._on_done: OnDone[float] | None = on_done
        self._failure: SockkitError = silent
        self._sock: DatagramSocket | None = None
        self._to = ""
        self._timer: Timer = context.loop.later(timeout, lambda: self._finish(self._failure))
        self._began = time.perf_counter()
        self._aim(None)

    def cancel(self) -> None:
        self._on_done = None
        self._timer.cancel()
        if self._sock:
            self._sock.close()

    def _finish(self, outcome: float | SockkitError) -> None:
        on_done = self._on_done
        self.cancel()
        if on_done:
            on_done(outcome)

    def _aim(self, refusal: SockkitError | None) -> None:
        """Send to the next endpoint. If there is none, `refusal` is the outcome."""
        try:
            found = next(self._aims, None)
            if found:
                self._send(*found)
            elif refusal:
                self._finish(refusal)
        except ConnectError as error:
            self._refused(error)
        except SockkitError as error:
            self._finish(error)

    def _send(self, sock: DatagramSocket, to: Endpoint) -> None:
        self._sock, self._to = sock, str(to)
        self._emit(TargetChosen(self._to, sock.address))
        sock.when_readable(self._read)
        data, group = self._question.send, None if sock.connected else to.address
        sock.send(data, max(len(data), 1), group)

    def _read(self) -> None:
        assert self._sock
        try:
            datagrams = self._sock.receive().datagrams()
        except BlockingIOError:
            return
        except ConnectError as error:
            self._refused(error)
            return
        except SockkitError as error:
            self._finish(error)
            return
        for data in datagrams:
            self._judge(data)

    def _judge(self, data: bytes) -> None:
        """Finish if a datagram matches. If not, go on: a later one may match.

        One receive may return many. Once the attempt is over, we search no more, as that is slow.
        """
        if not self._on_done:
            return
        reply = Reply(self._question.pattern)
        reply.feed(data)
        try:
            if reply.matches():
                self._finish(time.perf_counter() - self._began)
            else:
                self._failure = reply.mismatch(self._to)
        except SockkitError as error:
            self._finish(error)

    def _refused(self, error: SockkitError) -> None:
        if self._sock:
            self._emit(ConnectFailed(self._to, error.why))
            self._sock.close()
            self._sock = None
        self._aim(error)
