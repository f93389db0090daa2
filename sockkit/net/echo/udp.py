"""The responder over UDP: answers each datagram, when the scheduler has time for its peer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sockkit.core.peers import MAX_PEERS
from sockkit.errors import ReceiveError, SockkitError
from sockkit.net.context import Context
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.echo.tcp import EchoOptions
from sockkit.net.endpoint import show_address
from sockkit.net.scheduler import Scheduler, Task
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.service import DatagramService

MAX_HELD_DATAGRAMS = 64  # datagrams of one peer that wait for an answer
MAX_HELD_BYTES = 4 * 1024 * 1024  # datagrams of all peers that wait for an answer
MAX_DELAYED_ANSWERS = 1024  # answers that wait for their delay; further ones are dropped


class UdpEcho:
    """Answers the datagrams that `sock` receives. Does not own it."""

    def __init__(
        self, context: Context, sock: DatagramSocket, options: EchoOptions, scheduler: Scheduler
    ) -> None:
        self._scheduler = scheduler
        self._tasks: dict[Any, _PeerTask] = {}  # of peers that wait or are costly, and some more
        self._held_bytes = 0  # of datagrams that wait for an answer
        self._delay = options.delay
        self._answer = options.responder().answer if options.responder else None
        self._one_by_one = bool(options.responder or options.drop or options.delay)
        self._should_drop = _random_drop(options.drop)
        self._service = DatagramService(context, sock, self._received)
        self._delayed = DelayQueue[tuple[bytes, Any]](
            context.loop, options.delay, lambda answer: self._service.send(*answer)
        )

    def start(self) -> None:
        self._service.start()

    def _received(self, got: Received) -> None:
        if got.cut:
            problem = got.problem(show_address(got.address))
            self._service.failed(ReceiveError(problem, kind="a datagram was truncated"))
        if not self._service.answerable(got):
            return
        if self._one_by_one:
            for datagram in got.datagrams():
                self._respond(datagram, got.address)
        else:  # one call sends all datagrams that one call has received
            self._service.outbox.put(got.data, got.size, got.address)

    def _respond(self, data: bytes, to: Any) -> None:
        if self._should_drop():
            return
        if self._answer:
            self._schedule(data, to)
        else:
            self._send(data, to)

    def _schedule(self, data: bytes, to: Any) -> None:
        """Have the scheduler make the answer. It nearly always does so at once."""
        task = self._tasks.get(to) or _PeerTask(self, to)
        if len(task.held) >= MAX_HELD_DATAGRAMS or self._held_bytes > MAX_HELD_BYTES:
            self._report_lost("datagrams come faster than they can be answered")
            return
        task.held.append(data)
        self._held_bytes += len(data)
        self._scheduler.schedule(task)
        if task.waiting or self._scheduler.is_costly(task):
            self._tasks.setdefault(to, task)
            if len(self._tasks) > MAX_PEERS:
                del self._tasks[next(iter(self._tasks))]

    def answer(self, data: bytes, to: Any) -> None:
        """Make the answer to a datagram that was held, and send it."""
        assert self._answer
        self._held_bytes -= len(data)
        self._send(self._answer(data), to)

    def _send(self, data: bytes, to: Any) -> None:
        if not self._delay:
            self._service.send(data, to)
        elif len(self._delayed) < MAX_DELAYED_ANSWERS:
            self._delayed.put((data, to))
        else:
            self._report_lost(f"more than {MAX_DELAYED_ANSWERS} delayed answers are waiting")

    def _report_lost(self, why: str) -> None:
        told = f"{why}: some are dropped"
        self._service.failed(SockkitError(told, kind=told))


class _PeerTask(Task):
    """The answers for one peer. `held` are its datagrams that wait for an answer."""

    def __init__(self, echo: UdpEcho, address: Any) -> None:
        self._echo, self._address = echo, address
        self.held: deque[bytes] = deque()

    def serve(self, should_yield: Callable[[], bool]) -> bool:
        while self.held:
            self._echo.answer(self.held.popleft(), self._address)
            if should_yield():
                break
        return bool(self.held)


def _random_drop(share: float) -> Callable[[], bool]:
    """A function that says whether to drop the next datagram: True for a `share` of them."""
    if not share:
        return lambda: False
    from random import random  # importing it takes 2 ms, and few runs need it

    return lambda: random() < share
