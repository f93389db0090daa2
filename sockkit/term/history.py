"""The history of typed lines, kept from run to run."""

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
    """The history in the file `path`; only in memory if that is None or cannot be written."""
    if path is None:
        return InMemoryHistory()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # Opening a FIFO that nobody reads must not block.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return InMemoryHistory()
            os.fchmod(file, 0o600)  # a typed line may be a password: nobody else may read it
        finally:
            os.close(file)
    except OSError:
        return InMemoryHistory()
    return _Lines(path)


def history_path(name: str, state: str, home: str) -> str | None:
    """The history file of the command `name`, by the XDG base directory specification.

    `state` is the value of XDG_STATE_HOME, which may be empty; `home` is the user's home directory.
    None if neither is absolute.
    """
    if not os.path.isabs(state):
        if not os.path.isabs(home):
            return None
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "sockkit", f"{name}-history")
