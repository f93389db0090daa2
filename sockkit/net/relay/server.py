"""Relays each client that a listener accepts."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.errors import REFUSED
from sockkit.events import Unreachable
from sockkit.net.descriptors import free_descriptors
from sockkit.net.ends.end import PeerEnd
from sockkit.net.relay.pair import Outcome, Pair, Shared
from sockkit.net.tcp.listen import Listener
from sockkit.net.waiting import Done, OnDone, Pending, Start, wait_for

# Descriptors left for pipes, name lookups and further attempts to connect: this share of the free
# ones, and at least MIN_SPARE.
SPARE_SHARE = 8
MIN_SPARE = 16


class RelayServer:
    """Relays each client. At the end it closes `listener`, all pairs and all lingering closes."""

    def __init__(self, listener: Listener, shared: Shared) -> None:
        self._listener, self._shared = listener, shared
        self._context = shared.context
        self._pairs: set[Pair] = set()
        self._on_outcome: Callable[[Outcome], None] = self._report

    def run(self) -> None:
        """Relay until a signal raises Stopped."""
        self._run(lambda _: self._accept(self._accepted))

    def run_one(self) -> None:
        """Relay one client. Raises a SockkitError if one has ended the pair early."""

        def start(done: OnDone[Outcome]) -> Pending:
            self._on_outcome = done
            return self._accept(self._accepted_last)

        outcome = self._run(start)
        if outcome.error:
            outcome.error.so_far = outcome.totals
            raise outcome.error
        self._report(outcome)

    def _run(self, start: Start[Outcome]) -> Outcome:
        try:
            return wait_for(self._context.loop, start)
        finally:
            self._listener.close()
            for pair in self._pairs:
                pair.close()
            self._shared.closer.close_all()

    def _accept(self, accepted: Callable[[PeerEnd], None]) -> Pending:
        self._listener.accept(accepted, _most_pairs())
        return Done()

    def _accepted(self, end: PeerEnd) -> None:
        self._shared.closer.make_space()
        pair = Pair(self._shared, end, self._closed)
        self._pairs.add(pair)
        pair.start()

    def _accepted_last(self, end: PeerEnd) -> None:
        self._listener.close()
        self._accepted(end)

    def _closed(self, pair: Pair, outcome: Outcome) -> None:
        self._pairs.discard(pair)
        self._listener.released()
        self._on_outcome(outcome)

    def _report(self, outcome: Outcome) -> None:
        if outcome.closed:
            self._context.emit(outcome.closed)
        else:
            error = outcome.error
            missing = isinstance(error and error.__cause__, FileNotFoundError)
            starts = error and (error.kind == REFUSED or missing) and not error.hint
            hint = ": start the target first" if starts else ""
            self._context.emit(Unreachable(f"closed: {error}{hint}"))


def _most_pairs() -> int | None:
    """How many pairs there are free descriptors for; None if that is not known."""
    free = free_descriptors()
    return free if free is None else max((free - max(free // SPARE_SHARE, MIN_SPARE)) // 2, 1)
