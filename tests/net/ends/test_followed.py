"""A file that grows while it is read, and one that is rewritten."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockkit.errors import SockkitError
from sockkit.net.ends.followed import POLL_SECONDS, SAMPLE_BYTES, Followed
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import fail_nth, run_for, run_until, skip_time

loop = kit.loop


class Following:
    """Gathers what is read of a file. What follows its last line end is held."""

    def __init__(self, loop: Loop, path: Path) -> None:
        self.data, self.reads, self.again = b"", 0, 0
        self.read_bytes, self.at_end = 0, False
        self.source = Followed(loop, os.open(path, os.O_RDONLY), str(path), self, self._again)
        self.source.when_readable(self.read)

    @property
    def held(self) -> bytes:
        return self.data[self.data.rfind(b"\n") + 1 :]

    def forget_cut(self) -> int:
        size = len(self.held)
        self.data = self.data[: len(self.data) - size]
        return size

    def begin_again(self) -> None:
        self.data = b""

    def _again(self) -> None:
        self.again += 1

    def read(self) -> None:
        buffer = memoryview(bytearray(100))
        self.reads += 1
        try:
            size = self.source.read_into(buffer)
        except BlockingIOError:
            self.at_end = True
            return
        self.at_end = False
        self.data += buffer[:size]
        self.read_bytes += size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"first\n")
    return path


@pytest.fixture
def following(loop: Loop, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    skip_time(loop, monkeypatch)
    following = Following(loop, path)
    yield following
    following.source.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_added_follows(loop: Loop, path: Path, following: Following) -> None:
    run_until(loop, lambda: following.data == b"first\n")
    append(path, b"sec")
    run_until(loop, lambda: following.data == b"first\nsec")
    append(path, b"ond\n")
    run_until(loop, lambda: following.data == b"first\nsecond\n")
    assert not following.again


def test_nothing_is_done_at_the_end(loop: Loop, following: Following) -> None:
    run_until(loop, lambda: following.data == b"first\n")
    began = loop.now
    run_until(loop, lambda: following.reads >= 10)
    assert loop.now - began > 5 * POLL_SECONDS


def test_a_line_that_is_not_complete_is_read_once(
    loop: Loop, path: Path, following: Following
) -> None:
    line = os.urandom(10_000).replace(b"\n", b" ")
    append(path, line)
    run_until(loop, lambda: following.held == line)
    reads = following.reads
    run_until(loop, lambda: following.reads > reads + 10)
    append(path, b"more")
    run_until(loop, lambda: following.held == line + b"more")
    assert following.read_bytes == len(b"first\n" + line + b"more")


@pytest.mark.parametrize(
    ("cut", "instead"),
    [
        (b"cut", b""),
        (b"cut", b"c"),
        (b"cut", b"run\n"),
        (b"cut", b"another\n"),
        (b"cut" + bytes(1000), b"another" + bytes(2000)),
        (b"cut" + bytes(1000), b"cut" + bytes(900) + b"another" + bytes(1000)),
    ],
)
def test_a_line_that_was_not_complete_may_be_replaced(
    loop: Loop, path: Path, following: Following, cut: bytes, instead: bytes
) -> None:
    append(path, cut)
    run_until(loop, lambda: following.held == cut and following.at_end)
    with path.open("r+b") as file:
        file.truncate(len(b"first\n"))
        file.seek(0, os.SEEK_END)
        file.write(instead)
    run_until(loop, lambda: following.data == b"first\n" + instead)
    append(path, b"more\n")
    run_until(loop, lambda: following.data == b"first\n" + instead + b"more\n")
    assert not following.again


@pytest.mark.parametrize("instead", [b"other\n", b"2\n", b"", b"longer than before\n"])
def test_a_file_that_is_rewritten_is_read_from_its_beginning(
    loop: Loop, path: Path, following: Following, instead: bytes
) -> None:
    run_until(loop, lambda: following.at_end)
    path.write_bytes(instead)
    run_until(loop, lambda: following.data == instead and bool(following.again))
    append(path, b"more\n")
    run_until(loop, lambda: following.data == instead + b"more\n")
    assert following.again == 1


def test_another_file_of_the_name(loop: Loop, path: Path, following: Following) -> None:
    run_until(loop, lambda: following.data == b"first\n")
    opened = os.listdir("/proc/self/fd")
    path.rename(path.with_name("old"))
    append(path.with_name("old"), b"last\n")
    run_until(loop, lambda: following.data == b"first\nlast\n")
    path.write_bytes(b"first\nlast\n")
    run_until(loop, lambda: following.again == 1 and following.data == b"first\nlast\n")
    append(path, b"more\n")
    run_until(loop, lambda: following.data == b"first\nlast\nmore\n")
    assert os.listdir("/proc/self/fd") == opened


def test_what_is_no_file_does_not_take_its_place(
    loop: Loop, path: Path, following: Following
) -> None:
    run_until(loop, lambda: following.data == b"first\n")
    path.unlink()
    os.mkfifo(path)
    run_for(loop, 1)
    assert (following.data, following.again) == (b"first\n", 0)


def test_a_look_reads_little(
    loop: Loop, path: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, bytes(10_000))
    run_until(loop, lambda: len(following.held) == 10_000)
    read, sizes = os.pread, list[int]()
    monkeypatch.setattr(os, "pread", lambda *given: sizes.append(given[1]) or read(*given))
    reads = following.reads
    run_until(loop, lambda: following.reads > reads + 5)
    assert 5 <= len(sizes) <= 20
    assert max(sizes) <= SAMPLE_BYTES


def test_it_can_be_left_and_taken_up(loop: Loop, path: Path, following: Following) -> None:
    assert not following.source.has_bytes()
    run_until(loop, lambda: following.reads > 3)
    following.source.when_readable(None)
    append(path, b"second")
    loop.later(5, loop.stop)
    loop.run()
    assert following.data == b"first\n"
    following.source.when_readable(following.read)
    run_until(loop, lambda: following.data == b"first\nsecond")


@pytest.mark.parametrize("call", ["preadv", "pread", "stat", "open"])
def test_a_file_that_cannot_be_read(
    loop: Loop, path: Path, following: Following, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_until(loop, lambda: following.data == b"first\n")
    if call == "open":
        path.rename(path.with_name("old"))
        path.write_bytes(b"second\n")
    fail_nth(monkeypatch, os, call, 1, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(SockkitError, match=f"could not read {path}: input/output error"):
        loop.run()
