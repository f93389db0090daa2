"""How received text is shown: labels, times, colours, and hints about what it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.core.printable import escape_address
from sockkit.events import Notice, Peer
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.chat.view import ChatView
    from sockkit.core.text import Transcoder


GBK = "looks like GBK: try -E gbk"
BINARY = "some of this is not text: Ctrl-] view hex shows the bytes"


class ReceivedHints:
    """Emits hints, each once, if received bytes do not look like text in the expected encoding."""

    def __init__(self, context: Context) -> None:
        self._emit = context.emit
        self._told: set[str] = set()
        views = context.views
        self._views = views if context.stdio.offer and views and views.switch else None

    def listen(self, transcoder: Transcoder) -> None:
        """Examine all bytes that are fed to `transcoder`."""
        source = transcoder.source
        if source == "utf-8":
            from sockkit.core.gbk import GbkDetector

            transcoder.hear(GbkDetector(partial(self._tell, GBK)).feed)
        if self._views:
            from sockkit.core.binary import binary_detector

            if detector := binary_detector(source, self._tell_of_views):
                transcoder.hear(detector.feed)

    def _tell_of_views(self) -> None:
        screen = self._views.screen if self._views else None
        if screen and not screen.view:  # otherwise the bytes are shown already
            self._tell(BINARY)

    def _tell(self, hint: str) -> None:
        if hint not in self._told:
            self._told.add(hint)
            self._emit(Notice(hint))


def time_stamp() -> str:
    """The time now and a space, to begin a line."""
    from datetime import datetime

    return datetime.now().strftime("%H:%M:%S ")


def stamps(context: Context, *, wanted: bool) -> Callable[[], str]:
    """A function that returns the time to show, or "" if times are neither `wanted` nor switched
    on.
    """
    switch = context.views.switch if context.views else None
    if not switch and not wanted:
        return lambda: ""
    time_stamp()  # imports now: later a server may be out of descriptors
    return lambda: time_stamp() if (switch.stamped if switch else wanted) else ""


def beginnings(
    context: Context, *, labelled: bool, timestamps: bool
) -> Callable[[Peer], bytes] | None:
    """A function that makes the beginning of a peer's lines; None if they never have one."""
    switchable = bool(context.views and context.views.switch and context.stdio.output.terminal)
    if not (labelled or timestamps or switchable):
        return None
    stamp, make = stamps(context, wanted=timestamps), labels(context)
    return lambda peer: stamp().encode() + (make(peer) if labelled else b"")


def microsecond_stamp(time: int, *, dated: bool = False) -> str:
    """The local time of a record, which is in microseconds; with the date if `dated`."""
    from datetime import datetime

    second, rest = divmod(time, 1_000_000)
    wanted = "%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S"
    return f"{datetime.fromtimestamp(second):{wanted}}.{rest:06d}"


def labels(context: Context) -> Callable[[Peer], bytes]:
    """A function that makes a peer's label, in the colour of that peer."""
    return lambda peer: label(context, peer, context.palette.of_peer(peer))


def label(context: Context, peer: Peer, color: str) -> bytes:
    """The label of `peer`, in bytes for standard output."""
    shown = f"[{peer.number} {escape_address(peer.address)}]"
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
