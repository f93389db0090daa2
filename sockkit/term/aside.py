"""A line that was put aside while a command is typed in its place."""

from __future__ import annotations

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory


class Aside:
    """Puts the line in `buffer` aside. Commands have a history of their own, of this run."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._line: Document | None = None
        self._lines, self._commands = buffer.history, InMemoryHistory()

    @property
    def open(self) -> bool:
        """Whether a command is being typed."""
        return self._line is not None

    def begin(self) -> None:
        """Put the line aside."""
        self._line = self._buffer.document
        self._buffer.history = self._commands
        self._buffer.reset()

    def accept(self) -> str:
        """Continue the line. Returns the command that was typed; it may be empty."""
        command = self._buffer.text.strip()
        if command:
            self._commands.append_string(command)
        self.end()
        return command

    def end(self) -> None:
        """Continue the line, and forget the command."""
        line, self._line = self._line, None
        self._buffer.history = self._lines
        self._buffer.reset(line)
