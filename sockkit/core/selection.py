"""Which records of a recording are shown."""

from __future__ import annotations

from sockkit.core.records import Begun, Ended, Exit, Listening, Message, Record
from sockkit.core.since import Since


class Selection:
    """The records of these peers, in these directions, since then; without any of these, all.

    What happened to the run itself belongs to every peer. `now` is in microseconds since 1970.
    """

    def __init__(
        self, peers: tuple[int, ...], *, sent: bool, received: bool, since: Since | None, now: int
    ) -> None:
        self._peers = frozenset(peers)
        self._hidden = {"sent": received and not sent, "received": sent and not received}
        self._since, self._now = since, now
        self._begin: int | None = None if since else 0
        self._met: set[int] = set()

    def wants(self, record: Record) -> bool:
        if self._begin is None and self._since:
            self._begin = self._since(record.time, self._now)
        late = record.time >= (self._begin or 0)
        if isinstance(record, Begun | Listening | Exit):
            return late
        number = record.stream.number
        if self._peers and number not in self._peers:
            return False
        if self._peers:
            self._met.add(number)
        return late and not (isinstance(record, Message | Ended) and self._hidden[record.direction])

    def missing(self) -> list[int]:
        """The peers that were asked for, and of which there is no record."""
        return sorted(self._peers - self._met)
