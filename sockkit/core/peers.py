"""The peers of a datagram socket: the addresses that datagrams have come from."""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from typing import NamedTuple

from sockkit.events import Peer

MAX_PEERS = 1024  # remembered; one more replaces the peer that was silent for longest


class Recipient(StrEnum):
    """Where standard input is sent: to the peer that sent last, or to all."""

    LAST = "last"
    ALL = "all"


class Sighting(NamedTuple):
    """A datagram from `peer`. The first one makes it `new`; it may have replaced `forgotten`."""

    peer: Peer
    new: bool
    forgotten: Peer | None = None


class PeerTable:
    """Peers by their address, at most `max_peers`: a new one replaces the peer silent for longest.

    Numbers count from 1 and are never used again. A peer that was forgotten gets a new number when
    it sends again.
    """

    def __init__(self, max_peers: int = MAX_PEERS) -> None:
        self._max_peers = max_peers
        self._peers: dict[Hashable, Peer] = {}  # the longest silent first
        self._addresses: dict[int, Hashable] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._peers)

    def heard(self, address: Hashable, shown: str) -> Sighting:
        """Record a datagram from `address`. `shown` is the address for people."""
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

    def find(self, address: Hashable) -> Peer | None:
        """The peer at `address`, if it is remembered. This does not count as a datagram from it."""
        return self._peers.get(address)

    def peers(self) -> list[Peer]:
        """The remembered peers, in the order of their numbers."""
        return sorted(self._peers.values())

    def last(self) -> Peer | None:
        """The peer that sent most recently."""
        return next(reversed(self._peers.values()), None)

    def address(self, number: int) -> Hashable:
        """The address of peer `number`. Raises KeyError if that is not remembered."""
        return self._addresses[number]
