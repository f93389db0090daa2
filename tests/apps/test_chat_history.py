from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.apps import chat_history as module
from sockkit.apps.chat_history import History
from sockkit.errors import OutputError
from sockkit.events import Event, Failure
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_for, run_until

loop = kit.loop


class Kept:
    """A file, a history of it, and what that has told."""

    def __init__(self, loop: Loop, path: Path) -> None:
        self.loop, self.path = loop, path
        self.events: list[Event] = []
        self.history = History(kit.context(loop, emit=self.events.append), str(path))

    def told(self, *words: str) -> None:
        """Turn the loop until there is an event with each of `words`, and no more."""
        run_until(self.loop, lambda: len(self.events) >= len(words))
        assert len(self.events) == len(words), self.events
        for word, event in zip(words, self.events, strict=True):
            assert word in event.text  # type: ignore[union-attr]

    def lines(self) -> list[str]:
        other = sqlite3.connect(self.path)  # as another process would
        try:
            return [line for (line,) in other.execute("SELECT line FROM lines ORDER BY id")]
        finally:
            other.close()


@pytest.fixture
def kept(loop: Loop, tmp_path: Path) -> Kept:
    return Kept(loop, tmp_path / "room.db")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WRITE_DELAY_SECONDS", "MAX_LOCKED_SECONDS", "LOCK_WAIT_SECONDS"):
        monkeypatch.setattr(module, name, 0.02)


def test_lines_are_kept_in_order(kept: Kept) -> None:
    for number in range(5):
        kept.history.keep(f"{number} 你好")
    kept.history.close()
    again = Kept(kept.loop, kept.path)
    assert again.history.last(2) == ["3 你好", "4 你好"]
    again.history.keep("5")
    again.history.close()
    assert kept.lines() == [*(f"{number} 你好" for number in range(5)), "5"]
    assert not kept.events


