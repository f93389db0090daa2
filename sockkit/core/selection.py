"""Which records of a recording are shown."""

from __future__ import annotations

from sockkit.core.records import Begun, Ended, Exit, Injected, Listening, Message, Record
from sockkit.core.since import Since


class Selection:
    """Selects records by peer, direction and time. Without arguments it selects all.

    Records of the run itself belong to every peer. `now` is in microseconds since 1970.
    """

    def __init__(
        self, peers: tuple[int, ...], *, sent: bool, received: bool, since: Since | None, now: int
    ) -> None:
        self._peers = frozenset(peers)
        self._hidden = {"sent": received and not sent, "received": sent and not received}
        self._since, self._now = since, now
        self._begin: int | None = None if since else 0
        self._met: set[int] = set()
        self._all = not (peers or sent or received or since)
        self._matched = False

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
        if isinstance(record, Message | Ended | Injected):
            late = late and not self._hidden.get(record.direction)
            self._matched |= late
        elif not any(self._hidden.values()):
            self._matched |= late
        return late

    @property
    def in_vain(self) -> bool:
        """Whether no record was found that the user asked for.

        Records of the run itself do not count. With one direction, neither do those that open or
        close a connection.
        """
        return not (self._all or self._matched)

    def missing(self) -> list[int]:
        """The peers that were asked for and have no record."""
        return sorted(self._peers - self._met)
