"""A recording that is read by position, and where its conversations begin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockkit.core.json_lines import JsonLines
from sockkit.core.player import Do, Player, PlayOptions
from sockkit.core.records import Begun, Closed, Exit, Message, Opened, Record, Stream
from sockkit.errors import SockkitError, UsageError
from sockkit.net.replay import recording as module
from sockkit.net.replay.recording import (
    MAX_SHOWN,
    Index,
    Numbers,
    Recording,
    conversation_steps,
    steps,
)

NOW = 5
UDP = Stream(9, "udp", "10.0.0.1:1", "10.0.0.2:2", dialled=False)


def stream(number: int) -> Stream:
    return Stream(number, "tcp", "10.0.0.1:80", f"10.0.0.2:{number}", dialled=False)


RECORDS: list[Record] = [
    Begun(NOW, "test"),
    Opened(NOW, stream(1)),
    Opened(NOW, stream(2)),
    Message(NOW, stream(1), "received", "你".encode()),
    Message(NOW, stream(2), "received", b"two"),
    Closed(NOW, stream(1)),
    Message(NOW, stream(2), "received", b"more"),
    Opened(NOW, UDP),
    Exit(NOW, 0),
    Begun(NOW, "test"),
    Message(NOW, stream(1), "received", b"again"),
    Opened(NOW, stream(1)),
    Exit(NOW, 0),
]


@contextmanager
def recorded(folder: Path, records: list[Record], more: bytes = b"") -> Iterator[Recording]:
    path = folder / "it.rec"
    path.write_bytes(b"".join(map(JsonLines().show, records)) + more)
    recording = Recording(str(path), "it.rec")
    yield recording
    recording.close()


@pytest.mark.parametrize("chunk", [1, 7, 1000, 64 * 1024])
def test_it_is_read_in_chunks(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    with recorded(tmp_path, RECORDS) as it:
        found = list(it.read())
        records = [read for read in found if read]
        assert [read.record for read in records] == RECORDS
        assert len(found) - len(records) >= os.stat(tmp_path / "it.rec").st_size / chunk
        for place, read in enumerate(records):
            rest = [read for read in it.read(read.place) if read]
            assert [read.record for read in rest] == RECORDS[place:]
            assert rest == records[place:]
        assert it.missing == ""


def test_what_is_added_meanwhile_is_not_read(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS) as it:
        with (tmp_path / "it.rec").open("ab") as file:
            file.write(b"what?\n")
        assert len([read for read in it.read() if read]) == len(RECORDS)


def test_damage_names_the_line_wherever_reading_begins(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS, b"what?\n") as it:
        for place in [read.place for _, read in zip(RECORDS, it.read(), strict=False) if read]:
            with pytest.raises(SockkitError, match="is damaged: line 14"):
                list(it.read(place))


def test_a_cut_line_is_told(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS[:4], b'{"sockkit":1,') as it:
        assert len([read for read in it.read() if read]) == 4
        assert it.missing == "its last line is incomplete"


@pytest.mark.parametrize("path", ["no", ".", "fifo"])
def test_only_a_file_can_be_replayed(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError):
        Recording(str(tmp_path / path), path)


def test_the_steps_of_all(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS) as it:
        made = [step for step in steps(it, Player(PlayOptions())) if step]
        sent = b"".join(step.data for step in made)
    assert sent == "你twomoreagain".encode()
    assert [step.do for step in made].count(Do.OPEN) == 5


def index(recording: Recording, *peers: int) -> Index:
    made = Index(frozenset(peers))
    for read in recording.read():
        if read:
            made.add(read)
    return made


def test_the_steps_of_one_conversation(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS) as it:
        found = index(it)
        assert (len(found), found.left_out, found.datagrams) == (4, 1, False)
        said = []
        for number in range(len(found)):
            made = conversation_steps(it, Player(PlayOptions()), found[number])
            taken = [step for step in made if step]
            assert taken[0].do is Do.OPEN
            assert taken[-1].do is Do.CLOSE
            said.append(b"".join(step.data for step in taken))
    assert said == ["你".encode(), b"twomore", b"again", b""]


def test_the_index_of_some_peers(tmp_path: Path) -> None:
    with recorded(tmp_path, RECORDS) as it:
        assert len(index(it, 2)) == 1
        assert len(index(it, 1)) == 3
        assert len(index(it, 3)) == 0
        assert index(it, 9).datagrams


def test_an_index_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PLACES", 2)
    records: list[Record] = [Begun(NOW, "test")]
    for number in range(4):
        records += [Opened(NOW, stream(number)), Closed(NOW, stream(number))]
    with recorded(tmp_path, records) as it:
        found = index(it)
        assert (len(found), found.left_out) == (2, 2)
    records = [Begun(NOW, "test"), *map(opened, range(3))]
    with recorded(tmp_path, records) as it, pytest.raises(SockkitError, match="more than 2"):
        index(it)


def opened(number: int) -> Record:
    return Opened(NOW, stream(number))


def test_the_numbers_of_the_peers(tmp_path: Path) -> None:
    numbers = Numbers(frozenset({2, 3, 9}))
    assert not numbers
    with recorded(tmp_path, RECORDS) as it:
        for read in filter(None, it.read()):
            numbers.add(read)
    assert len(numbers) == 3
    assert str(numbers) == "1, 2, 9"
    assert numbers.lacking == {3}


def test_of_very_many_peers_some_are_named(tmp_path: Path) -> None:
    numbers = Numbers(frozenset({99}))
    with recorded(tmp_path, [Begun(NOW, "test"), *map(opened, range(100))]) as it:
        for read in filter(None, it.read()):
            numbers.add(read)
    assert str(numbers) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, others"
    assert len(numbers) == MAX_SHOWN + 1
    assert not numbers.lacking
