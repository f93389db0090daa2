"""The responder's datagrams: each gets its answer, in its sender's turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sockkit.core.peers import MAX_PEERS
from sockkit.errors import ReceiveError, SockkitError
from sockkit.net.context import Context
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.echo.tcp import EchoOptions
from sockkit.net.echo.turns import Asker, Turns
from sockkit.net.resolve import show_address
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.service import DatagramService

MAX_HELD_DATAGRAMS = 64  # of one sender that wait for their answers to be made
MAX_HELD_BYTES = 4 * 1024 * 1024  # of all senders
MAX_DELAYED_ANSWERS = 1024  # that wait for their time; one more is dropped


class UdpEcho:
    """Answers every datagram of `sock`, which it does not own."""

    def __init__(
        self, context: Context, sock: DatagramSocket, options: EchoOptions, turns: Turns
    ) -> None:
        self._turns = turns
        self._senders: dict[Any, _Sender] = {}  # those that wait or are costly, and some more
        self._held_bytes = 0  # of datagrams whose answers are still to be made
        self._delay = options.delay
        self._answer = options.responder().answer if options.responder else None
        self._each = bool(options.responder or options.drop or options.delay)
        self._drops = _dropping(options.drop)
        self._service = DatagramService(context, sock, self._received)
        self._late = DelayQueue[tuple[bytes, Any]](
            context.loop, options.delay, lambda late: self._service.send(*late)
        )

    def start(self) -> None:
        self._service.start()

    def _received(self, got: Received) -> None:
        if got.cut:
            problem = got.problem(show_address(got.address))
            self._service.failed(ReceiveError(problem, kind="a datagram was cut"))
        if not self._service.answerable(got):
            return
        if self._each:
            for datagram in got.datagrams():
                self._respond(datagram, got.address)
        else:  # as many as came in one call go out in one
            self._service.outbox.put(got.data, got.size, got.address)

    def _respond(self, data: bytes, to: Any) -> None:
        if self._drops():
            return
        if self._answer:
            self._ask(data, to)
        else:
            self._send(data, to)

    def _ask(self, data: bytes, to: Any) -> None:
        """Answer in the sender's turn, which nearly always is now."""
        sender = self._senders.get(to) or _Sender(self, to)
        if len(sender.held) >= MAX_HELD_DATAGRAMS or self._held_bytes > MAX_HELD_BYTES:
            self._lose("datagrams come faster than answers can be made")
            return
        sender.held.append(data)
        self._held_bytes += len(data)
        self._turns.ask(sender)
        if sender.waiting or self._turns.is_costly(sender):
            self._senders.setdefault(to, sender)
            if len(self._senders) > MAX_PEERS:
                del self._senders[next(iter(self._senders))]

    def answer(self, data: bytes, to: Any) -> None:
        """Make the answer to what was held, and send it."""
        assert self._answer
        self._held_bytes -= len(data)
        self._send(self._answer(data), to)

    def _send(self, data: bytes, to: Any) -> None:
        if not self._delay:
            self._service.send(data, to)
        elif len(self._late) < MAX_DELAYED_ANSWERS:
            self._late.put((data, to))
        else:
            self._lose(f"more than {MAX_DELAYED_ANSWERS} answers wait for their time")

    def _lose(self, why: str) -> None:
        told = f"{why}: some are lost"
        self._service.failed(SockkitError(told, kind=told))


class _Sender(Asker):
    """Where datagrams come from. `held` are those whose answers are still to be made."""

    def __init__(self, echo: UdpEcho, address: Any) -> None:
        self._echo, self._address = echo, address
        self.held: deque[bytes] = deque()

    def take_turn(self, over: Callable[[], bool]) -> bool:
        while self.held:
            self._echo.answer(self.held.popleft(), self._address)
            if over():
                break
        return bool(self.held)


def _dropping(share: float) -> Callable[[], bool]:
    """What says whether to drop the next datagram, for a `share` of them."""
    if not share:
        return lambda: False
    from random import random  # takes 2 ms, and few want it

    return lambda: random() < share
