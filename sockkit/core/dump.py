"""The hex dump: every byte that passes, in both directions, with offsets and text.

Each message begins a line. Its offset goes on from the last message of its direction. A heading
above it shows what else there is: the time, the peer, the mark of an unusual frame, or that a
datagram is empty.
"""

from __future__ import annotations

from sockkit.core.dump_lines import dump
from sockkit.core.dump_text import TextColumn, TextEncoding
from sockkit.core.flows import Flows
from sockkit.core.headings import Headings
from sockkit.core.records import Begun, Closed, Direction, Message, Record
from sockkit.core.text import TextOptions


class _Flow:
    """One direction of one stream: the offset of its next byte, and its text."""

    __slots__ = ("offset", "text")

    def __init__(self, encoding: TextEncoding | None) -> None:
        self.offset = 0
        self.text = TextColumn(encoding) if encoding else None


class DumpView:
    """Shows records as a hex dump, in the encoding `output`.

    The text is in the encodings that `text` names for each direction; otherwise it is ASCII.
    """

    def __init__(self, text: TextOptions, output: str, headings: Headings) -> None:
        self.headings = headings
        names: dict[Direction, str | None] = {"received": text.encoding, "sent": text.wire}
        encodings = {
            direction: TextEncoding(name, output) if name else None
            for direction, name in names.items()
        }
        self._flows = Flows(lambda direction: _Flow(encodings[direction]))

    def show(self, record: Record) -> bytes:
        """The lines of `record`; none for what a dump does not show."""
        if isinstance(record, Message):
            return self._message(record)
        if isinstance(record, Closed):
            self._flows.forget(record.stream)
        elif isinstance(record, Begun):
            self._flows.clear()
        return self.headings.event(record)

    def count(self, record: Record) -> None:
        """Count the bytes of `record`, which is not shown."""
        if isinstance(record, Message):
            self._flows.of(record.stream, record.direction).offset += len(record.data)
        else:
            self.show(record)

    def _message(self, message: Message) -> bytes:
        _, stream, direction, data, mark = message
        flow = self._flows.of(stream, direction)
        start = flow.offset
        flow.offset += len(data)
        if flow.text and stream.datagrams:
            flow.text.reset()
        if flow.text and not flow.text.plain(data):
            shown = flow.text.dump(self.headings.marks[direction], start, data)
        else:
            shown = dump(self.headings.marks[direction], start, data)
        if self.headings.wanted or mark or not data:
            size = f"{len(data)} byte{'' if len(data) == 1 else 's'}"
            words = f"{size}, {mark}" if mark else size
            return self.headings.about(message, words) + shown
        return shown
