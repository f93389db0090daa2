"""Applies faults to the connections of a relay. Reports each as an event and as a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sockkit.core.faults import Disturbed, Fault, FaultOptions, Held
from sockkit.core.records import Direction, Injected, Stream
from sockkit.core.stream_faults import StreamFaults, first_stop, refuses
from sockkit.events import FaultInjected
from sockkit.net.context import Context
from sockkit.net.ends.disturbed_end import DisturbedEnd
from sockkit.net.ends.end import PeerEnd
from sockkit.net.taps import microseconds

OnStop = Callable[[Fault], None]


class Faults:
    """Shared by all pairs. `transport` and `target` say in words what the target is."""

    def __init__(
        self, context: Context, options: FaultOptions, seed: int, transport: str, target: str
    ) -> None:
        self._context, self._options, self._seed = context, options, seed
        self._transport, self._target = transport, target
        self._held = Held()
        self._shape = options.shape

    def refuses(self, client: PeerEnd) -> bool:
        """Decide whether to reset this client at once, and report it."""
        refused = refuses(self._options, self._seed, client.peer.number)
        if refused:
            self._tell(self._stream(client), client, "", Fault.REFUSED)
        return refused

    def disturb(self, client: PeerEnd, target: PeerEnd, on_stop: OnStop) -> tuple[PeerEnd, PeerEnd]:
        """Wrap the ends whose direction has faults, and return both.

        Calls `on_stop` when a direction has stalled, or when the connection must be reset or
        closed. Call `release` when a connection is being closed.
        """
        stream = self._stream(client, target)

        def wrap(end: PeerEnd, direction: Direction) -> PeerEnd:
            if not self._disturbs(direction):
                return end
            if self._shape:
                self._tell(stream, client, direction, Fault.SHAPED, detail=self._shape)

            def stopped(fault: Fault, passed: int) -> None:
                self._tell(stream, client, direction, fault, passed)
                on_stop(fault)

            seed = f"{self._seed} {client.peer.number} {direction}"
            faults = StreamFaults(self._options, seed, self._held)
            return DisturbedEnd(self._context.loop, end, faults, stopped)

        return wrap(client, "sent"), wrap(target, "received")

    def due(self, end: PeerEnd) -> float:
        """Until when the next bytes from `end` are delayed, in the loop's time; 0 if none are."""
        return end.due if isinstance(end, DisturbedEnd) else 0.0

    def holds_back(self, end: PeerEnd) -> bool:
        """Whether bytes from `end` are being delayed, or have stalled."""
        return isinstance(end, DisturbedEnd) and (end.stalled or end.due > self._context.loop.now)

    def release(self, end: PeerEnd) -> None:
        """Stop applying faults to `end`: nobody needs what its peer still sends."""
        if isinstance(end, DisturbedEnd):
            end.release()

    def _disturbs(self, direction: Direction) -> bool:
        chosen = self._options.disturbed in (Disturbed.BOTH, direction)
        return chosen and bool(self._shape or first_stop(self._options))

    def _stream(self, client: PeerEnd, target: PeerEnd | None = None) -> Stream:
        """The connection to the target as records name it; the tap does the same."""
        local = client.remote or (target.local() if target else None)
        remote = target.remote if target else None
        return Stream(
            client.peer.number,
            self._transport,
            local.word if local else "unix",
            remote.word if remote else self._target,
            dialled=True,
        )

    def _tell(
        self,
        stream: Stream,
        client: PeerEnd,
        direction: Direction | Literal[""],
        fault: Fault,
        passed: int = 0,
        detail: str = "",
    ) -> None:
        self._context.emit(FaultInjected(client.peer, direction, fault, passed, detail))
        if views := self._context.views:
            views.show(Injected(microseconds(), stream, fault, direction, passed, detail))
