"""The responder's datagrams: each gets its answer, in its sender's turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sockkit.core.peers import MOST
from sockkit.errors import ReceiveError, SockkitError
from sockkit.events import Emit, Failure
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.echo.tcp import EchoOptions
from sockkit.net.echo.turns import Asker, Turns
from sockkit.net.loop import Loop
from sockkit.net.resolve import show_address
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket
from sockkit.net.udp.sources import Sources

TURNS = 64  # datagrams answered before others on the loop get their turn
WAITING = 4 * 1024 * 1024  # bytes of datagrams that may wait for their answers to be made
DELAYED = 1024  # datagrams that may wait for their time; one more is dropped


class UdpEcho:
    """Answers every datagram of `sock`, which it does not own."""

    def __init__(
        self,
        loop: Loop,
        sock: DatagramSocket,
        options: EchoOptions,
        emit: Emit,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or Turns(loop)
        self._senders: dict[Any, _Sender] = {}  # those that wait or are costly, and some more
        self._waiting = 0  # bytes of datagrams whose answers are still to be made
        self._loop, self._socket, self._options, self._emit = loop, sock, options, emit
        self._answer = options.responder().answer if options.responder else None
        self._each = bool(options.responder or options.drop or options.delay)
        self._outgoing = DatagramOutbox(loop, sock, on_empty=self.start, on_fail=self._fail)
        self._late = DelayQueue[tuple[bytes, Any]](
            loop, options.delay, lambda late: self._outgoing.put_whole(*late)
        )
        self._sources = Sources(sock, emit)
        self._drops = _dropping(options.drop)

    def start(self) -> None:
        self._loop.when_readable(self._socket.descriptor, self._read)

    def _read(self) -> None:
        for _ in range(TURNS):
            try:
                got = self._socket.receive()
            except BlockingIOError:
                return
            except SockkitError as error:
                self._fail(error)
                return
            if problem := got.cut(show_address(got.address)):
                self._fail(ReceiveError(problem, kind="a datagram was cut"))
            if not self._sources.answerable(got.address):
                continue
            if self._each:
                for datagram in got.datagrams():
                    self._respond(datagram, got.address)
            else:  # as many as came in one call go out in one
                self._outgoing.put(got.data, got.size, got.address)
            if self._outgoing.waits:
                self._loop.when_readable(self._socket.descriptor, None)
                return

    def _respond(self, data: bytes, to: Any) -> None:
        if self._drops():
            return
        if self._answer:
            self._ask(data, to)
        else:
            self._give(data, to)

    def _ask(self, data: bytes, to: Any) -> None:
        """Answer in the sender's turn, which nearly always is now."""
        sender = self._senders.get(to) or _Sender(self, to)
        if len(sender.held) >= TURNS or self._waiting > WAITING:
            told = "datagrams come faster than answers can be made: some are lost"
            self._fail(SockkitError(told, kind=told))
            return
        sender.held.append(data)
        self._waiting += len(data)
        self._turns.ask(sender)
        if sender.waiting or self._turns.is_costly(sender):
            self._senders.setdefault(to, sender)
            if len(self._senders) > MOST:
                del self._senders[next(iter(self._senders))]

    def answer(self, data: bytes, to: Any) -> None:
        """Make the answer to what was held, and send it."""
        assert self._answer
        self._waiting -= len(data)
        self._give(self._answer(data), to)

    def _give(self, data: bytes, to: Any) -> None:
        if not self._options.delay:
            self._outgoing.put_whole(data, to)
        elif len(self._late) < DELAYED:
            self._late.put((data, to))
        else:
            told = f"more than {DELAYED} answers wait for their time: some are lost"
            self._fail(SockkitError(told, kind=told))

    def _fail(self, error: SockkitError) -> None:
        self._emit(Failure(str(error), error.kind))


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
