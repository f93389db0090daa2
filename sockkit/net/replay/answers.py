"""Standard output of `replay`: the bytes received, and differences from the recording."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.errors import Differs
from sockkit.net.context import Context
from sockkit.net.outbox import Outbox


class Answers(Outbox):
    """An outbox for standard output. `on_room` is called when no bytes wait any more."""

    def __init__(self, context: Context) -> None:
        self._loop = context.loop
        self.on_room: Callable[[], None] = lambda: None
        super().__init__(context.stdio.output, on_empty=self._written)

    def _written(self) -> None:
        self.on_room()

    def show(self, error: Differs) -> None:
        self.put(error.dumps.encode())

    def drain(self) -> None:
        """Run the loop until all is written. Raises SockkitError if writing fails."""
        self.on_room = lambda: None
        self.run_until_empty(self._loop)
