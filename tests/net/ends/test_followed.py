"""A file that grows while it is read."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.errors import SockkitError
from sockkit.net.ends.followed import POLL_SECONDS, Followed
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import fail_nth, run_until, skip_time

loop = kit.loop


class Following:
    """Gathers what is read of a file. `again` bytes at its end are read again."""

    def __init__(self, loop: Loop, path: Path) -> None:
        self.data, self.reads, self.again = b"", 0, 0
        self.file = os.open(path, os.O_RDONLY)
        self.source = Followed(loop, self.file, str(path), self._end)
        self.source.when_readable(self._read)

    def _end(self) -> int:
        self.data = self.data[: len(self.data) - self.again]
        return self.again

    def _read(self) -> None:
        buffer = memoryview(bytearray(4))
        self.reads += 1
        try:
            size = self.source.read_into(buffer)
        except BlockingIOError:
            return
        self.data += buffer[:size]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    return path


@pytest.fixture
def following(loop: Loop, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    skip_time(loop, monkeypatch)
    following = Following(loop, path)
    yield following
    following.source.when_readable(None)
    os.close(following.file)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_added_follows(loop: Loop, path: Path, following: Following) -> None:
    run_until(loop, lambda: following.data == b"first")
    append(path, b"second")
    run_until(loop, lambda: following.data == b"firstsecond")


def test_nothing_is_done_at_the_end(loop: Loop, following: Following) -> None:
    run_until(loop, lambda: following.data == b"first")
    began = loop.now
    run_until(loop, lambda: following.reads >= 10)
    assert loop.now - began > 5 * POLL_SECONDS


def test_what_may_be_replaced_is_read_again(loop: Loop, path: Path, following: Following) -> None:
    following.again = 2
    run_until(loop, lambda: following.reads > 5 and following.data == b"fir")
    os.truncate(path, 3)
    append(path, b"e and more")
    following.again = 0
    run_until(loop, lambda: following.data == b"fire and more")


def test_it_can_be_left_and_taken_up(loop: Loop, path: Path, following: Following) -> None:
    assert not following.source.has_bytes()
    run_until(loop, lambda: following.reads > 3)
    following.source.when_readable(None)
    append(path, b"second")
    loop.later(5, loop.stop)
    loop.run()
    assert following.data == b"first"
    following.source.when_readable(following._read)
    run_until(loop, lambda: following.data == b"firstsecond")


def test_a_file_that_cannot_be_read(
    loop: Loop, path: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, os, "readv", 1, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(SockkitError, match=f"could not read {path}: input/output error"):
        loop.run()
