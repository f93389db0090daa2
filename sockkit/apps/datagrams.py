"""Turns lines into datagrams and datagrams into lines: encodings, signatures and labels."""

from __future__ import annotations

import re

from sockkit.apps.shown import ReceivedHints, label, stamps
from sockkit.core.printable import Printable
from sockkit.core.text import TextOptions
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.values import Value

_SIGNED = re.compile(r"([^\s:\x00-\x1f\x7f-\x9f][^:\x00-\x1f\x7f-\x9f]{0,31}):")


class DatagramOptions(Value):
    """`name` signs each line. With `recv_only` no line is sent, with `send_only` none is shown."""

    text: TextOptions
    lines: bool = False
    name: str | None = None
    label: bool = False
    timestamps: bool = False
    recv_only: bool = False
    send_only: bool = False


class Messages:
    """Makes datagrams of lines, and lines of datagrams.

    Each datagram is encoded or decoded by itself. `packs` says whether standard input is lines,
    `shows` whether standard output is. On a terminal both are, and with `many` peers each line gets
    a label. `drops` says whether received datagrams are dropped.
    """

    hello: bytes | None = None
    good_bye: bytes | None = None

    def __init__(self, options: DatagramOptions, context: Context, *, many: bool) -> None:
        text, stdio = options.text, context.stdio
        lines = options.lines or text.wire or text.encoding or text.crlf or options.name
        self.packs = bool(lines or text.notation or stdio.input.terminal)
        shown = lines or options.label or options.timestamps or stdio.output.terminal
        self.shows = bool(shown and not options.send_only)
        self.drops = options.send_only
        self._text, self._context, self._encoding = text, context, stdio.encoding
        name = f"{options.name}:" if options.name else ""
        self._signature = name.encode(stdio.encoding, "surrogateescape")
        self._typed = stdio.input.terminal
        self._packed = 0  # how many lines
        self._on_terminal = stdio.output.terminal
        self._labelled = options.label or (many and self._on_terminal)
        self._stamp = stamps(context, wanted=options.timestamps)
        self._hints = ReceivedHints(context)

    def pack(self, line: bytes) -> bytes:
        """The datagram of a line in the user's encoding, signed. Raises TextError."""
        self._packed += 1
        return self.encode(self._signature + line, "stdin", self._packed - 1)

    def encode(self, line: bytes, what: str, lines: int = 0) -> bytes:
        """The datagram of an unsigned line. `what` names the input; `lines` of it came before."""
        if self._text.crlf:
            line += b"\n"
        transform = self._text.outbound(self._encoding, what, lines)
        return transform.feed(line) + transform.flush() if transform else line

    def skips(self, line: bytes) -> bool:
        """Whether to send nothing for `line`: an empty typed line, if lines are signed."""
        return bool(self._signature) and self._typed and not line

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        """The lines before the one that quits: all of them, as no line does."""
        return lines

    def decode(self, datagram: bytes) -> bytes:
        """A datagram's text in the user's encoding, without a last line end. Raises TextError."""
        edits = (Printable(),) if self._on_terminal else ()
        transform = self._text.inbound(self._encoding, edits)
        if transform:
            self._hints.listen(transform)
            datagram = transform.feed(datagram) + transform.flush()
        return datagram.removesuffix(b"\n")

    def show(self, peer: Peer, datagram: bytes) -> bytes:
        """The lines of a datagram, each with a time and a label as asked. Raises TextError."""
        data = self.decode(datagram)
        begin = self._stamp().encode()
        palette = self._context.palette
        if self._labelled or palette.on:
            text = data.decode(self._encoding, "surrogateescape")
            signed = _SIGNED.match(text)
            if self._labelled:
                begin += label(self._context, peer, palette.of_peer(peer))
            if signed:
                name = palette.paint(signed[0], palette.color(signed[1]))
                text = name + text[signed.end() :]
                data = text.encode(self._encoding, "surrogateescape")
        return begin + data.replace(b"\n", b"\n" + begin) + b"\n"
