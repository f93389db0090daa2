"""What a chat room asks its server to do: deliver a line, admit or disconnect a member.

The server carries out actions in order.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.chat.history import Block
    from sockkit.core.chat.presence import Presence


class Deliver(NamedTuple):
    """Deliver a line to the member `to`, or where that is None to all members but `author`.

    `text` may also be several lines of that kind, with line ends between them. `said` lines are
    kept in the history. `presence` is the change that the line tells of.
    """

    text: str
    to: Hashable | None = None
    author: Hashable | None = None
    said: bool = False
    presence: Presence | None = None

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


class Admit(Value):
    """Send `member` the lines of `greeting`, then `history`, and from now on what is for all."""

    member: Hashable
    greeting: tuple[str, ...]
    history: tuple[Block, ...]


class Disconnect(Value):
    """Close the connection of `member` once its lines are delivered."""

    member: Hashable


Action = Deliver | Admit | Disconnect
