"""The lines a person has typed, kept from run to run."""

from __future__ import annotations

import os
import stat

from prompt_toolkit.history import FileHistory, History, InMemoryHistory


class _Lines(FileHistory):
    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError:
            pass  # the disk is full: the line stays in this run's history


def history_of(path: str | None) -> History:
    """The lines kept in `path`; those of this run alone where it cannot be written."""
    if path is None:
        return InMemoryHistory()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # A FIFO, which nobody reads, must not hold us up.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return InMemoryHistory()
            os.fchmod(file, 0o600)  # what one types may be a password: nobody else reads it
        finally:
            os.close(file)
    except OSError:
        return InMemoryHistory()
    return _Lines(path)


def history_path(name: str, state: str, home: str) -> str | None:
    """Where the lines typed at `name` are kept, by the XDG base directory specification.

    `state` is what XDG_STATE_HOME says, which may be nothing; `home` the user's home directory.
    """
    if not os.path.isabs(state):
        if not os.path.isabs(home):
            return None
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "sockkit", f"{name}-history")
