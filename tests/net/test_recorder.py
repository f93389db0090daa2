"""The file of a recording: whose it is, when it is written, and what a kill or a full disk does."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from sockkit.core.json_lines import JsonLines, decode
from sockkit.core.records import Begun, Exit
from sockkit.errors import OutputError, UsageError
from sockkit.net import recorder
from sockkit.net.loop import Loop
from sockkit.net.recorder import MAX_WAITING_BYTES, Recorder
from tests.net import kit
from tests.net.kit import fail_close, fail_nth, run_until, skip_time

loop = kit.loop

FIRST = JsonLines().show(Begun(5, "tcp-client"))
LAST = JsonLines().show(Exit(6, 0))


def refused(loop: Loop, path: Path, why: str, *, append: bool = True) -> None:
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(OutputError) as caught:
        Recorder(loop, str(path), append=append)
    assert str(caught.value).startswith(f"could not record into {path}: {why}")
    assert not path.is_file() or path.read_bytes() == before


def test_a_new_file_is_for_our_user_only(loop: Loop, tmp_path: Path) -> None:
    path, old = tmp_path / "new", os.umask(0)
    try:
        made = Recorder(loop, str(path))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made.put(FIRST)
    made.put(LAST)
    assert path.read_bytes() == b""
    made.close()
    assert path.read_bytes() == FIRST + LAST


def test_lines_are_written_within_a_second(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_time(loop, monkeypatch)
    path = tmp_path / "new"
    made, began = Recorder(loop, str(path)), loop.now
    made.put(FIRST)
    loop.later(0.9, lambda: made.put(LAST))
    run_until(loop, lambda: path.stat().st_size > 0)
    assert path.read_bytes() == FIRST + LAST
    assert loop.now - began < 1.1
    made.put(LAST)
    run_until(loop, lambda: path.stat().st_size > len(FIRST + LAST))
    made.close()


def test_many_bytes_are_written_at_once(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "new"
    made = Recorder(loop, str(path))
    made.put(bytes(MAX_WAITING_BYTES - 1))
    assert path.stat().st_size == 0
    made.put(b"\n")
    assert path.stat().st_size == MAX_WAITING_BYTES
    made.close()


def test_an_existing_file_is_not_touched(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "there"
    for content in (b"", b"mine", FIRST):
        path.write_bytes(content)
        refused(
            loop,
            path,
            "it already exists: use another name, or add to it with --append",
            append=False,
        )


def test_it_is_continued(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "there"
    for before in (None, b"", FIRST, FIRST + LAST):
        if before is not None:
            path.write_bytes(before)
        made = Recorder(loop, str(path), append=True)
        made.put(FIRST)
        made.close()
        assert path.read_bytes() == (before or b"") + FIRST


def test_every_cut_of_a_recording_is_continued(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_BLOCK", 7)
    path, whole = tmp_path / "there", FIRST + LAST
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        Recorder(loop, str(path), append=True).close()
        assert path.read_bytes() == whole[: whole[:cut].rfind(b"\n") + 1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"mine", "it is not JSON"),
        (b"mine\n", "it is not JSON"),
        (b"\n", "it is not JSON"),
        (b'{"sockkit":2,\n', "it is not JSON"),
        (b'{"sockkit":2}\n', "it has version 2"),
        (b'{"sockkit":1,' + bytes(70_000), "it is not JSON"),
        (LAST, "it begins with another event"),
    ],
)
def test_a_foreign_file_is_not_continued(
    content: bytes, why: str, loop: Loop, tmp_path: Path
) -> None:
    path = tmp_path / "there"
    path.write_bytes(content)
    refused(loop, path, "it is not a recording (line 1: ")
    with pytest.raises(OutputError, match=why):
        Recorder(loop, str(path), append=True)


@pytest.mark.parametrize("append", [False, True])
def test_what_is_no_file_of_ours(append: bool, loop: Loop, tmp_path: Path) -> None:
    link, fifo, missing = (tmp_path / name for name in ("link", "fifo", "missing"))
    (tmp_path / "target").write_bytes(FIRST)
    link.symlink_to("target")
    refused(loop, link, "it is a symbolic link", append=append)
    link.unlink()
    link.symlink_to("missing")
    refused(loop, link, "it is a symbolic link", append=append)
    assert not missing.exists()
    os.mkfifo(fifo)
    refused(loop, fifo, "it is not a regular file", append=append)
    refused(loop, tmp_path, "it is not a regular file", append=append)
    refused(loop, missing / "file", "no such file or directory", append=append)
    with pytest.raises(UsageError, match="--record needs the path of a file"):
        Recorder(loop, "", append=append)


def test_a_file_that_is_replaced_by_a_link(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = tmp_path / "there", tmp_path / "target"
    path.write_bytes(FIRST)
    target.write_bytes(FIRST)
    real = os.lstat

    def lstat(name: str) -> os.stat_result:
        found = real(name)
        path.unlink()
        path.symlink_to(target)
        return found

    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(OutputError, match="too many levels of symbolic links"):
        Recorder(loop, str(path), append=True)


def test_two_never_write_one_file(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "there"
    made = Recorder(loop, str(path))
    made.put(FIRST)
    refused(loop, path, "another sockkit is writing to it: use another name")
    made.close()
    Recorder(loop, str(path), append=True).close()
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        refused(loop, path, "another sockkit is writing to it: use another name")


def test_a_file_system_without_locks(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, fcntl, "flock", 1, OSError(errno.ENOLCK, "no locks"))
    made = Recorder(loop, str(tmp_path / "new"))
    made.put(FIRST)
    made.close()
    assert (tmp_path / "new").read_bytes() == FIRST


def test_a_full_disk_ends_the_run(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new"
    made = Recorder(loop, str(path))
    real, room = os.write, [len(FIRST) + 5]

    def write(file: int, data: bytes) -> int:
        if file != made._file:
            return real(file, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = real(file, data[: room[0]])
        room[0] -= size
        return size

    monkeypatch.setattr(os, "write", write)
    made.put(FIRST + LAST)
    made.put(bytes(MAX_WAITING_BYTES))  # whose connection has not failed
    with pytest.raises(OutputError, match=f"could not record into {path}: no space left") as caught:
        loop.run()
    assert caught.value.status == 23
    room[0] = 100
    made.put(LAST)
    made.close()
    assert path.read_bytes() == FIRST + LAST[:5]


def test_a_disk_that_is_full_at_the_end(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Recorder(loop, str(tmp_path / "new"))
    made.put(FIRST)
    fail_nth(monkeypatch, os, "write", 1, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OutputError, match="no space left"):
        made.close()


def test_a_disk_that_is_full_when_the_file_is_closed(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Recorder(loop, str(tmp_path / "new"))
    fail_close(monkeypatch, made._file, errno.EDQUOT)
    with pytest.raises(OutputError, match=r"could not record into .*: disk quota exceeded"):
        made.close()


def test_a_file_that_cannot_be_read_is_closed_again(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "there"
    path.write_bytes(FIRST)
    fail_nth(monkeypatch, os, "pread", 1, OSError(errno.EIO, "Input/output error"))
    refused(loop, path, "input/output error")


def test_what_is_written_can_be_decoded(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "new"
    made = Recorder(loop, str(path))
    made.put(FIRST)
    made.close()
    assert decode(path.read_bytes()) == Begun(5, "tcp-client")
