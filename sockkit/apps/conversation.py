"""What a client and a server say alike: texts, their encodings, and when it is over."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sockkit.apps.shown import gbk_hint
from sockkit.core.ending import EndOptions, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions, Transcoder
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.net.tcp.session import Talk

TYPIST_LINGER_SECONDS = 1.0  # of silence after Ctrl-D, which end what a person types


class ConversationOptions(Value):
    """`until` None means: both ends, and on a terminal the peer's, or what is typed and then
    a silence of the peer. Times are seconds, `size` is the most bytes to receive at once.
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

    def talk(self, context: Context, label: bytes = b"") -> Talk:
        """What the session of one peer says; lines from it begin with `label`."""
        from sockkit.net.tcp.session import Talk  # a server of many has none

        stdio = context.stdio
        return Talk(
            ending=self.ending(stdio),
            outbound=self.text.outbound(stdio.encoding, "standard input"),
            inbound=self.inbound(stdio, gbk_hint(context.emit)),
            greet=os.fsencode(self.greet),
            reply=None if self.reply is None else os.fsencode(self.reply),
            label=label,
            size=self.size,
        )

    def ending(self, stdio: Stdio) -> EndOptions:
        """When it is over; what a person types ends otherwise than a file or a pipe."""
        if self.until or not stdio.input.terminal:
            return EndOptions(self.until or Until.BOTH, self.linger, self.idle)
        linger = TYPIST_LINGER_SECONDS if self.linger is None else self.linger
        return EndOptions(Until.PEER, linger, self.idle)

    def inbound(self, stdio: Stdio, tell_gbk: Callable[[], None]) -> Transcoder | None:
        """A transform of what one peer sends; `tell_gbk` is called where that looks like GBK."""
        edits: tuple[Edit, ...] = (Printable(),) if stdio.output.terminal else ()
        transcoder = self.text.inbound(stdio.encoding, edits)
        if transcoder and transcoder.source == "utf-8":
            from sockkit.core.gbk import GbkDetector

            transcoder.hear(GbkDetector(tell_gbk).feed)
        return transcoder
