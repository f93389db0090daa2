"""Stops datagrams that go round between relays.

Two UDP relays that are aimed at each other would pass a datagram on for ever, as each takes it for
the first one of a new peer. Nothing in a datagram says that we have passed it on before. But we can
suspect it: a new peer sends what another peer has just sent, and the target answers nobody. Honest
peers may do the same, so each host may have some such peers, and these may go on with such copies:
too few to cost much.
"""

from __future__ import annotations

from math import inf
from typing import Any

from sockkit.core.token_bucket import TokenBucket
from sockkit.net.loop import Loop
from sockkit.net.udp.datagrams import Received

SUSPECTS_PER_SECOND = 20.0  # from one host. TokenBucket allows a burst of 100
COPIES_PER_SECOND = 2000.0  # that suspect peers of one host send; a burst of 10,000
RECENT_SECONDS = 1.0  # after that, a copy is not suspect: a slow loop costs little
ANSWERED_SECONDS = 60.0  # after an answer. A relay that is aimed at us never answers
MAX_RECENT = 16384  # datagrams that are remembered: more than wait in a socket
MAX_HOSTS = 1024  # that have sent suspects; one more replaces the longest silent
HEAD_BYTES = 64  # of a datagram are remembered, and its size


class LoopGuard:
    """Remembers what peers sent last. Of datagrams that come together, it looks at the first."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # When each was heard last, and from whom; the oldest first.
        self._recent: dict[tuple[int, bytes], tuple[float, Any]] = {}
        self._hosts: dict[Any, TokenBucket] = {}  # of suspects; the longest silent first
        self._copies: dict[Any, TokenBucket] = {}
        self._answered_at = -inf

    def heard(self, got: Received) -> None:
        """A peer that has no answer yet has sent this."""
        mark = _mark(got)
        self._recent.pop(mark, None)
        self._recent[mark] = self._loop.now, got.address
        _bound(self._recent, MAX_RECENT)

    def answered(self) -> None:
        """The target has answered a peer."""
        self._answered_at = self._loop.now

    def suspects(self, got: Received) -> bool:
        """Whether this may have been passed on before. Its peer is new, or suspect."""
        now = self._loop.now
        if now < self._answered_at + ANSWERED_SECONDS:
            return False
        heard_at, address = self._recent.get(_mark(got), (-inf, None))
        return address != got.address and now < heard_at + RECENT_SECONDS

    def admits(self, got: Received) -> bool:
        """Whether the host that has sent this suspect may send one more."""
        return self._spends(self._hosts, SUSPECTS_PER_SECOND, got, 1)

    def admits_copies(self, got: Received) -> bool:
        """Whether the host may send these datagrams, too, by a peer that is suspect already."""
        return self._spends(self._copies, COPIES_PER_SECOND, got, len(got.starts))

    def _spends(
        self, hosts: dict[Any, TokenBucket], rate: float, got: Received, count: int
    ) -> bool:
        sender, now = host(got.address), self._loop.now
        bucket = hosts.pop(sender, None) or TokenBucket(rate, now)
        hosts[sender] = bucket
        _bound(hosts, MAX_HOSTS)
        return bucket.spend_lines([0] * count, now) == count


def host(address: Any) -> Any:
    """Whose tokens a datagram from `address` takes: all unix sockets are one host."""
    return address[0] if isinstance(address, tuple) else ""


def _mark(got: Received) -> tuple[int, bytes]:
    size = min(got.size, len(got.data))
    return size, bytes(got.data[: min(size, HEAD_BYTES)])


def _bound(table: dict[Any, Any], most: int) -> None:
    if len(table) > most:
        del table[next(iter(table))]
