"""What a run shares: one value, handed down from the command line to the sockets."""

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
    """The loop, the standard streams, and the function that events are emitted by.

    `palette` colours standard output. `environment` holds the variables of this process; nothing
    below `cli/` reads them from anywhere else. `views` look at all bytes that pass; None if nobody
    looks. While what `progress` returns is entered, the progress of what it gets the counters of is
    shown, if that was asked for.
    """

    loop: Loop
    stdio: Stdio
    emit: Emit
    palette: Palette
    environment: Mapping[str, str]
    views: Views | None = None
    progress: Callable[[Moved], AbstractContextManager[None]] = lambda _: nullcontext()
