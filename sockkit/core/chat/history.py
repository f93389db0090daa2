"""The most recent lines of a chat room, which newcomers are shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

MAX_RECENT_CHARACTERS = 512 * 1024  # of all lines kept
FULL_BLOCK_CHARACTERS = 8 * 1024  # from which on lines go to a new block


class Block:
    """Consecutive lines. They are encoded once, however many newcomers are shown them. A block
    that has been handed out (`shared`) does not change any more.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.lines = deque(lines)
        self.size = sum(map(len, self.lines))  # characters
        self.shared = False
        self._encoded: dict[str, bytes] = {}

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)

    def drop(self) -> int:
        """Remove the first line, and return how many characters it had."""
        line = self.lines.popleft()
        self.size -= len(line)
        return len(line)

    def encoded(self, encoding: str) -> bytes:
        """The lines with their ends: of a shared block always the same object."""
        if encoding not in self._encoded:
            text = "".join([f"{line}\n" for line in self.lines])
            self._encoded[encoding] = text.encode(encoding, "backslashreplace")
        return self._encoded[encoding]


class RecentLines:
    """The last lines, at most `max_lines` and MAX_RECENT_CHARACTERS."""

    def __init__(self, max_lines: int) -> None:
        self._blocks: deque[Block] = deque()
        self._max_lines, self._count, self._size = max_lines, 0, 0
        self.added = 0  # lines, ever

    def add(self, line: str) -> None:
        if not self._max_lines:
            return
        if not self._blocks or self._blocks[-1].size >= FULL_BLOCK_CHARACTERS:
            self._blocks.append(Block())
        self._own(-1).add(line)
        self.added += 1
        self._count += 1
        self._size += len(line)
        while self._count > self._max_lines or self._size > MAX_RECENT_CHARACTERS:
            self._count -= 1
            self._size -= self._own(0).drop()
            if not self._blocks[0].lines:
                self._blocks.popleft()

    def _own(self, index: int) -> Block:
        """The block at `index`, to change it: a copy takes the place of one that is shared."""
        if self._blocks[index].shared:
            self._blocks[index] = Block(self._blocks[index].lines)
        return self._blocks[index]

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.add(line)

    def blocks(self, added: int | None = None) -> tuple[Block, ...]:
        """All blocks, in order, as they are now; without the lines after the first `added` ones."""
        blocks = list(self._blocks)
        later = 0 if added is None else self.added - added
        while blocks and later >= len(blocks[-1].lines):
            later -= len(blocks.pop().lines)
        if blocks and later:
            blocks[-1] = Block(list(blocks[-1].lines)[:-later])
        for block in blocks:
            block.shared = True
        return tuple(blocks)
