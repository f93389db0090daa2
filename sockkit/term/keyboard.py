"""The keys of a terminal that several jobs share."""

from __future__ import annotations

from prompt_toolkit.input.vt100 import Vt100Input, raw_mode

from sockkit.term.foreground import in_background


class Keyboard(Vt100Input):
    """The terminal, whose settings are left alone while it is another job's."""

    def raw_mode(self) -> raw_mode:
        return _RawMode(self.fileno())


class _RawMode(raw_mode):
    def __exit__(self, *error: object) -> None:
        if not in_background(self.fileno):
            super().__exit__(*error)
