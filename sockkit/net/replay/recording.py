"""The file of a recording, read by position, so that many can read it at once.

The file may be huge. We hold only one chunk of it, and yield after each chunk.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from sockkit.core.player import Player, Step
from sockkit.core.recording import Reader
from sockkit.core.records import Begun, Closed, Exit, Listening, Opened, Record
from sockkit.errors import SockkitError, UsageError, reason

CHUNK_BYTES = 64 * 1024
MAX_SHOWN = 10  # peer numbers in an error message
MAX_PLACES = 100_000  # conversations of one recording that a server plays; each takes memory


class Place(NamedTuple):
    """A line of the file: its offset, and how many lines come before it."""

    offset: int
    lines: int


BEGIN = Place(0, 0)


class Read(NamedTuple):
    record: Record
    place: Place


class Recording:
    """Owns the file at `path`. Lines added later are not read, as we may record into that file.

    Raises UsageError if it cannot be read by position. After it was read to its end, `missing` says
    what an unfinished recording lacks.
    """

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        self.missing = ""
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            hint = "a recording is read from a file, not from stdin" if path == "-" else ""
            raise UsageError(f"could not read {name}: {reason(error)}", hint) from error
        there = os.fstat(self._file)
        self._size = there.st_size
        if not stat.S_ISREG(there.st_mode):
            self.close()
            raise UsageError(f"{name} is not a file", "save the recording to a file first")

    def close(self) -> None:
        os.close(self._file)

    def read(self, place: Place = BEGIN) -> Iterator[Read | None]:
        """The records from `place` on, and None after each chunk. Raises SockkitError."""
        reader = Reader(self._name, place.lines)
        offset, lines = place
        for data in self._chunks(offset):
            for line in reader.feed(data) if data else reader.flush():
                yield Read(line.record, Place(offset, lines))
                offset, lines = offset + len(line.line) + 1, lines + 1
            yield None
        self.missing = reader.missing

    def _chunks(self, at: int) -> Iterator[bytes]:
        """The chunks of the file from `at` on, and then b"" for its end."""
        while data := self._chunk(at):
            at += len(data)
            yield data
        yield b""

    def _chunk(self, at: int) -> bytes:
        try:
            return os.pread(self._file, max(min(CHUNK_BYTES, self._size - at), 0), at)
        except OSError as error:
            raise SockkitError(f"could not read {self._name}: {reason(error)}") from error


class Numbers:
    """The numbers of the peers in a recording, and which of the `wanted` numbers it lacks."""

    def __init__(self, wanted: frozenset[int]) -> None:
        self._found: set[int] = set()
        self.lacking = set(wanted)

    def __str__(self) -> str:
        """All numbers, or the first MAX_SHOWN and "others"."""
        numbers = sorted(self._found)
        rest = ["others"] if len(numbers) > MAX_SHOWN else []
        return ", ".join([*map(str, numbers[:MAX_SHOWN]), *rest])

    def __len__(self) -> int:
        """How many there are; at most one more than MAX_SHOWN."""
        return len(self._found)

    def add(self, read: Read) -> None:
        record = read.record
        if isinstance(record, Begun | Exit | Listening):
            return
        self.lacking.discard(record.stream.number)
        if len(self._found) <= MAX_SHOWN:
            self._found.add(record.stream.number)


def steps(recording: Recording, player: Player) -> Iterator[Step | None]:
    """The steps of a whole recording, and None after each chunk of it."""
    for read in recording.read():
        if read:
            yield from player.feed(read.record)
        else:
            yield None
    yield from player.finish()


def conversation_steps(recording: Recording, player: Player, place: Place) -> Iterator[Step | None]:
    """The steps of the one conversation that begins at `place`, and None after each chunk."""
    number: int | None = None
    for read in recording.read(place):
        if not read:
            yield None
            continue
        record = read.record
        if isinstance(record, Begun):
            break
        if isinstance(record, Listening | Exit) or number not in (None, record.stream.number):
            continue
        if number is not None and isinstance(record, Opened):
            break
        number = record.stream.number
        yield from player.feed(record)
        if isinstance(record, Closed):
            break
    yield from player.finish()


class Index:
    """Where the conversations of a recording begin: those of `peers`, or of all if it is empty.

    `datagrams` is whether the first is of datagrams. Only those of the same kind are counted.
    """

    def __init__(self, peers: frozenset[int]) -> None:
        self._peers = peers
        self._offsets, self._lines = array("Q"), array("Q")
        self._known: set[int] = set()  # peers of the current run of the recording
        self.datagrams = False
        self.left_out = 0  # conversations of the other kind, or beyond MAX_PLACES

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, number: int) -> Place:
        return Place(self._offsets[number], self._lines[number])

    def add(self, read: Read) -> None:
        record = read.record
        if isinstance(record, Begun | Exit | Listening):
            if isinstance(record, Begun):
                self._known.clear()
            return
        number = record.stream.number
        if self._peers and number not in self._peers:
            return
        if isinstance(record, Opened) or number not in self._known:
            self._add(number)
            self._begin(read.place, datagrams=record.stream.datagrams)
        if isinstance(record, Closed):
            self._known.discard(number)

    def _add(self, number: int) -> None:
        if len(self._known) >= MAX_PLACES:
            raise SockkitError(f"more than {MAX_PLACES:,} recorded connections are open at a time")
        self._known.add(number)

    def _begin(self, place: Place, *, datagrams: bool) -> None:
        if not self._offsets:
            self.datagrams = datagrams
        if datagrams != self.datagrams or len(self) >= MAX_PLACES:
            self.left_out += 1
            return
        self._offsets.append(place.offset)
        self._lines.append(place.lines)
