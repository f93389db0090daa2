"""The history of a chat room, kept in a file: SQLite with a write-ahead log.

Lines wait in memory and are written together, in one short transaction a second, so that several
rooms can share a file. When the file cannot be written, because another program has locked it or
the disk is full, the room goes on: that is reported, lines wait, and the oldest are dropped beyond
a bound.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from contextlib import suppress

from sockkit.core.chat.history import MAX_RECENT_CHARACTERS
from sockkit.core.printable import escape
from sockkit.errors import OutputError, UsageError, reason
from sockkit.events import Failure, Notice
from sockkit.net.context import Context
from sockkit.net.files import is_same, why_not_ours
from sockkit.net.loop import Timer

WRITE_DELAY_SECONDS = 1.0  # after which a line that waits is written
MAX_LOCKED_SECONDS = 1.0  # for which a locked file is not reported
LOCK_WAIT_SECONDS = 0.5  # for a lock at the start and at the end, when no member waits
MAX_WAITING_LINES, MAX_WAITING_CHARACTERS = (
    10_000,
    4 * 1024 * 1024,
)  # beyond these, the oldest lines are dropped
_MAGIC = b"SQLite format 3\0"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FOREIGN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
_Trouble = (sqlite3.Error, OutputError)


class History:
    """The lines in the file `path`, which is created, for our user only, if it does not exist.

    Raises OutputError if the file is not ours, or not a history. While the room runs, the loop
    never waits for a lock.
    """

    def __init__(self, context: Context, path: str) -> None:
        if not path:
            raise UsageError("--history-file needs the path of a file", "give one, such as room.db")
        self._loop, self._path, self._emit = context.loop, path, context.emit
        self._whole = os.path.abspath(path)  # never a name with a meaning for SQLite, like :memory:
        self._paths = [self._whole + suffix for suffix in ("", "-wal", "-shm", "-journal")]
        self._timer: Timer | None = None
        self._waiting: deque[str] = deque()
        self._size = 0  # characters that wait
        self._dropped = 0
        self._failing: float | None = None  # since when writing fails
        self._told = False
        self._file: sqlite3.Connection | None = None
        try:
            self._open(LOCK_WAIT_SECONDS)
        except sqlite3.Error as error:
            if _code(error) in _FOREIGN:
                raise self._refused(str(error)) from error
            self._tell(error)
            self._plan()

    def last(self, count: int) -> list[str]:
        """The last `count` lines, oldest first, up to about MAX_RECENT_CHARACTERS."""
        lines: list[str] = []
        size = 0
        if not self._file:
            return lines
        try:
            rows = self._file.execute("SELECT line FROM lines ORDER BY id DESC LIMIT ?", (count,))
            for (line,) in rows:
                if line is not None:
                    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else str(line)
                    lines.append(escape(text))
                    size += len(text)
                if size > MAX_RECENT_CHARACTERS:
                    break
        except sqlite3.Error as error:
            self._tell(error)
            self._plan()
        return lines[::-1]

    def keep(self, line: str) -> None:
        """Write `line` within WRITE_DELAY_SECONDS, if the file can be written."""
        self._waiting.append(line)
        self._size += len(line)
        while len(self._waiting) > MAX_WAITING_LINES or self._size > MAX_WAITING_CHARACTERS:
            self._size -= len(self._waiting.popleft())
            self._dropped += 1
        self._plan()

    def close(self) -> None:
        """Write what waits, and close the file. Raises OutputError if lines are lost."""
        if self._timer:
            self._timer.cancel()
        why = ""
        try:
            if self._waiting:
                self._write(LOCK_WAIT_SECONDS)
        except _Trouble as error:
            why = f": {self._reason(error)}"
        finally:
            if self._file:
                self._file.close()
        if lost := self._dropped + len(self._waiting):
            raise OutputError(f"could not write {lost} lines of the history {self._path}{why}")

    def _plan(self) -> None:
        if not self._timer:
            self._timer = self._loop.later(WRITE_DELAY_SECONDS, self._commit)

    def _commit(self) -> None:
        self._timer = None
        try:
            self._write(0)
        except _Trouble as error:
            self._failing = self._loop.now if self._failing is None else self._failing
            locked = isinstance(error, sqlite3.Error) and _code(error) in _BUSY
            if not locked or self._loop.now - self._failing >= MAX_LOCKED_SECONDS:
                self._tell(error)
            self._plan()
            return
        self._failing = None
        if self._told:
            self._told = False
            lost = f", {self._dropped:,} lines were dropped" if self._dropped else ""
            self._emit(Notice(f"writing the history {self._path} again{lost}"))

    def _tell(self, error: Exception) -> None:
        """Report, once, that the file cannot be used now."""
        if not self._told:
            self._told = True
            told = self._words(self._reason(error))
            self._emit(Failure(f"{told}: the room continues without it"))

    def _write(self, wait: float) -> None:
        """Write all lines that wait, or none. Waits for a lock, at most `wait` seconds."""
        if self._file and not is_same(self._whole, self._there):
            self._emit(Notice(f"the history {self._path} was removed: creating it again"))
            self._file.close()
            self._file = None
        if not self._file:
            self._open(wait)
        assert self._file
        self._file.execute(f"PRAGMA busy_timeout = {wait * 1000:.0f}")
        self._file.execute("BEGIN IMMEDIATE")
        try:
            # Some encodings decode to characters that UTF-8 cannot encode.
            rows = ((line.encode("utf-8", "backslashreplace"),) for line in self._waiting)
            self._file.executemany("INSERT INTO lines (line) VALUES (CAST(? AS TEXT))", rows)
            self._file.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # it may have been rolled back already
                self._file.execute("ROLLBACK")
            raise
        self._waiting.clear()
        self._size = 0

    def _open(self, wait: float) -> None:
        file: sqlite3.Connection | None = None
        try:
            self._claim()
            file = sqlite3.connect(self._whole, isolation_level=None, timeout=wait)
            self._prepare(file)
            self._there = os.lstat(self._whole)
        except BaseException as error:
            if file:
                file.close()
            if isinstance(error, OSError):
                raise self._refused(reason(error)) from error
            raise
        self._file = file

    def _prepare(self, file: sqlite3.Connection) -> None:
        file.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master")]
        if tables and "lines" not in tables:
            raise self._refused("it is another program's database: use another file")
        if tables:
            file.execute("SELECT id, line FROM lines LIMIT 0")
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute("CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, line TEXT)")
        for path in self._paths:
            with suppress(OSError):  # it does not exist
                os.chmod(path, 0o600)  # SQLite gives its other files the mode of the first

    def _claim(self) -> None:
        """Create the file, or check that it and the files beside it are ours."""
        try:
            os.close(os.open(self._whole, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        for path in self._paths:
            with suppress(FileNotFoundError):
                if why := why_not_ours(os.lstat(path)):
                    raise self._refused(f"{why} ({path})" if path != self._whole else why)
        file = os.open(self._whole, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if os.read(file, len(_MAGIC)) not in (b"", _MAGIC):
                raise self._refused("it is not a database: use another file")
        finally:
            os.close(file)

    def _words(self, why: str) -> str:
        return f"could not write the history {self._path}: {why}"

    def _reason(self, error: Exception) -> str:
        return str(error).removeprefix(self._words(""))

    def _refused(self, why: str) -> OutputError:
        return OutputError(self._words(why))


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
