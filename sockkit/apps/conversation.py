"""What a client and a server say alike: texts, their encodings, and when it is over."""

from __future__ import annotations

import os
from typing import NamedTuple

from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions, Transcoder
from sockkit.net.session import Talk
from sockkit.net.stdio import Stdio


class TalkOptions(NamedTuple):
    """`until` None means: both ends, and on a terminal the peer's. Times are seconds, `size`
    is the most bytes one receive takes.
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

    def talk(self, stdio: Stdio, label: str = "") -> Talk:
        return Talk(
            ending=self.ending(stdio),
            outbound=self.text.outbound(stdio.encoding, "standard input"),
            inbound=self.inbound(stdio),
            greet=os.fsencode(self.greet),
            reply=None if self.reply is None else os.fsencode(self.reply),
            label=label.encode(),
            size=self.size,
        )

    def ending(self, stdio: Stdio) -> EndOptions:
        until = self.until or (Until.PEER if stdio.input.terminal else Until.BOTH)
        return EndOptions(until, self.linger, self.idle)

    def inbound(self, stdio: Stdio) -> Transcoder | None:
        edits: tuple[Edit, ...] = (Printable(),) if stdio.output.terminal else ()
        return self.text.inbound(stdio.encoding, edits)
