"""The views of `show`: a recording's lines as text, a hex dump, JSON or packets.

A view gets every line, even one that is not to be shown, as it has to know where a run begins. Text
is in the encodings of its run, unless the user names others.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from sockkit.core.printable import escape
from sockkit.core.recording import Line
from sockkit.core.records import Begun, Exit, Listening, Record, Stream
from sockkit.core.text import TextOptions
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.headings import Headings
    from sockkit.net.views import View


class RecordView(Protocol):
    def begin(self) -> bytes:
        """The beginning of the output."""
        ...

    def show(self, line: Line, /) -> bytes: ...

    def pass_over(self, record: Record, /) -> bytes:
        """Handle a `record` that is not to be shown. Returns the end of the line before it."""
        ...


class PacketView:
    def __init__(self) -> None:
        from sockkit.core.pcapng import Pcapng

        self._packets = Pcapng()
        self.begin = self._packets.begin

    def show(self, line: Line) -> bytes:
        return self._packets.show(line.record)

    def pass_over(self, record: Record) -> bytes:
        return b""


class JsonView:
    """Shows a line as it is, unless an encoding is asked for, or it contains characters that a
    terminal would obey.
    """

    def __init__(self, text: TextOptions) -> None:
        from sockkit.core.json_lines import JsonLines

        self._as_it_is = not text.wire
        self._lines = JsonLines(sent=text.wire, received=text.encoding)

    def begin(self) -> bytes:
        return b""

    def show(self, line: Line) -> bytes:
        if self._as_it_is:
            told = str(line.line, "utf-8")
            if escape(told) == told:
                return line.line + b"\n"
        return self._lines.show(line.record)

    def pass_over(self, record: Record) -> bytes:
        return b""


class LineView:
    """Shows records as text, or as a hex `dump`, in the encodings of `text` or of their run.

    Each run is viewed by itself. All but the first begin with a line that names the command. If the
    first stream of a run has number 0, the only peer of a client, peers have no labels.
    """

    def __init__(
        self, context: Context, text: TextOptions, *, dump: bool, timestamps: bool
    ) -> None:
        self._context, self._text, self._dump, self._timestamps = context, text, dump, timestamps
        self._run: Begun | None = None
        self._view: View | None = None

    def begin(self) -> bytes:
        return b""

    def show(self, line: Line) -> bytes:
        record = line.record
        if isinstance(record, Begun):
            another = self._run is not None
            ended = self.pass_over(record)
            return ended + self._beginning(record) if another else ended
        if not self._view:
            if isinstance(record, Listening | Exit):
                return b""
            self._view = self._make(record.stream)
        return self._view.show(record)

    def pass_over(self, record: Record) -> bytes:
        if not isinstance(record, Begun):
            return b""
        view, self._view, self._run = self._view, None, record
        return view.show(record) if view else b""

    def _beginning(self, begun: Begun) -> bytes:
        """The line that begins another run. No peer can forge it: received lines begin with <."""
        from sockkit.apps.shown import microsecond_stamp

        stamp = microsecond_stamp(begun.time, dated=True)
        told = f"* {stamp} {escape(begun.command)} started\n"
        return told.encode(self._context.stdio.encoding, "backslashreplace")

    def _make(self, first: Stream) -> View:
        stdio, text = self._context.stdio, self._text
        if run := self._run:
            text = text.of_run(run.encoding, run.send_encoding)
        headings = self._headings(labelled=first.number > 0)
        if self._dump:
            from sockkit.core.dump import DumpView

            return DumpView(text, stdio.encoding, headings)
        from sockkit.core.text_view import TextView

        return TextView(text, stdio.encoding, headings, terminal=stdio.output.terminal)

    def _headings(self, *, labelled: bool) -> Headings:
        from sockkit.apps.shown import labels, microsecond_stamp
        from sockkit.core.headings import Headings

        palette = self._context.palette
        stamp = partial(microsecond_stamp, dated=True)  # a recording may be old
        return Headings(
            paint=palette.paint,
            stamp=stamp if self._timestamps else None,
            label=labels(self._context) if labelled else None,
        )
