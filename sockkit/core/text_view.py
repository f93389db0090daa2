"""Shows records as lines of text, with a mark for each direction.

A line goes on in the next message of its direction, unless something else passed in between. A line
about an event has `*` after the mark, so that no peer can forge one.
"""

from __future__ import annotations

from typing import NamedTuple

from sockkit.core.flows import Flows
from sockkit.core.headings import Headings
from sockkit.core.printable import Printable
from sockkit.core.records import Begun, Closed, Direction, Ended, Exit, Message, Record, Stream
from sockkit.core.text import TextOptions, Transcoder

_EVENT = b"*"


class _Source(NamedTuple):
    stream: Stream
    direction: Direction


class TextView:
    """Shows records as lines of text in the encoding `output`; on a `terminal` safe to show there.

    Without an encoding in `text`, and not on a terminal, the bytes are shown as they are.
    """

    def __init__(
        self, text: TextOptions, output: str, headings: Headings, *, terminal: bool
    ) -> None:
        self._text, self._output, self._headings = text, output, headings
        self._terminal = terminal
        self._flows: Flows[Transcoder | None] = Flows(self._transcoder)
        self._unfinished: _Source | None = None  # the flow whose line has not ended

    def show(self, record: Record) -> bytes:
        """The lines of `record`. Raises TextError if `text` refuses undecodable bytes."""
        match record:
            case Message():
                return self._message(record)
            case Ended(time, stream, direction):
                held = self._rest(time, _Source(stream, direction))
                return held + self._event(record)
            case Closed(time, stream):
                held = self._rest(time, _Source(stream, "received"))
                held += self._rest(time, _Source(stream, "sent"))
                self._flows.forget(stream)
                return held + self._event(record)
            case Begun():
                self._flows.clear()
                return self.flush()
            case Exit():
                return self.flush()
        return self._event(record)

    def flush(self) -> bytes:
        """The end of the last line, if it has none."""
        unfinished, self._unfinished = self._unfinished, None
        return b"\n" if unfinished else b""

    def _transcoder(self, direction: Direction) -> Transcoder | None:
        encoding = self._text.wire if direction == "sent" else self._text.encoding
        edits = (Printable(),) if self._terminal else ()
        return TextOptions(encoding, errors=self._text.errors).inbound(self._output, edits)

    def _event(self, record: Record) -> bytes:
        line = self._headings.event(record, _EVENT)
        return self.flush() + line if line else b""

    def _message(self, message: Message) -> bytes:
        time, stream, direction, data, mark = message
        source = _Source(stream, direction)
        note = self.flush() + self._headings.about(message, mark, _EVENT) if mark else b""
        if stream.datagrams:
            return note + self._datagram(time, source, data)
        transcoder = self._flows.of(stream, direction)
        shown = transcoder.feed(data) if transcoder else data
        return note + self._lines(time, source, shown) if shown else note

    def _datagram(self, time: int, source: _Source, data: bytes) -> bytes:
        """A datagram is decoded by itself, and ends its last line."""
        if transcoder := self._transcoder(source.direction):
            data = transcoder.feed(data) + transcoder.flush()
        return self._lines(time, source, data.removesuffix(b"\n") + b"\n")

    def _rest(self, time: int, source: _Source) -> bytes:
        """The held text of a direction that has ended."""
        transcoder = None if source.stream.datagrams else self._flows.of(*source)
        held = transcoder.flush() if transcoder else b""
        return self._lines(time, source, held) if held else b""

    def _lines(self, time: int, source: _Source, text: bytes) -> bytes:
        begin = self._headings.begin(time, *source)
        shown = text.removesuffix(b"\n").replace(b"\n", b"\n" + begin)
        if source != self._unfinished:
            shown = self.flush() + begin + shown
        ended = text.endswith(b"\n")
        self._unfinished = None if ended else source
        return shown + b"\n" if ended else shown
