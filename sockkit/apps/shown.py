"""How what arrives is shown: labels, times, colours, and a hint at its encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.printable import escape
from sockkit.events import Emit, Notice, Peer
from sockkit.net.context import Context, Palette

if TYPE_CHECKING:
    from sockkit.core.chat.view import ChatView


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


def labels(context: Context) -> Callable[[Peer], bytes]:
    """What gives each peer the label its lines begin with, in its colour."""
    return lambda peer: label(context, peer, context.palette.of_peer(peer))


def label(context: Context, peer: Peer, color: str) -> bytes:
    """What begins a line of `peer`."""
    shown = escape(f"[{peer.number} {peer.address}]")
    painted = context.palette.paint(shown, color)
    return f"{painted} ".encode(context.stdio.encoding, "backslashreplace")


def chat_view(palette: Palette, *, timestamps: bool) -> ChatView:
    """How the lines of a room look in these colours."""
    from sockkit.core.chat.view import ChatView

    return ChatView(
        paint=lambda text, name: palette.paint(text, palette.color(name)),
        mark=palette.highlight,
        stamp=time_stamp if timestamps else lambda: "",
    )
