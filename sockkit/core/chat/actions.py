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


OPERATOR: Hashable = "operator"  # in place of a member's key: who runs the room


class Deliver(NamedTuple):
    """Deliver a line to the member `to`, or if that is None to all members except `author`.

    The operator sees what goes to all, and what goes to OPERATOR. `text` may be several lines with
    line ends between them. `said` lines are kept in the history. `presence` is the change that the
    line tells of.
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
    """Send `member`, now called `name`, the lines of `greeting`, then `history`, and from now on
    what goes to all.
    """

    member: Hashable
    name: str
    greeting: tuple[str, ...]
    history: tuple[Block, ...]


class Disconnect(Value):
    """Close the connection of `member` once its lines are delivered."""

    member: Hashable


Action = Deliver | Admit | Disconnect
