"""A file that is sent while the program runs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.errors import UsageError
from sockkit.events import Answer, Event
from sockkit.net import file_feed
from sockkit.net.file_feed import FileFeed
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import noise

loop = kit.loop


class Place:
    """Where a file is sent to. It is `ready` for as many pieces."""

    def __init__(self, loop: Loop, path: Path | str, ready: int = 1000) -> None:
        self.pieces: list[bytes] = []
        self.events: list[Event] = []
        self.ends = 0
        self.ready, self._loop = ready, loop
        context = kit.context(loop, emit=self.events.append)
        self.feed = FileFeed(context, str(path), 10, lambda: self.ready > 0, self._send, self._end)

    def _send(self, piece: bytes) -> None:
        self.ready -= 1
        self.pieces.append(piece)

    def _end(self) -> None:
        self.ends += 1

    def run(self) -> None:
        self.feed.resume()
        kit.do(self._loop, kit.turns(200), self._loop.stop)
        self._loop.run()

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Answer)]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 1000])
def test_all_of_it_is_sent_in_pieces(size: int, loop: Loop, tmp_path: Path) -> None:
    data = noise(size)
    (tmp_path / "f").write_bytes(data)
    place = Place(loop, tmp_path / "f")
    assert place.feed.left == size
    place.run()
    assert b"".join(place.pieces) == data
    assert max(map(len, place.pieces), default=0) <= 10
    assert place.said == [f"{size:,} byte{'s' * (size != 1)} of {tmp_path}/f sent"]
    assert (place.ends, place.feed.left) == (1, 0)
    place.run()
    place.feed.stop()
    assert len(place.said) == place.ends == 1


def test_nothing_is_read_while_it_is_not_ready(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789abcdefghijklmn")
    place = Place(loop, tmp_path / "f", ready=0)
    place.run()
    assert place.pieces == []
    place.ready = 2
    place.run()
    place.run()
    assert place.pieces == [b"0123456789", b"abcdefghij"]
    assert (place.feed.left, place.said) == (4, [])
    place.ready = 1
    place.run()
    assert (place.pieces[2:], place.said, place.ends) == ([b"klmn"], [], 0)  # it may still wait
    place.ready = 1
    place.run()
    assert place.ends == 1


def test_one_that_is_stopped_says_how_far_it_came(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(1234))
    place = Place(loop, tmp_path / "f", ready=3)
    place.run()
    place.feed.resume()
    place.feed.stop()
    place.run()
    assert place.said == [f"30 of 1,234 bytes of {tmp_path}/f sent"]
    assert (len(place.pieces), place.ends, place.feed.left) == (3, 0, 0)


def test_a_file_that_grows_has_an_end(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    place = Place(loop, path)
    path.write_bytes(b"1234567890abcdef")
    place.run()
    assert place.pieces == [b"12345"]
    assert place.said == [f"5 bytes of {path} sent"]


def test_a_file_that_becomes_shorter(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(25))
    place = Place(loop, path, ready=1)
    place.run()
    os.truncate(path, 12)
    place.ready = 9
    place.run()
    assert place.said == [f"12 of 25 bytes of {path} sent: the file became shorter"]
    assert place.ends == 1


def test_a_file_that_cannot_be_read_on(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(25))
    place = Place(loop, path)
    read = os.read

    def fail(descriptor: int, size: int) -> bytes:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size)

    monkeypatch.setattr(file_feed.os, "read", fail)
    place.run()
    assert place.said == [f"0 of 25 bytes of {path} sent: input/output error"]
    assert place.ends == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "could not read {}: no such file or directory"),
        (Path.mkdir, "{} is a directory: give a file"),
        (os.mkfifo, "{} is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "{} is not a regular file"),
        (lambda path: path.symlink_to(path), "could not read {}: too many levels of symbolic "),
    ],
    ids=["missing", "directory", "fifo", "device", "circle"],
)
def test_what_is_no_file_is_refused(
    make: Callable[[Path], None], told: str, loop: Loop, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    make(path)
    with pytest.raises(UsageError) as raised:
        Place(loop, path)
    assert str(raised.value).startswith(told.format(path))


def test_a_path_that_cannot_be_one_is_refused(loop: Loop) -> None:
    with pytest.raises(UsageError, match="embedded null"):
        Place(loop, "a\0b")
