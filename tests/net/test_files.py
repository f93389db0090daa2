from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockkit.errors import UsageError
from sockkit.net.files import is_same, read_text, why_not_ours


def test_whether_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    then = path.lstat()
    assert is_same(str(path), then)
    assert not is_same(str(path), None)
    path.rename(tmp_path / "other")
    assert not is_same(str(path), then)
    path.symlink_to("other")
    assert not is_same(str(path), then)


def test_why_it_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link, fifo = (tmp_path / name for name in ("file", "link", "fifo"))
    file.touch()
    link.symlink_to(file)
    os.mkfifo(fifo)
    assert why_not_ours(file.lstat()) == ""
    assert why_not_ours(link.lstat()) == "it is a symbolic link"
    for path in (fifo, tmp_path):
        assert why_not_ours(path.lstat()) == "it is not a regular file"
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert why_not_ours(file.lstat()) == "it belongs to another user"


def test_the_text_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("小雪\n", encoding="utf-8")
    assert read_text(str(path)) == "小雪\n"
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="file is not UTF-8"):
        read_text(str(path))
    with pytest.raises(UsageError, match=r"could not read .*none: no such file"):
        read_text(str(tmp_path / "none"))


def test_a_mark_of_windows_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "rules").write_bytes(b"\xef\xbb\xbfPING=PONG\n")
    assert read_text(str(tmp_path / "rules")) == "PING=PONG\n"
