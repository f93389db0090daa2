"""Options that tcp-client and tcp-server share: texts, encodings, and when a conversation ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.one_way import check_one_way
from sockkit.apps.shown import ReceivedHints, beginnings
from sockkit.core.ending import EndOptions, HalfClose, Until
from sockkit.core.printable import Printable
from sockkit.core.text import Edit, TextOptions, Transcoder
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.frames import FrameRule
    from sockkit.net.tcp.session import Session, SessionOptions

TYPIST_LINGER_SECONDS = 1.0  # of the peer's silence after Ctrl-D at a terminal


class ConversationOptions(Value):
    """The options of a conversation. Times are in seconds.

    If `until` is None, both sides have to end; at a terminal the peer has to, or the input ends and
    the peer is silent for a while. If `half_close` is None, it is NOW, or AUTO where a half-close
    may cost the answer. With `recv_only` there is no input, and the peer has to end. With
    `send_only` only the input has to end, and received bytes are dropped. A label, and with
    `timestamps` a time, begins each line, or each frame if there is a rule `frame`.
    """

    text: TextOptions
    until: Until | None = None
    linger: float | None = None
    idle: float | None = None
    greet: str = ""
    reply: str | None = None
    half_close: HalfClose | None = None
    recv_only: bool = False
    send_only: bool = False
    frame: FrameRule | None = None
    timestamps: bool = False

    def check(self, stdio: Stdio) -> None:
        """Raise TextError if `greet` or `reply` cannot be encoded, UsageError if it is not in the
        notation of `text`.
        """
        for option, text in (("--greet", self.greet), ("--reply", self.reply or "")):
            self.text.check(stdio.encoding, option, os.fsencode(text))

    def check_one_way(self, **unshown: object) -> None:
        """Raise UsageError for options that exclude each other. `unshown` concern the output."""
        ends = {"until": self.until, "half_close": self.half_close}
        check_one_way(self, {**ends, "linger": self.linger}, {**ends, **unshown})

    def session_options(
        self, context: Context, labelled: Peer | None = None, *, fragile: bool = False
    ) -> SessionOptions:
        """The options of a session with one peer. Its lines have a label if it is `labelled`."""
        from sockkit.net.tcp.session import SessionOptions  # a server of many has no session

        stdio = context.stdio
        ending = self.ending(stdio)._replace(half_close=self.when_to_half_close(fragile))
        if self.send_only:
            ending = ending._replace(until=Until.STDIN, linger=self.linger)
        return SessionOptions(
            ending=ending,
            outbound=self.text.outbound(stdio.encoding, "stdin"),
            inbound=self.inbound(stdio, ReceivedHints(context)),
            greet=os.fsencode(self.greet),
            reply=None if self.reply is None else os.fsencode(self.reply),
            label=self._beginning(context, labelled),
            frame=self.frame,
            may_half_close=not (self.recv_only or self.send_only),
            ends_output=True,
        )

    def _beginning(self, context: Context, peer: Peer | None) -> Callable[[], bytes] | None:
        begin = beginnings(context, labelled=bool(peer), timestamps=self.timestamps)
        return partial(begin, peer or Peer(0, "")) if begin else None

    def offer_commands(self, context: Context, session: Session) -> None:
        """Offer the commands of the Ctrl-] prompt, if there is a line editor."""
        if context.stdio.offer:
            from sockkit.apps.prompt import client_commands, listener_commands, offer_commands

            make = client_commands if self.reply is None else listener_commands
            offer_commands(context, make(context, session))

    def when_to_half_close(self, fragile: bool) -> HalfClose:
        """`fragile` says that a half-close may cost the answer.

        Many peers drop the answer when they receive the end of TLS, and many proxies then close
        both directions.
        """
        if self.recv_only:
            return HalfClose.NEVER
        return self.half_close or (HalfClose.AUTO if fragile else HalfClose.NOW)

    def ending(self, stdio: Stdio) -> EndOptions:
        """When the conversation is over. The default for a terminal differs from that for a file or
        pipe.
        """
        if self.recv_only:
            return EndOptions(Until.PEER, idle=self.idle)
        if self.until or not stdio.input.terminal:
            return EndOptions(self.until or Until.BOTH, self.linger, self.idle)
        linger = TYPIST_LINGER_SECONDS if self.linger is None else self.linger
        return EndOptions(Until.PEER, linger, self.idle)

    def inbound(self, stdio: Stdio, hints: ReceivedHints) -> Transcoder | None:
        """The transform for the bytes of one peer; None for bytes as they are."""
        if self.send_only:
            return None
        edits: tuple[Edit, ...] = (Printable(),) if stdio.output.terminal else ()
        transcoder = self.text.inbound(stdio.encoding, edits)
        if transcoder:
            hints.listen(transcoder)
        return transcoder