def test_they_are_safe_soon(loop: Loop, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_DELAY_SECONDS", 0.1)
    kept.history.keep("hi")
    run_for(loop, 0.15)
    assert kept.lines() == ["hi"]
    kept.history.close()


def test_the_files_are_for_us_alone(kept: Kept) -> None:
    mask = os.umask(0)
    try:
        for _ in range(2):
            kept.path.unlink(missing_ok=True)
            kept.path.touch(0o666)  # of an earlier release
            history = Kept(kept.loop, kept.path).history
            names = os.listdir(kept.path.parent)
            assert sorted(names) == ["room.db", "room.db-shm", "room.db-wal"]
            assert {(kept.path.parent / name).stat().st_mode & 0o777 for name in names} == {0o600}
            history.close()
    finally:
        os.umask(mask)
    kept.history.close()


def test_two_rooms_share_a_file(loop: Loop, kept: Kept, soon: None) -> None:
    one, other = kept, Kept(loop, kept.path)
    for number in range(20):
        one.history.keep(f"one {number}")
        other.history.keep(f"other {number}")
    run_until(loop, lambda: len(kept.lines()) == 40)
    for room in (one, other):
        room.history.close()
        assert not room.events


def full(file: sqlite3.Connection) -> Callable[[], None]:
    """As a full disk: one more page than there are is refused. Gives the end of that."""
    file.execute("PRAGMA max_page_count = 1")
    return lambda: file.execute("PRAGMA max_page_count = 1000000")  # type: ignore[return-value]


def locked(path: Path) -> sqlite3.Connection:
    """Another program's, which writes in it just now."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


@pytest.mark.parametrize("trouble", ["locked", "full"])
def test_it_goes_on_and_writes_again_when_it_can(trouble: str, kept: Kept, soon: None) -> None:
    long = "x" * 5000
    if trouble == "locked":
        other = locked(kept.path)
        end, words = lambda: other.execute("COMMIT"), "database is locked"
    else:
        assert kept.history._file
        end, words = full(kept.history._file), "full"
    for number in range(5):
        kept.history.keep(f"{number}{long}")
    kept.told(words)
    assert isinstance(kept.events[0], Failure)
    kept.history.keep(f"5{long}")
    for _ in range(5):
        kept.loop.later(0.03, kept.loop.stop)
        kept.loop.run()
    kept.told(words)  # once
    end()
    kept.told(words, "writing the history")
    assert kept.lines() == [f"{number}{long}" for number in range(6)]
    kept.history.close()
    if trouble == "locked":
        other.close()


@pytest.mark.parametrize(
    "said",
    [[f"{number:4}" for number in range(13)], [*"abcdefghij", "x" * 53]],
    ids=["lines", "characters"],
)
def test_what_waits_is_bounded_and_what_is_lost_is_told(
    said: list[str], kept: Kept, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_LINES", 10)
    monkeypatch.setattr(module, "MAX_WAITING_CHARACTERS", 60)
    other = locked(kept.path)
    for line in said:
        kept.history.keep(line)
    kept.told("locked")
    other.execute("COMMIT")
    kept.told("locked", "3 lines were dropped")
    assert kept.lines() == said[3:]
    other.execute("BEGIN EXCLUSIVE")
    kept.history.keep("last")
    with pytest.raises(OutputError, match=r"could not write 4 lines .*: database is locked"):
        kept.history.close()
    other.close()


def test_a_short_lock_is_not_told_of_although_there_was_one_before(kept: Kept) -> None:
    for line in ("first", "second"):
        other = locked(kept.path)
        kept.history.keep(line)
        kept.history._commit()
        other.close()
        kept.history._commit()
        kept.loop.now += 2 * module.MAX_LOCKED_SECONDS
    assert kept.lines() == ["first", "second"]
    assert kept.events == []
    kept.history.close()


def test_a_lock_is_waited_for_at_the_end(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 10.0)
    other = locked(kept.path)
    kept.history.keep("hi")
    release = threading.Timer(0.2, other.close)
    release.start()
    kept.history.close()
    release.join()
    assert kept.lines() == ["hi"]


def test_one_that_is_locked_at_the_beginning(loop: Loop, tmp_path: Path, soon: None) -> None:
    path = tmp_path / "room.db"
    Kept(loop, path).history.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    kept = Kept(loop, path)
    assert kept.history.last(5) == []
    kept.history.keep("hi")
    other.execute("COMMIT")
    other.close()
    kept.told("locked", "writing the history")
    assert kept.lines() == ["hi"]
    kept.history.close()


def test_one_that_is_removed_is_made_again(kept: Kept, soon: None) -> None:
    kept.history.keep("before")
    run_until(kept.loop, lambda: kept.lines() == ["before"])
    kept.path.unlink()
    kept.history.keep("after")
    kept.told("was removed: creating it again")
    kept.history.close()
    assert kept.lines() == ["after"]


def test_somebody_elses_in_its_place_stays(kept: Kept, soon: None) -> None:
    kept.path.unlink()
    kept.path.symlink_to("elsewhere")
    kept.history.keep("hi")
    kept.told("was removed", "it is a symbolic link")
    with pytest.raises(OutputError, match="could not write 1 lines"):
        kept.history.close()
    assert not (kept.path.parent / "elsewhere").exists()


def test_what_utf_8_does_not_have(kept: Kept) -> None:
    kept.history.keep("a\udcffb")
    kept.history.close()
    assert kept.lines() == ["a\\udcffb"]


def test_rows_that_are_no_lines(kept: Kept) -> None:
    kept.history.close()
    other = sqlite3.connect(kept.path)
    rows = ["NULL", "5", "x'ff41'", "CAST(x'fe42' AS TEXT)", "'a' || char(10) || '* b joined'"]
    for row in rows:
        other.execute(f"INSERT INTO lines (line) VALUES ({row})")
    other.commit()
    other.close()
    again = Kept(kept.loop, kept.path).history
    assert again.last(9) == ["5", "\ufffdA", "\\xfeB", "a\\x0a* b joined"]
    again.close()


def test_no_more_is_read_than_is_shown(kept: Kept) -> None:
    for _ in range(300):
        kept.history.keep("x" * 4096)
    kept.history.close()
    again = Kept(kept.loop, kept.path).history
    assert 128 <= len(again.last(300)) < 140
    again.close()


FOREIGN = {
    "text": "it is not a database: use another file",
    "folder": "it is not a regular file",
    "link": "it is a symbolic link",
    "fifo": "it is not a regular file",
    "database": "it is another program's database: use another file",
    "other lines": "no such column: line",
    "beside": "it is a symbolic link",
    "user": "it belongs to another user",
    "nowhere": "no such file or directory",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_file_that_cannot_be_used(
    what: str, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "room.db"
    match what:
        case "text":
            path.write_text("no database" * 1000)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("elsewhere")
        case "fifo":
            os.mkfifo(path)
        case "database" | "other lines":
            other = sqlite3.connect(path)
            table = "places" if what == "database" else "lines"
            other.execute(f"CREATE TABLE {table} (id, url)")
            other.close()
        case "beside":
            (tmp_path / "room.db-wal").symlink_to("elsewhere")
            path.touch()
        case "user":
            path.touch()
            monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        case "nowhere":
            path = tmp_path / "none" / "room.db"
    before = path.lstat() if path.is_symlink() or path.exists() else None
    names = os.listdir(tmp_path)
    with pytest.raises(OutputError, match=f"could not write the history .*: {FOREIGN[what]}"):
        History(kit.context(loop), str(path))
    after = path.lstat() if before else None
    for field in ("st_ino", "st_mode", "st_size", "st_mtime_ns"):
        assert getattr(before, field, None) == getattr(after, field, None)
    assert os.listdir(tmp_path) == names
