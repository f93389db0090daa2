"""Standard input with a line editor: the typed lines, and the commands typed between them."""

from __future__ import annotations

from collections import deque

from sockkit.net.ends.end import Callback, Kind
from sockkit.net.ends.stdio import StandardInput
from sockkit.net.ends.watch import Watch
from sockkit.net.loop import Loop


class TypedInput(StandardInput):
    """A queue of lines to read and commands to call, in the order in which they were typed.

    A command is called when the reader has read the lines before it and asks for more: by then it
    has passed these lines on. While nobody reads, commands wait, too.
    """

    kind, descriptor = Kind.OTHER, -1
    terminal = never_waits = True

    def __init__(self, loop: Loop) -> None:
        self._items: deque[bytearray | Callback] = deque()
        self._ended = False
        self._reader: Callback | None = None
        self._watch = Watch(loop, lambda: self.waits or self._ended)

    @property
    def waits(self) -> bool:
        """Whether a line is not read yet, or a command not called."""
        return bool(self._items)

    def put(self, data: bytes) -> None:
        """Add typed bytes. After `end` they are dropped."""
        if self._items and isinstance(self._items[-1], bytearray) and not self._ended:
            self._items[-1] += data
        elif data:
            self._add(bytearray(data))

    def put_command(self, command: Callback) -> None:
        self._add(command)

    def end(self) -> None:
        """The input has ended: accept nothing more."""
        self._ended = True
        self._watch.wake()

    def read_into(self, buffer: memoryview, /) -> int:
        head = self._items[0] if self._items else None
        if isinstance(head, bytearray):
            size = min(len(buffer), len(head))
            buffer[:size] = head[:size]
            del head[:size]
            if not head:
                self._items.popleft()
            return size
        if head or not self._ended:
            raise BlockingIOError
        return 0

    def has_bytes(self) -> bool:
        return bool(self._items) and isinstance(self._items[0], bytearray)

    def when_readable(self, callback: Callback | None) -> None:
        self._reader = callback
        self._watch.callback = self._turn if callback else None
        self._watch.wake()

    def _add(self, item: bytearray | Callback) -> None:
        if not self._ended:
            self._items.append(item)
            self._watch.wake()

    def _turn(self) -> None:
        head = self._items[0] if self._items else None
        if head is not None and not isinstance(head, bytearray):
            self._items.popleft()
            head()
        elif self._reader:
            self._reader()
