"""What the tests of the command line share."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest


class Tty:
    """What the system says of the terminal, in place of it."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        *,
        there: bool = True,
        ours: bool = True,
        answer: str | None = "h\udcff",
    ) -> None:
        self._there, self._open = there, os.open
        patch.setattr(os, "open", self.open)
        patch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + (not ours))
        patch.setattr("getpass.getpass", self.ask)
        self._answer = answer
        self.asked: list[str] = []

    def open(self, path: str, *more: Any) -> int:
        if path != "/dev/tty":
            return self._open(path, *more)
        if not self._there:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        return self._open(os.devnull, *more)

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        if self._answer is None:
            raise EOFError
        return self._answer
