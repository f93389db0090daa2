"""The most recent lines of a chat room, which newcomers are shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

MAX_RECENT_CHARACTERS = 512 * 1024  # of all lines kept
FULL_BLOCK_CHARACTERS = 8 * 1024  # from which on lines go to a new block


class Block:
    """Consecutive lines. They are encoded once, however many newcomers are shown them."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque()
        self.size = 0  # characters
        self._encoded: dict[str, bytes] = {}

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)
        self._encoded.clear()

    def drop(self) -> int:
        """Remove the first line, and return how many characters it had."""
        line = self.lines.popleft()
        self.size -= len(line)
        self._encoded.clear()
        return len(line)

    def encoded(self, encoding: str) -> bytes:
        """The lines with their ends. The same object is returned until the block changes."""
        if encoding not in self._encoded:
            text = "".join([f"{line}\n" for line in self.lines])
            self._encoded[encoding] = text.encode(encoding, "backslashreplace")
        return self._encoded[encoding]


class RecentLines:
    """The last lines, at most `max_lines` and MAX_RECENT_CHARACTERS."""

    def __init__(self, max_lines: int) -> None:
        self._blocks: deque[Block] = deque()
        self._max_lines, self._count, self._size = max_lines, 0, 0

    def add(self, line: str) -> None:
        if not self._max_lines:
            return
        if not self._blocks or self._blocks[-1].size >= FULL_BLOCK_CHARACTERS:
            self._blocks.append(Block())
        self._blocks[-1].add(line)
        self._count += 1
        self._size += len(line)
        while self._count > self._max_lines or self._size > MAX_RECENT_CHARACTERS:
            self._count -= 1
            self._size -= self._blocks[0].drop()
            if not self._blocks[0].lines:
                self._blocks.popleft()

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.add(line)

    def blocks(self) -> tuple[Block, ...]:
        """All blocks, in order, as they are now."""
        return tuple(self._blocks)
