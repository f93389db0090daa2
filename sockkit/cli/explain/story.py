"""The state of one connection that is explained: its name, its bytes, and who closed first."""

from __future__ import annotations

from sockkit.core.records import Direction


class Story:
    """A connection to `address`, called `name` in the Python lines.

    `dialled` says that we connected. `first` is the direction that ended first: "sent" if we
    closed first. `unread` says that received bytes were unread when we closed, and `secured` that
    TLS is spoken.
    """

    def __init__(self, name: str, address: str, *, dialled: bool) -> None:
        self.name, self.address, self.dialled = name, address, dialled
        self.unread = self.secured = False
        self.tapped = False  # whether there are records of its bytes
        self.sent = self.received = 0  # bytes
        self.first: Direction | None = None
        self._ended: set[Direction] = set()

    @property
    def unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.address.startswith("unix")

    def moved(self, direction: Direction, size: int) -> None:
        if direction == "sent":
            self.sent += size
        else:
            self.received += size

    def end(self, direction: Direction) -> str:
        """Record the end of a direction, and return which sentence to tell.

        Of two FINs this is the "first" or the "last". "late" means that the peer's FIN came first,
        but was read after we sent ours. A unix socket has no FIN: "unix". The end of
        a TLS session, "tls", tells nothing of the FINs.
        """
        if self.secured and direction == "received":
            self._ended.add(direction)
            return "tls"
        self.first = self.first or direction
        self._ended.add(direction)
        if self.unix:
            return "unix"
        if self.first != direction:
            return "last"
        return "late" if direction == "received" and self.has_ended("sent") else "first"

    def has_ended(self, direction: Direction) -> bool:
        return direction in self._ended
