"""One direction of a relay's UDP peer: converts datagrams, applies faults, and passes them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.faults import Disturbed, Fault, FaultOptions, Held, Pacer
from sockkit.core.units import show_count
from sockkit.errors import SockkitError
from sockkit.events import Emit, Failure, Peer
from sockkit.net.echo.delay import DelayQueue
from sockkit.net.loop import Loop, Timer
from sockkit.net.udp.datagrams import Received
from sockkit.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sockkit.core.datagram_faults import DatagramFaults
    from sockkit.core.records import Direction

HELD_SECONDS = 0.1  # a reordered datagram waits this long for the next one
MAX_DELAYED_BYTES = 8 * 1024 * 1024  # waiting to be sent, for one direction of a peer
MAX_ALL_DELAYED_BYTES = 64 * 1024 * 1024  # waiting to be sent, for all peers together
DATAGRAM_COST = 256  # bytes of memory for each datagram, besides its data

Convert = Callable[[bytes], bytes]  # raises TextError
Tell = Callable[[str, str], None]  # the fault, and its settings in words
Put = Callable[[bytes | memoryview, int], None]  # datagrams, and the size of each


class WayOptions(Value):
    """The settings of one direction, for all peers. Without `convert`, the bytes do not change."""

    loop: Loop
    emit: Emit
    direction: Direction
    convert: Convert | None
    faults: FaultOptions
    delayed: Held

    @property
    def disturbs(self) -> bool:
        """Whether faults apply to this direction."""
        chosen = self.faults.disturbed in (Disturbed.BOTH, self.direction)
        return chosen and self.faults.of_datagrams


class Way:
    """Passes the datagrams of `peer` on to `put`, several at once if they do not change.

    Calls `tell` for each fault. `size` counts the bytes that were passed on.
    """

    def __init__(self, options: WayOptions, peer: Peer, put: Put, tell: Tell) -> None:
        self._options, self._peer, self._put, self._tell = options, peer, put, tell
        self._queue = DelayQueue[bytes](options.loop, 0.0, self._due)
        self._waiting = 0  # bytes, with the cost of each datagram
        self._release: Timer | None = None
        self._faults: DatagramFaults | None = None
        self._pacer: Pacer | None = None
        if options.disturbs:
            self._faults = self._disturbing()
        self.size = 0

    def _disturbing(self) -> DatagramFaults:
        from sockkit.core.datagram_faults import DatagramFaults, generator

        options, direction = self._options.faults, self._options.direction
        number = self._peer.number
        if options.late:
            self._pacer = Pacer(options, f"{options.seed} {number} {direction}")
            self._tell(Fault.SHAPED, options.shape)
        return DatagramFaults(options, generator(options.seed, number, direction))

    def pass_on(self, got: Received) -> None:
        if not (self._options.convert or self._faults):
            self._send(got.data, got.size)
            return
        for datagram in got.datagrams():
            self._convert(datagram)

    def stop(self) -> None:
        """Drop the datagrams that wait, and report how many there were."""
        if self._release:
            self._release.cancel()
        waiting = len(self._queue) + (len(self._faults.flush()[0]) if self._faults else 0)
        self._queue.stop()
        self._options.delayed.size -= self._waiting
        self._waiting = 0
        if waiting:
            self._lost(waiting, "they were still waiting when the peer timed out")

    def _convert(self, datagram: bytes) -> None:
        convert = self._options.convert
        try:
            converted = convert(datagram) if convert else datagram
        except SockkitError as error:
            told = f"a datagram {self._whose} was dropped: {error}"
            self._options.emit(Failure(told, "a datagram was dropped: it could not be converted"))
            return
        if self._faults:
            self._disturb(self._faults, *self._faults.feed(converted))
        else:
            self._send(converted, max(len(converted), 1))

    @property
    def _whose(self) -> str:
        word = "from" if self._options.direction == "sent" else "for"
        return f"{word} {self._peer.address}"

    # The faults.

    def _disturb(
        self, faults: DatagramFaults, passed: Iterable[bytes], injected: Iterable[Fault]
    ) -> None:
        for what in injected:
            self._tell(what, "")
        for datagram in passed:
            self._delay(datagram)
        if self._release:
            self._release.cancel()
            self._release = None
        if faults.held:
            self._release = self._options.loop.later(
                HELD_SECONDS, lambda: self._disturb(faults, *faults.flush())
            )

    def _delay(self, datagram: bytes) -> None:
        """Pass it on when it is due. Drop it if the queue is full."""
        if not self._pacer:
            self._send(datagram, max(len(datagram), 1))
            return
        cost, delayed = len(datagram) + DATAGRAM_COST, self._options.delayed
        full = self._waiting + cost > MAX_DELAYED_BYTES
        if full or delayed.size + cost > MAX_ALL_DELAYED_BYTES:
            self._lost(1, "too many are waiting for --delay or --rate")
            return
        self._waiting += cost
        delayed.size += cost
        when = self._pacer.due(len(datagram), self._options.loop.now)
        self._queue.put_until(when, datagram)

    def _due(self, datagram: bytes) -> None:
        cost = len(datagram) + DATAGRAM_COST
        self._waiting -= cost
        self._options.delayed.size -= cost
        self._send(datagram, max(len(datagram), 1))

    def _lost(self, count: int, why: str) -> None:
        told = f"lost {show_count(count, 'datagram')} {self._whose}: {why}"
        self._options.emit(Failure(told, f"lost datagrams: {why}"))

    def _send(self, data: bytes | memoryview, size: int) -> None:
        self.size += len(data)
        self._put(data, size)
