"""Decodes a recording, in pieces of any size, into records.

A recording begins with the event `begun`. Its last line may be cut, as by a kill; any other invalid
line means that the recording is damaged.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import NamedTuple

from sockkit.core.json_lines import HEAD, MAX_LINE_BYTES, decode
from sockkit.core.records import Begun, Exit, Record
from sockkit.errors import SockkitError

CUT = "its last line is incomplete"
NO_END = "it has no end: the command was killed or is still running"
EMPTY = "it is empty"
_MARKED = "an editor has put a byte-order mark before it, save it without one"


class Line(NamedTuple):
    """A record, and the line that it was decoded from, without the line end."""

    record: Record
    line: bytes


class Reader:
    """Makes records from the bytes of a recording. `name` is for errors.

    A reader may begin in the middle of one, after `lines` lines. At the end, `missing` says what an
    unfinished recording lacks.
    """

    def __init__(self, name: str, lines: int = 0) -> None:
        self._name = name
        self.held = bytearray()  # an incomplete line
        self._midst = lines > 0
        self._number = lines  # of the last complete line
        self._last: Record | None = None
        self.missing = ""

    def feed(self, data: bytes) -> Iterator[Line]:
        """The records in `data`. Raises SockkitError at an invalid line, after the records before
        it.
        """
        self.held += data
        if b"\n" in data:
            *lines, rest = bytes(self.held).split(b"\n")
            self.held = bytearray(rest)
            for line in lines:
                yield self._line(line)
        if len(self.held) > MAX_LINE_BYTES:
            self._line(bytes(self.held))

    def flush(self) -> Iterator[Line]:
        """The recording ends here: a last line without a line end counts if it is complete."""
        held, self.held = bytes(self.held), bytearray()
        if held:
            try:
                decode(held)
            except ValueError:
                self._check_cut(held)
                self.missing = CUT
            else:
                yield self._line(held)
        if not self.missing:
            ended = isinstance(self._last, Exit)
            self.missing = "" if ended else NO_END if self._last else EMPTY

    def forget_cut(self) -> int:
        """Forget the incomplete line, which will be fed again. Returns its size."""
        size, self.held = len(self.held), bytearray()
        return size

    def begin_again(self) -> None:
        """Another recording has replaced the one that was read."""
        self.held = bytearray()
        self._midst, self._number, self._last = False, 0, None

    def _line(self, line: bytes) -> Line:
        self._number += 1
        try:
            record = decode(line)
        except ValueError as error:
            marked = self._number == 1 and line.startswith(BOM_UTF8)
            raise self._damaged(_MARKED if marked else str(error)) from error
        if not (self._last or self._midst or type(record) is Begun):
            raise self._damaged("it is not the beginning of a run")
        self._last = record
        return Line(record, line)

    def _check_cut(self, line: bytes) -> None:
        """Raise SockkitError if `line` cannot be the beginning of a record."""
        if not (HEAD.startswith(line) or line.startswith(HEAD)):
            self._line(line)

    def _damaged(self, why: str) -> SockkitError:
        what = "is damaged" if self._last or self._midst else "is not a sockkit recording"
        hint = f"head -n {self._number - 1} FILE > NEW keeps the lines before it"
        if not (self._last or self._midst):
            hint = "" if why == _MARKED else "give a file that --record has made"
        return SockkitError(f"{self._name} {what}: line {self._number}: {why}", hint)
