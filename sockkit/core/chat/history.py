"""The last lines of a chat room, as newcomers are shown them."""

from __future__ import annotations

from collections import deque

RECENT = 512 * 1024  # characters of the lines a newcomer is shown
BLOCK = 8 * 1024  # characters of a block at least, where it is full


class Block:
    """Some lines in a row. They are encoded once, however many newcomers are shown them."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque()
        self.size = 0  # characters
        self._encoded: dict[str, bytes] = {}

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)
        self._encoded.clear()

    def drop(self) -> int:
        """Forget the first line; its characters."""
        line = self.lines.popleft()
        self.size -= len(line)
        self._encoded.clear()
        return len(line)

    def encoded(self, encoding: str) -> bytes:
        """The same object until the block changes."""
        if encoding not in self._encoded:
            text = "".join([f"{line}\n" for line in self.lines])
            self._encoded[encoding] = text.encode(encoding, "backslashreplace")
        return self._encoded[encoding]


class Recent:
    """The last lines, at most `most` of them and RECENT characters."""

    def __init__(self, most: int) -> None:
        self._blocks: deque[Block] = deque()
        self._most, self._count, self._size = most, 0, 0

    def add(self, line: str) -> None:
        if not self._most:
            return
        if not self._blocks or self._blocks[-1].size >= BLOCK:
            self._blocks.append(Block())
        self._blocks[-1].add(line)
        self._count += 1
        self._size += len(line)
        while self._count > self._most or self._size > RECENT:
            self._count -= 1
            self._size -= self._blocks[0].drop()
            if not self._blocks[0].lines:
                self._blocks.popleft()

    def blocks(self) -> tuple[Block, ...]:
        """All of them, in order, as they are now."""
        return tuple(self._blocks)
