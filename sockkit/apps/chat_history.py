"""A chat room's lines, kept in a file: SQLite with a write-ahead log."""

from __future__ import annotations

import sqlite3

from sockkit.errors import OutputError
from sockkit.net.loop import Loop, Timer

AT_LATEST = 1.0  # seconds until a line is safe from a kill


class History:
    """`path` is made when it is not there. Raises OutputError for a file it cannot use."""

    def __init__(self, loop: Loop, path: str) -> None:
        self._loop, self._path = loop, path
        self._timer: Timer | None = None
        try:
            self._file = sqlite3.connect(path, isolation_level=None, timeout=AT_LATEST)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        try:
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, line TEXT)"
            )
        except sqlite3.Error as error:
            self._file.close()
            raise self._failed(error) from error

    def last(self, count: int) -> list[str]:
        """The last `count` lines, oldest first."""
        try:
            rows = self._file.execute("SELECT line FROM lines ORDER BY id DESC LIMIT ?", (count,))
            return [line for (line,) in rows][::-1]
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def keep(self, line: str) -> None:
        """Write `line`; many in a second are made safe together."""
        try:
            if not self._timer:
                self._file.execute("BEGIN")
                self._timer = self._loop.later(AT_LATEST, self.commit)
            self._file.execute("INSERT INTO lines (line) VALUES (?)", (line,))
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
            try:
                self._file.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._file.close()

    def _failed(self, error: sqlite3.Error) -> OutputError:
        return OutputError(f"could not keep the history in {self._path}: {error}")
