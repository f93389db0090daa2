"""Relays each client that a listener accepts."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.events import Unreachable
from sockkit.net.descriptors import free_descriptors
from sockkit.net.ends.end import PeerEnd
from sockkit.net.relay.pair import Outcome, Pair, Shared
from sockkit.net.tcp.listen import Listener
from sockkit.net.waiting import Done, OnDone, Pending, wait_for

# Left to the pipes of lanes, lookups and further attempts to connect: of all that are free a share,
# and never fewer than these.
SPARE_SHARE = 8
MIN_SPARE = 16


class RelayServer:
    """Owns neither `listener` nor what `shared` has."""

    def __init__(self, listener: Listener, shared: Shared) -> None:
        self._listener, self._shared = listener, shared
        self._context = shared.context
        self._pairs: set[Pair] = set()

    def run(self) -> None:
        """Relay until a signal raises Stopped."""
        self._run(lambda _, outcome: self._report(outcome))

    def run_one(self) -> None:
        """Relay one client. Raises the SockkitError that has ended it early."""
        outcome = self._run(None)
        if outcome.error:
            outcome.error.so_far = outcome.totals
            raise outcome.error
        self._report(outcome)

    def _run(self, on_closed: Callable[[Pair, Outcome], None] | None) -> Outcome:
        """Relay all clients if there is `on_closed`, and otherwise return the first outcome."""

        def start(done: OnDone[Outcome]) -> Pending:
            def closed(pair: Pair, outcome: Outcome) -> None:
                self._pairs.discard(pair)
                self._listener.released()
                if on_closed:
                    on_closed(pair, outcome)
                else:
                    done(outcome)

            def accepted(end: PeerEnd) -> None:
                if not on_closed:
                    self._listener.close()
                self._shared.closer.make_space()
                pair = Pair(self._shared, end, closed)
                self._pairs.add(pair)
                pair.start()

            self._listener.accept(accepted, _most_pairs())
            return Done()

        try:
            return wait_for(self._context.loop, start)
        finally:
            self._listener.close()
            for pair in self._pairs:
                pair.close()
            self._shared.closer.close_all()

    def _report(self, outcome: Outcome) -> None:
        if outcome.closed:
            self._context.emit(outcome.closed)
        else:
            self._context.emit(Unreachable(f"{outcome.error}; the client is closed"))


def _most_pairs() -> int | None:
    """How many pairs there are descriptors for; None if that is not known."""
    free = free_descriptors()
    return free if free is None else max((free - max(free // SPARE_SHARE, MIN_SPARE)) // 2, 1)
