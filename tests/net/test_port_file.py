"""Where a server's port is told: new files, files of ours, FIFOs, and what is not ours."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from sockkit.errors import BindError, OutputError, UsageError
from sockkit.net.loop import Loop
from sockkit.net.port_file import port_file
from tests.net import kit
from tests.net.kit import fail_nth, run_until
from tests.support import state_of

loop = kit.loop


class Bound(NamedTuple):
    port: int | None = 7007
    address: str = "127.0.0.1:7007"


LINE = "7007\n"


def refused(loop: Loop, path: Path, why: str, kind: type[Exception] = OutputError) -> None:
    with pytest.raises(kind, match=why), port_file(loop, str(path), Bound()):
        pytest.fail("it cannot be used")


def test_a_new_file_is_there_while_listening(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    with port_file(loop, str(path), Bound()):
        assert path.read_text() == LINE
        assert os.listdir(tmp_path) == ["port"]
    assert os.listdir(tmp_path) == []
    with port_file(loop, None, Bound()):
        assert os.listdir(tmp_path) == []


def test_it_is_complete_as_soon_as_it_exists(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "port"
    real: Callable[..., None] = os.link
    drafts: list[tuple[bool, str]] = []

    def link(draft: str, final: str, **more: bool) -> None:
        drafts.append((path.exists(), Path(draft).read_text()))
        real(draft, final, **more)

    monkeypatch.setattr(os, "link", link)
    with port_file(loop, str(path), Bound()):
        assert path.exists()
    assert drafts == [(False, LINE)]


def test_a_file_system_without_links(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "port"
    fail_nth(monkeypatch, os, "link", 1, OSError(errno.EPERM, "no links"))
    with port_file(loop, str(path), Bound()):
        assert path.read_text() == LINE
        refused(loop, path, "another server uses", BindError)
        assert os.listdir(tmp_path) == ["port"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "link"])
def test_a_disk_that_is_full_keeps_no_draft(
    call: str, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_nth(monkeypatch, os, call, 1, OSError(errno.ENOSPC, "No space left on device"))
    refused(loop, tmp_path / "port", "no space left on device")
    assert os.listdir(tmp_path) == []


def test_it_is_removed_after_an_error(loop: Loop, tmp_path: Path) -> None:
    with pytest.raises(LookupError), port_file(loop, str(tmp_path / "port"), Bound()):
        raise LookupError
    assert os.listdir(tmp_path) == []


def test_a_unix_servers_file_holds_its_address(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("unix:/talk\n")  # left by one that was killed
    with port_file(loop, str(path), Bound(None, "unix:/talk")):
        assert path.read_text() == "unix:/talk\n"
    path.write_text("unix:/other\n")
    with (
        pytest.raises(OutputError, match="something other"),
        port_file(loop, str(path), Bound(None, "unix:/talk")),
    ):
        pass


@pytest.mark.parametrize("held", ["", "1\n", "12345", "65535\n", "0012\r\n"])
def test_a_file_of_ours_is_rewritten_in_place(held: str, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text(held)
    number = path.stat().st_ino
    with port_file(loop, str(path), Bound()):
        assert path.read_text() == LINE
    assert path.read_text() == ""  # no stale port; and it was not ours to remove
    assert path.stat().st_ino == number


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    before = state_of(path)
    yield
    assert state_of(path) == before


@pytest.mark.parametrize("held", ["precious\n", "80 81\n", "-1\n", "65536\n", "123456\n", "8o\n"])
def test_a_file_with_something_else_stays(held: str, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text(held)
    with unchanged(path):
        refused(loop, path, "it contains something other than a port")
    assert path.read_text() == held


def test_a_long_file_stays(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("80" + "\n" * 4094 + "precious\n")
    with unchanged(path):
        refused(loop, path, "it contains something other than a port")


@pytest.mark.parametrize("made", [True, False])
def test_what_somebody_wrote_meanwhile_stays(made: bool, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    if not made:
        path.touch()
    with port_file(loop, str(path), Bound()):
        path.write_text("precious\n")
    assert path.read_text() == "precious\n"


def test_no_name(loop: Loop) -> None:
    with (
        pytest.raises(UsageError, match="--port-file needs the path of a file"),
        port_file(loop, "", Bound()),
    ):
        pass


@pytest.mark.process
def test_what_is_no_file_stays(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    for make, why in (
        (lambda: path.symlink_to("port2"), "symbolic link"),  # dangling
        (lambda: path.symlink_to(__file__), "symbolic link"),
        (lambda: socket.socket(socket.AF_UNIX), "not a regular file"),
    ):
        made = make()
        if isinstance(made, socket.socket):
            with made:
                made.bind(str(path))
        with unchanged(path):
            refused(loop, path, why)
        path.unlink()
    master, child = os.openpty()
    refused(loop, Path(os.ttyname(child)), "not a regular file")
    assert Path(os.ttyname(child)).is_char_device()
    os.close(master)
    os.close(child)
    with unchanged(tmp_path):
        refused(loop, tmp_path, "not a regular file")
    refused(loop, tmp_path / "none" / "port", "no such file or directory")
    assert os.listdir(tmp_path) == []


def test_somebody_elses_file_stays(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "port"
    path.touch()
    (tmp_path / "other").hardlink_to(path)
    with unchanged(path):
        refused(loop, path, "it has another hard link")
    (tmp_path / "other").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with unchanged(path):
        refused(loop, path, "it belongs to another user")


@pytest.mark.parametrize("kind", ["new", "file", "fifo"])
def test_a_second_server_is_refused(kind: str, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    if kind == "file":
        path.touch()
    elif kind == "fifo":
        os.mkfifo(path)
    with port_file(loop, str(path), Bound()):
        refused(loop, path, "another server uses --port-file", BindError)
        if kind != "fifo":
            assert path.read_text() == LINE
    with port_file(loop, str(path), Bound()):  # it is free again
        pass


@pytest.mark.parametrize("made", [True, False])
def test_only_what_is_still_ours_is_removed(made: bool, loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    if not made:
        path.touch()
    with port_file(loop, str(path), Bound()):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"
    with port_file(loop, str(tmp_path / "gone"), Bound()):
        (tmp_path / "gone").unlink()


def test_a_server_that_left_meanwhile_is_not_in_the_way(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "port"
    path.touch()
    real: Callable[..., None] = fcntl.flock

    def leave_first(descriptor: int, how: int) -> None:
        if path.exists() and not path.stat().st_size:
            path.unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", leave_first)
    with port_file(loop, str(path), Bound()):
        assert path.read_text() == LINE


def test_a_fifo_gives_each_reader_the_line(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    os.mkfifo(path)
    with port_file(loop, str(path), Bound()):  # nobody reads it yet
        for _ in range(3):
            reader = os.open(path, os.O_RDONLY)
            heard = bytearray()

            def hear(reader: int = reader, heard: bytearray = heard) -> None:
                heard.extend(os.read(reader, 4096))

            loop.when_readable(reader, hear)
            run_until(loop, lambda heard=heard: bool(heard))  # type: ignore[misc]
            loop.when_readable(reader, None)
            os.close(reader)
            assert heard.decode() == LINE
    assert path.is_fifo()


def test_a_fifo_keeps_no_stale_line(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "port"
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # as `exec 3<>port` in a script
    os.write(held, b"1\n" * 5000)  # of a server that was killed
    with port_file(loop, str(path), Bound()):
        assert os.read(held, 4096).decode() == LINE
    with port_file(loop, str(path), Bound()):
        pass  # nobody reads it
    with pytest.raises(BlockingIOError):
        os.read(held, 4096)
    os.close(held)
