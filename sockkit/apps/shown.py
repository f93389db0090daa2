"""How received text is shown: labels, times, colours, and a hint about its encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.printable import escape
from sockkit.events import Emit, Notice, Peer
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.chat.view import ChatView


def gbk_hint(emit: Emit) -> Callable[[], None]:
    """A function that emits, the first time it is called, that text looks like GBK."""
    told: list[Notice] = []

    def tell() -> None:
        if not told:
            told.append(Notice("looks like GBK: try -E gbk"))
            emit(told[0])

    return tell


def time_stamp() -> str:
    """The time now, as it begins a line."""
    from datetime import datetime

    return datetime.now().strftime("%H:%M:%S ")


def stamps(context: Context, *, wanted: bool) -> Callable[[], str]:
    """A function that returns the time if it is shown: if `wanted`, or as a person has switched."""
    switch = context.views.switch if context.views else None
    if not switch and not wanted:
        return lambda: ""
    return lambda: time_stamp() if (switch.stamped if switch else wanted) else ""


def beginnings(
    context: Context, *, labelled: bool, timestamps: bool
) -> Callable[[Peer], bytes] | None:
    """A function that makes what begins a peer's lines; None if nothing ever does."""
    switchable = bool(context.views and context.views.switch and context.stdio.output.terminal)
    if not (labelled or timestamps or switchable):
        return None
    stamp, make = stamps(context, wanted=timestamps), labels(context)
    return lambda peer: stamp().encode() + (make(peer) if labelled else b"")


def microsecond_stamp(time: int) -> str:
    """The time of a record, as it begins a heading."""
    from datetime import datetime

    seconds, micros = divmod(time, 1_000_000)
    return f"{datetime.fromtimestamp(seconds):%H:%M:%S}.{micros:06d}"


def labels(context: Context) -> Callable[[Peer], bytes]:
    """A function that makes a peer's label, in the colour of that peer."""
    return lambda peer: label(context, peer, context.palette.of_peer(peer))


def label(context: Context, peer: Peer, color: str) -> bytes:
    """The label of `peer`, in bytes for standard output."""
    shown = escape(f"[{peer.number} {peer.address}]")
    painted = context.palette.paint(shown, color)
    return f"{painted} ".encode(context.stdio.encoding, "backslashreplace")


def chat_view(context: Context, *, timestamps: bool) -> ChatView:
    """The view of a chat room's lines."""
    from sockkit.core.chat.view import ChatView

    palette = context.palette
    return ChatView(
        paint=lambda text, name: palette.paint(text, palette.color(name)),
        mark=palette.highlight,
        stamp=stamps(context, wanted=timestamps),
    )
