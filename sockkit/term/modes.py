"""A terminal's settings, restored before an exit that cannot wait."""

from __future__ import annotations

import contextlib
from typing import Any

from sockkit.system import termios
from sockkit.term.foreground import in_background


class Modes:
    """The settings of the terminal `descriptor`, as of the last `save`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None

    def save(self) -> None:
        """Save the settings. Raises termios.error if the terminal has gone."""
        self._saved = termios.tcgetattr(self._descriptor)

    def restore(self) -> None:
        """Restore the settings, unless we are in the background or the terminal has gone."""
        with contextlib.suppress(termios.error):
            if self._saved and not in_background(self._descriptor):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._saved)
