"""What comes of what happens in a chat room, for its server to carry out in order."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from sockkit.core.chat.crowd import Move
from sockkit.core.chat.history import Block
from sockkit.values import Value


class Out(NamedTuple):
    """A line to deliver: to one member, or to all who are admitted but `author`.

    Or several lines in a row of the same kind, with line ends between them. `said` is worth
    keeping; `move` is who the line says came or left.
    """

    text: str
    to: Hashable | None = None
    author: Hashable | None = None
    said: bool = False
    move: Move | None = None

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


class Admitted(Value):
    """From here on a member hears what is for all; first `greeting`, then what was said before."""

    member: Hashable
    greeting: tuple[str, ...]
    past: tuple[Block, ...]


class Gone(Value):
    """Close the connection of `member` once its lines are delivered."""

    member: Hashable


Outcome = Out | Admitted | Gone
