"""The context of a run: one value with everything that its parts share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from sockkit.events import Emit, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.views import Views

Moved = Callable[[], tuple[int, int]]  # the bytes sent and received so far


class Palette(Protocol):
    """The colours of standard output; `on` is whether colours are used. See term/color.py."""

    on: bool

    def color(self, *names: str) -> str: ...

    def of_peer(self, peer: Peer) -> str: ...

    def paint(self, text: str, color: str) -> str: ...

    def highlight(self, text: str) -> str: ...


class Context(Value):
    """The loop, the standard streams, and `emit`, which emits events.

    `palette` colours standard output. `environment` holds the environment variables; nothing below
    `cli/` reads them from anywhere else. `views` sees all traffic; it is None without a view. A
    command enters the context manager that `progress` returns: with --progress, the progress of the
    counters passed to it is then shown.
    """

    loop: Loop
    stdio: Stdio
    emit: Emit
    palette: Palette
    environment: Mapping[str, str]
    views: Views | None = None
    progress: Callable[[Moved], AbstractContextManager[None]] = lambda _: nullcontext()
