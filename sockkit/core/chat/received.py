"""What the members of a chat room have sent: lines, the text of lines, and how much of it the room
handles in one turn of the loop.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from sockkit.core.chat.protocol import MAX_LINE_BYTES
from sockkit.core.printable import COMMA, WIDE_SLASH, escape

MAX_TURN_CHARACTERS = 128 * 1024  # that the lines of all members become in one turn
MIN_MEMBER_CHARACTERS = MAX_TURN_CHARACTERS // 16  # of each member, however much the others say
LINE_COST_CHARACTERS = 48  # that take as long as handling a line does
COMMAND_COST_CHARACTERS = 2048  # the same, of a command
TURN_PAUSE_SECONDS = 0.001  # between two turns of a member

_PRINTABLE_BYTES = bytes(range(0x20, 0x7F))


class ReceivedLines:
    """Cuts the bytes of one member into lines. Drops a line that is too long as it arrives."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skipping = False  # to the end of a line that is too long

    def __len__(self) -> int:
        """Bytes held."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Append `data`. Empty `data` is the end of the input, and ends the last line."""
        if not data and self._held and not self._skipping:
            data = b"\n"
        self._held += data

    def has_line(self) -> bool:
        return b"\n" in self._held

    @property
    def begun(self) -> bool:
        """Whether there is a line, or more than a line may have."""
        return self.has_line() or len(self._held) > MAX_LINE_BYTES

    def drop_long(self) -> bool:
        """Drop what has arrived of a line that is too long. Returns True once for each of them."""
        end = self._held.find(b"\n")
        if self._skipping:
            self._skipping = end < 0
            del self._held[: len(self._held) if end < 0 else end + 1]
            end = self._held.find(b"\n")
        too_long = (len(self._held) if end < 0 else end) > MAX_LINE_BYTES
        self._skipping = self._skipping or too_long
        return too_long

    def peek(self, count: int) -> list[bytes]:
        """The next whole lines, at most `count`, which stay. None if one of them is too long."""
        lines = [] if self._skipping else bytes(self._held).split(b"\n", count)[:-1]
        return lines if max(map(len, lines), default=0) <= MAX_LINE_BYTES else []

    def drop(self, lines: list[bytes]) -> None:
        """Remove `lines`, which are the next ones."""
        del self._held[: sum(map(len, lines)) + len(lines)]

    def pop(self) -> bytes:
        """Remove the next line and return it without its end. There must be one."""
        end = self._held.index(b"\n")
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line

    def clear(self) -> None:
        self._held.clear()


class TurnBudget:
    """How much the members may say in one turn. A turn is known by its time, `now`."""

    def __init__(self) -> None:
        self._at, self._spent = 0.0, 0  # characters

    def remaining(self, now: float) -> int:
        """Characters that one member may say now. The line that exceeds them is still said."""
        if now != self._at:
            self._at, self._spent = now, 0
        return max(MAX_TURN_CHARACTERS - self._spent, MIN_MEMBER_CHARACTERS)

    def spend(self, characters: int) -> None:
        self._spent += characters


def count_within(budget: int, sizes: Sequence[int]) -> int:
    """How many lines of these sizes fit in `budget` characters; the line that exceeds it counts."""
    if sum(sizes) + len(sizes) * LINE_COST_CHARACTERS <= budget:
        return len(sizes)
    costs = accumulate(size + LINE_COST_CHARACTERS for size in sizes)
    return bisect_left(list(costs), budget) + 1


def visible_text(line: bytes, encoding: str) -> str:
    """The text of a line, without spaces at its end and with control characters escaped."""
    text = line.removesuffix(b"\r").decode(encoding, "backslashreplace")
    return escape(text.replace("\t", " ")).rstrip()


def plain_texts(lines: Sequence[bytes], encoding: str, quit_word: str) -> list[str]:
    """The texts of `lines` if all of them can be said as they are; otherwise none.

    A line cannot if it may be a command, is empty, ends in spaces, or is not printable. Looking at
    all lines together takes a tenth of the time.
    """
    data = b"\n".join(lines)
    if b"\r" in data:
        lines = [line.removesuffix(b"\r") for line in lines]
        data = b"\n".join(lines)
    if encoding == "utf-8":  # no character, and no error, extends over the end of a line
        texts = data.decode(encoding, "backslashreplace").split("\n")
    else:
        texts = [line.decode(encoding, "backslashreplace") for line in lines]
    if not _printable("".join(texts)):
        return []
    not_plain = rf"\n(?:\n| *[/{WIDE_SLASH}{COMMA}]|{re.escape(quit_word)}\n|(?<= \n))"
    return [] if re.search(not_plain, "\n".join(("", *texts, ""))) else texts


def _printable(text: str) -> bool:
    """Whether `escape` changes nothing in it, and its only white space is spaces."""
    if text.isascii():
        return not text.encode().translate(None, _PRINTABLE_BYTES)  # a fifth of the time
    return text.isprintable()
