"""What UDP's client and server say alike: texts, their encodings, signatures and labels."""

from __future__ import annotations

import re
from collections.abc import Callable

from sockkit.apps.shown import gbk_hint, label, time_stamp
from sockkit.core.gbk import GbkGuess
from sockkit.core.printable import Printable
from sockkit.core.text import TextOptions
from sockkit.events import Peer
from sockkit.net.context import Context
from sockkit.net.ends.stdio import Stdio
from sockkit.net.udp.datagrams import LARGEST
from sockkit.net.udp.posting import PostOptions
from sockkit.values import Value

_SIGNED = re.compile(r"([^\s:\x00-\x1f\x7f-\x9f][^:\x00-\x1f\x7f-\x9f]{0,31}):")


class DatagramOptions(Value):
    """`name` signs each line, and `hello` and `good_bye`, which are said first and last. A line
    that is one of `quit_words` ends standard input. `size` is the most bytes one receive takes,
    and where standard input is cut that is not lines. `heard` is told of each text that is shown.
    """

    text: TextOptions
    lines: bool = False
    name: str | None = None
    label: bool = False
    size: int | None = None
    hello: str | None = None
    good_bye: str | None = None
    quit_words: tuple[str, ...] = ()
    timestamps: bool = False
    heard: Callable[[str], None] | None = None

    def post(self, context: Context, *, many: bool) -> PostOptions:
        """For these standard streams; `many` peers are labelled on a terminal."""
        stdio = context.stdio
        text = self.lines or self.text.wire or self.text.encoding or self.text.crlf or self.name
        lines = bool(text or stdio.input.terminal)
        shown = bool(text or self.label or stdio.output.terminal)
        pack = self.packer(stdio, "standard input", self.name) if lines else None
        said = [
            pack(text.encode(stdio.encoding)) if pack and text is not None else None
            for text in (self.hello, self.good_bye)
        ]
        return PostOptions(
            min(self.size or LARGEST, LARGEST),
            hold=self.size is not None,
            pack=pack,
            show=self._shower(context, many) if shown else None,
            first=said[0],
            last=said[1],
            quit_words=tuple(word.encode(stdio.encoding) for word in self.quit_words),
        )

    def packer(self, stdio: Stdio, what: str, name: str | None) -> Callable[[bytes], bytes]:
        """What makes a datagram of a line in the user's encoding. It raises TextError."""
        signature = f"{name}:".encode(stdio.encoding, "surrogateescape") if name else b""
        end = b"\n" if self.text.crlf else b""

        def pack(line: bytes) -> bytes:
            line = signature + line + end
            # Each datagram is a text of its own: nothing is carried over.
            transform = self.text.outbound(stdio.encoding, what)
            return transform.feed(line) + transform.flush() if transform else line

        return pack

    def _shower(self, context: Context, many: bool) -> Callable[[Peer, bytes], bytes]:
        stdio, palette = context.stdio, context.palette
        edits = (Printable,) if stdio.output.terminal else ()
        labelled = self.label or (many and stdio.output.terminal)
        tell_gbk = gbk_hint(context.emit)

        def show(peer: Peer, data: bytes) -> bytes:
            transform = self.text.inbound(stdio.encoding, tuple(edit() for edit in edits))
            if transform:
                if transform.source == "utf-8":
                    transform.hear(GbkGuess(tell_gbk).feed)
                data = transform.feed(data) + transform.flush()
            data = data.removesuffix(b"\n")
            begin = time_stamp().encode() if self.timestamps else b""
            text = data.decode(stdio.encoding, "surrogateescape")
            if self.heard:
                self.heard(text)
            if labelled or palette.on:
                signed = _SIGNED.match(text)
                color = palette.color(signed[1]) if signed else palette.of_peer(peer)
                if labelled:
                    begin += label(context, peer, color)
                if signed:
                    text = palette.paint(signed[0], color) + text[signed.end() :]
                    data = text.encode(stdio.encoding, "surrogateescape")
            return begin + data.replace(b"\n", b"\n" + begin) + b"\n"

        return show
