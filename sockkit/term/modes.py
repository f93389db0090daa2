"""A terminal's settings, to be restored by an end that cannot wait."""

from __future__ import annotations

import contextlib
from typing import Any

from sockkit.system import termios
from sockkit.term.foreground import in_background


class Modes:
    """The settings of the terminal `descriptor`, as they were when `save` was called last."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None

    def save(self) -> None:
        """Raises termios.error where the terminal has gone."""
        self._saved = termios.tcgetattr(self._descriptor)

    def restore(self) -> None:
        """Unless it is another job's terminal, or has gone."""
        with contextlib.suppress(termios.error):
            if self._saved and not in_background(self._descriptor):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._saved)
