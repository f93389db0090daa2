"""How what arrives is shown: labels, times, colours, and a hint at its encoding."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sockkit.core.printable import escape
from sockkit.events import Emit, Notice, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.term.color import Palette, wanted

if TYPE_CHECKING:
    from sockkit.core.chat_view import ChatView


def gbk_hint(emit: Emit) -> Callable[[], None]:
    """What says, once however often it is called, that text looks like GBK."""
    told: list[Notice] = []

    def tell() -> None:
        if not told:
            told.append(Notice("looks like GBK: try -E gbk"))
            emit(told[0])

    return tell


def time_stamp() -> str:
    """What begins a line that says when it came."""
    from datetime import datetime

    return datetime.now().strftime("%H:%M:%S ")


def labels(stdio: Stdio, colors: Mapping[str, str]) -> Callable[[Peer], bytes]:
    """What gives each peer the label its lines begin with, in its colour."""
    palette = Palette(wanted(stdio.output.terminal, os.environ), colors)

    return lambda peer: label(palette, peer, palette.of_peer(peer), stdio)


def label(palette: Palette, peer: Peer, color: str, stdio: Stdio) -> bytes:
    """What begins a line of `peer`."""
    shown = escape(f"[{peer.number} {peer.address}]")
    return f"{palette.paint(shown, color)} ".encode(stdio.encoding, "backslashreplace")


def chat_view(stdio: Stdio, colors: Mapping[str, str], *, timestamps: bool) -> ChatView:
    """How lines look on this standard output."""
    from sockkit.core.chat_view import ChatView

    palette = Palette(wanted(stdio.output.terminal, os.environ), colors)
    return ChatView(
        paint=lambda text, name: palette.paint(text, palette.color(name)),
        mark=palette.highlight,
        stamp=time_stamp if timestamps else lambda: "",
    )
