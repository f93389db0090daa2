from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from sockkit.core.records import (
    Begun,
    Ended,
    Exit,
    Listening,
    Message,
    Opened,
    Record,
    Stream,
)
from sockkit.errors import OutputError, UsageError
from sockkit.net.ends.output_file import OutputFile, ReceivedBytes
from sockkit.net.loop import Loop
from tests.net import kit

loop = kit.loop

STREAM = Stream(0, "tcp", "127.0.0.1:1", "127.0.0.1:2", True)


def test_what_is_received_and_nothing_else() -> None:
    show = ReceivedBytes(lambda: None).show
    assert show(Message(1, STREAM, "received", b"\xff\0", "cut")) == b"\xff\0"
    assert show(Message(1, STREAM, "sent", b"ours")) == b""
    assert show(Ended(1, STREAM, "received")) == b""


@pytest.mark.parametrize(
    ("record", "begins"),
    [
        (Begun(1, "x", "", ""), False),
        (Exit(1, 7, "connection refused"), False),
        (Exit(1, 0), True),
        (Opened(1, STREAM), True),
        (Listening(1, "tcp", "127.0.0.1:1"), True),
    ],
)
def test_what_was_there_is_kept_until_there_is_a_connection(record: Record, begins: bool) -> None:
    begun: list[bool] = []
    view = ReceivedBytes(lambda: begun.append(True))
    assert [view.show(record), view.show(record)] == [b"", b""]
    assert begun == [True] * begins


@pytest.mark.parametrize("through", ["", "link"])
def test_a_file_is_emptied_and_a_link_followed(loop: Loop, tmp_path: Path, through: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"what was there before")
    (tmp_path / "link").symlink_to(path)
    file = OutputFile(loop, str(tmp_path / (through or "file")))
    assert path.read_bytes() == b"what was there before"
    file.empty()
    assert path.read_bytes() == b""
    assert file.write(b"new") == 3
    file.close()
    assert path.read_bytes() == b"new"


def test_a_file_is_made_as_the_umask_allows(loop: Loop, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        OutputFile(loop, str(tmp_path / "file")).close()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is a directory"),
        ("missing/file", "no such file or directory"),
        ("fifo", "no such device or address: start its reader first"),
    ],
)
def test_what_cannot_be_opened_is_named(loop: Loop, tmp_path: Path, name: str, why: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    path = str(tmp_path / name) if name else str(tmp_path)
    with pytest.raises(OutputError) as raised:
        OutputFile(loop, path)
    assert str(raised.value) == f"could not write {path}: {why}"


def test_an_empty_path_is_none(loop: Loop) -> None:
    with pytest.raises(UsageError, match="--output needs the path of a file"):
        OutputFile(loop, "")


def test_a_full_device_is_an_error_that_names_it(loop: Loop) -> None:
    file = OutputFile(loop, "/dev/full")
    with pytest.raises(OutputError, match="could not write /dev/full: no space left on device"):
        file.write(b"x")
    file.close()


def test_a_file_that_is_full_when_it_is_closed(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    file = OutputFile(loop, str(path))
    kit.fail_close(monkeypatch, file.descriptor, errno.EDQUOT)
    with pytest.raises(OutputError, match=f"could not write {path}: disk quota exceeded"):
        file.close()


def test_a_fifo_that_is_full_is_waited_for(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = OutputFile(loop, path)
    with contextlib.suppress(BlockingIOError):
        while True:
            file.write(bytes(4096))
    ready: list[bool] = []
    file.when_writable(lambda: ready.append(True))
    kit.settle(loop)
    assert not ready
    os.read(reader, 65536)
    kit.run_until(loop, lambda: bool(ready))
    file.when_writable(None)
    os.close(reader)
    with pytest.raises(OutputError, match="broken pipe"):
        file.write(b"x")
    file.close()
