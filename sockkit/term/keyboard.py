"""The keyboard of a terminal that several jobs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from sockkit.term.foreground import in_background

if TYPE_CHECKING:
    from prompt_toolkit.input.vt100 import Vt100Input


def keyboard(stream: TextIO) -> Vt100Input:
    """The input of the terminal `stream`. Does not change its settings while in the background.

    The import is here because it needs termios.
    """
    from prompt_toolkit.input.vt100 import Vt100Input, raw_mode

    class RawMode(raw_mode):
        def __exit__(self, *error: object) -> None:
            if not in_background(self.fileno):
                super().__exit__(*error)

    class Keyboard(Vt100Input):
        def raw_mode(self) -> raw_mode:
            return RawMode(self.fileno())

    return Keyboard(stream)
