"""The fan-out: all lines that one turn of the loop has for a member go out in one send."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from sockkit.core.chat.actions import Admit, Deliver
from sockkit.net.loop import Loop

if TYPE_CHECKING:
    from sockkit.net.chat.member import Member


class Fanout:
    """Collects lines, and delivers them to `members` and to `show` at the end of each turn."""

    def __init__(
        self, loop: Loop, members: Mapping[int, Member], show: Callable[[list[Deliver]], None]
    ) -> None:
        self._loop, self._members, self._show = loop, members, show
        self._outs: list[Deliver] = []
        self._closing: list[Member] = []

    @property
    def waits(self) -> bool:
        """Whether there are lines that have not been delivered."""
        return bool(self._outs)

    def put(self, out: Deliver) -> None:
        self._plan()
        self._outs.append(out)

    def close(self, member: Member) -> None:
        """Close the member's connection at the end of the turn, after its last lines."""
        self._plan()
        self._closing.append(member)

    def _plan(self) -> None:
        if not (self._outs or self._closing):
            self._loop.call_soon(self._deliver)

    def hold(self, member: Member) -> None:
        """From now on, hold the public lines back for a newcomer, until `greet`."""
        member.since, member.held = len(self._outs), []

    def greet(self, member: Member, event: Admit) -> None:
        """Send an admitted member the greeting, the history and the lines held back for it.

        From now on it gets all public lines.
        """
        if any(out.to == member.number for out in self._outs):
            self._deliver()
        encoding = member.encoding
        greeting = "".join([f"{line}\n" for line in event.greeting])
        member.send(greeting.encode(encoding, "backslashreplace"))
        for block in event.history:
            member.send(block.encoded(encoding))
        if member.held is None:
            member.since = len(self._outs)
        else:
            held, member.held = member.held, None
            member.send(b"".join(held))

    def _deliver(self) -> None:
        outs, self._outs = self._outs, []
        closing, self._closing = self._closing, []
        if not (outs or closing):
            return  # `greet` has delivered them already
        special: defaultdict[Hashable, list[int]] = defaultdict(list)
        for index, out in enumerate(outs):
            special[out.author if out.to is None else out.to].append(index)
        rendered: dict[str, _Rendered] = {}
        for member in list(self._members.values()):
            if member.encoding not in rendered:
                rendered[member.encoding] = _Rendered(outs, member.encoding)
            lines = rendered[member.encoding]
            if member.number in special or member.since:
                member.deliver(lines.of(member, special.get(member.number, ())))
                member.since = 0 if member.since < math.inf else math.inf
            else:
                member.deliver(lines.public)
        self._show(outs)
        for member in closing:
            member.connection.close_lingering()


class _Rendered:
    """The lines of one turn, in one encoding. `public` holds the lines for all members."""

    def __init__(self, outs: list[Deliver], encoding: str) -> None:
        self._outs = outs
        self._lines = [f"{out.text}\n".encode(encoding, "backslashreplace") for out in outs]
        each = [
            line if out.to is None else b"" for out, line in zip(outs, self._lines, strict=True)
        ]
        self.public = b"".join(each)
        self._places = [0, *accumulate(map(len, each))]  # where each of `outs` begins in `public`

    def of(self, member: Member, special: Sequence[int]) -> bytes:
        """The lines for `member`. `special` are the indexes of lines by it, or only for it."""
        end = len(self._outs)
        place = self._places[end if member.since > end else int(member.since)]
        pieces: list[bytes] = []
        for index in special:
            pieces.append(self.public[place : self._places[index]])
            place = max(place, self._places[index + 1])
            if self._outs[index].to is not None:
                pieces.append(self._lines[index])
        return b"".join(pieces) + self.public[place:]
