"""Who has been heard on a socket without connections."""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from typing import NamedTuple

from sockkit.events import Peer

MAX_PEERS = 1024  # remembered; one more, and the longest silent is forgotten


class Recipient(StrEnum):
    """Whom standard input goes to."""

    LAST = "last"
    ALL = "all"


class Sighting(NamedTuple):
    """`forgotten` was the longest silent, and `peer`, who is `new`, has taken its place."""

    peer: Peer
    new: bool
    forgotten: Peer | None = None


class PeerTable:
    """Peers by their address, at most `max_peers` of them. Nobody is ever refused.

    Numbers count from 1 and are never used again: whoever comes back after having been
    forgotten gets a new one.
    """

    def __init__(self, max_peers: int = MAX_PEERS) -> None:
        self._max_peers = max_peers
        self._peers: dict[Hashable, Peer] = {}  # the longest silent first
        self._addresses: dict[int, Hashable] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._peers)

    def heard(self, address: Hashable, shown: str) -> Sighting:
        """Note that `address`, as people read it `shown`, has been heard just now."""
        if peer := self._peers.pop(address, None):
            self._peers[address] = peer
            return Sighting(peer, new=False)
        forgotten = None
        if len(self._peers) >= self._max_peers:
            oldest = next(iter(self._peers))
            forgotten = self._peers.pop(oldest)
            del self._addresses[forgotten.number]
        self._count += 1
        peer = self._peers[address] = Peer(self._count, shown)
        self._addresses[peer.number] = address
        return Sighting(peer, True, forgotten)

    def peers(self) -> list[Peer]:
        """Those remembered, by number."""
        return sorted(self._peers.values())

    def last(self) -> Peer | None:
        """Who was heard last."""
        return next(reversed(self._peers.values()), None)

    def address(self, number: int) -> Hashable:
        """Where peer `number` is. Raises KeyError for one not remembered."""
        return self._addresses[number]
