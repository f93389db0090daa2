"""What a client and a server say alike: texts, their encodings, and when it is over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable, escape
from sockkit.core.text import Edit, TextOptions, Transcoder
from sockkit.events import Emit, Notice, Peer
from sockkit.net.session import Talk
from sockkit.net.stdio import Stdio
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.term.color import Palette

TYPIST_LINGER = 1.0  # seconds of silence after Ctrl-D that end what a person types


class TalkOptions(Value):
    """`until` None means: both ends, and on a terminal the peer's, or what is typed and then
    a silence of the peer. Times are seconds, `size` is the most bytes one receive takes.
    """

    text: TextOptions
    until: Until | None = None
    linger: float | None = None
    idle: float | None = None
    size: int | None = None
    greet: str = ""
    reply: str | None = None

    def check(self, stdio: Stdio) -> None:
        """Raise TextError if `greet` or `reply` cannot be said in the wire's encoding."""
        for option, text in (("--greet", self.greet), ("--reply", self.reply or "")):
            if transform := self.text.outbound(stdio.encoding, option):
                transform.feed(os.fsencode(text))
                transform.flush()

    def talk(self, stdio: Stdio, tell_gbk: Callable[[], None], label: bytes = b"") -> Talk:
        return Talk(
            ending=self.ending(stdio),
            outbound=self.text.outbound(stdio.encoding, "standard input"),
            inbound=self.inbound(stdio, tell_gbk),
            greet=os.fsencode(self.greet),
            reply=None if self.reply is None else os.fsencode(self.reply),
            label=label,
            size=self.size,
        )

    def ending(self, stdio: Stdio) -> EndOptions:
        if self.until or not stdio.input.terminal:
            return EndOptions(self.until or Until.BOTH, self.linger, self.idle)
        linger = TYPIST_LINGER if self.linger is None else self.linger
        return EndOptions(Until.PEER, linger, self.idle)

    def inbound(self, stdio: Stdio, tell_gbk: Callable[[], None]) -> Transcoder | None:
        edits: tuple[Edit, ...] = (Printable(),) if stdio.output.terminal else ()
        transcoder = self.text.inbound(stdio.encoding, edits)
        if transcoder and transcoder.source == "utf-8":
            from sockkit.core.guess import GbkGuess

            transcoder.hear(GbkGuess(tell_gbk).feed)
        return transcoder


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
    from sockkit.term.color import Palette, wanted

    palette = Palette(wanted(stdio.output.terminal, os.environ), colors)

    return lambda peer: label(palette, peer, palette.of_peer(peer), stdio)


def label(palette: Palette, peer: Peer, color: str, stdio: Stdio) -> bytes:
    """What begins a line of `peer`."""
    shown = escape(f"[{peer.number} {peer.address}]")
    return f"{palette.paint(shown, color)} ".encode(stdio.encoding, "backslashreplace")
