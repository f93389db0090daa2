"""What a whole run shares, handed down as one value from the command line to the sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sockkit.events import Emit, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.values import Value


class Palette(Protocol):
    """The colours of standard output; `on` is whether there are any. See term/color.py."""

    on: bool

    def color(self, *names: str) -> str: ...

    def of_peer(self, peer: Peer) -> str: ...

    def paint(self, text: str, color: str) -> str: ...

    def highlight(self, text: str) -> str: ...


class Context(Value):
    """The loop everything waits on, the standard streams, and where events go.

    `palette` is for what is written to standard output, `environment` are the variables of this
    process: below `cli/` nobody reads them anywhere else.
    """

    loop: Loop
    stdio: Stdio
    emit: Emit
    palette: Palette
    environment: Mapping[str, str]
