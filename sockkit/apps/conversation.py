"""What a client and a server say alike: texts, their encodings, and when it is over."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions, Transcoder
from sockkit.net.ends.stdio import Stdio
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tcp.session import Talk

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
        from sockkit.net.tcp.session import Talk  # a server of many has none

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
            from sockkit.core.gbk import GbkGuess

            transcoder.hear(GbkGuess(tell_gbk).feed)
        return transcoder
