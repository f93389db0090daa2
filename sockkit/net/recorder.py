"""Writes a recording: whole lines, to a file that nobody else writes at the same time.

Only our user can read a new file. We refuse an existing file, unless it is a recording and --append
is given. We never follow symbolic links. The file is locked while we write to it.

Lines wait in memory for at most a second, so if sockkit is killed, no more is lost; the last line
may also be cut. We do not call fsync(2): a recording survives a crash of this program, but perhaps
not of the machine.
"""

from __future__ import annotations

import os
import stat

from sockkit.core.json_lines import HEAD, decode
from sockkit.core.records import Begun
from sockkit.errors import OutputError, UsageError, reason
from sockkit.net.files import why_not_ours
from sockkit.net.loop import Loop, Timer
from sockkit.system import fcntl

WRITE_SECONDS = 1.0  # a line waits at most so long before it is written
MAX_WAITING_BYTES = 256 * 1024  # once so many bytes wait, they are written at once
_FIRST_LINE_BYTES = 64 * 1024  # the first line of a recording is much shorter
_BLOCK = 64 * 1024  # bytes of one read, to find the end of the last whole line
_OPEN = os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Recorder:
    """The recording at `path`. With `append` it continues an existing one, after its last line.

    Raises UsageError for an empty path, and OutputError if the file cannot be used.
    """

    def __init__(self, loop: Loop, path: str, *, append: bool = False) -> None:
        if not path:
            raise UsageError("--record needs the path of a file", "add it")
        self._loop, self._path = loop, path
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: Timer | None = None
        self._error: OutputError | None = None
        try:
            self._file = self._open(append)
        except OSError as error:
            raise self._failed(reason(error)) from error

    def put(self, line: bytes) -> None:
        """Write one or several lines within WRITE_SECONDS. If that fails, the loop raises."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= MAX_WAITING_BYTES:
            self._write()
        elif not self._timer:
            self._timer = self._loop.later(WRITE_SECONDS, self._write)

    def close(self) -> None:
        """Write the waiting lines, and close the file. Raises OutputError if that fails."""
        told = self._error
        self._write()
        try:
            os.close(self._file)
        except OSError as error:  # some file systems report a full disk or quota only here
            self._error = self._error or self._failed(reason(error))
        if self._error and not told:
            raise self._error

    def _write(self) -> None:
        lines, self._lines, self._size = b"".join(self._lines), [], 0
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._error:
            return  # the last line in the file may be cut: write nothing after it
        try:
            while lines:
                lines = lines[os.write(self._file, lines) :]
        except OSError as error:
            self._error = self._failed(reason(error))
            self._error.__cause__ = error  # which says what to try
            self._loop.call_soon(self._raise)

    def _raise(self) -> None:
        """Raise the error in the loop, to end the run. The recorded connection has not failed."""
        assert self._error
        raise self._error

    def _open(self, append: bool) -> int:
        try:
            return self._claimed(
                os.open(self._path, _OPEN | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            )
        except FileExistsError:
            there = os.lstat(self._path)
        if stat.S_ISREG(there.st_mode) and not append:
            raise self._failed("it already exists", "use another name, or add to it with --append")
        if why := why_not_ours(there):
            raise self._failed(why, "use another name")
        file = self._claimed(os.open(self._path, _OPEN | os.O_RDWR))
        try:
            if why := why_not_ours(os.fstat(file)):
                raise self._failed(why, "use another name")
            self._check_first_line(file)
            _remove_cut_line(file)
        except BaseException:
            os.close(file)
            raise
        return file

    def _claimed(self, file: int) -> int:
        """Lock `file`, flock(2), and return it. The lock ends with the process."""
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise self._failed("another sockkit is writing to it", "use another name") from error
        except OSError:
            pass  # a file system without locks
        return file

    def _check_first_line(self, file: int) -> None:
        """Raise OutputError if the file is not a recording.

        An empty file is a recording, and so is a file that ends within its first line.
        """
        head = os.pread(file, _FIRST_LINE_BYTES, 0)
        line, end, _ = head.partition(b"\n")
        cut = not end and len(head) < _FIRST_LINE_BYTES
        if cut and (HEAD.startswith(line) or line.startswith(HEAD)):
            return
        try:
            if type(decode(line)) is Begun:
                return
        except ValueError as error:
            why = f"it is not a recording (line 1: {error})"
            raise self._failed(why, "use another name") from error
        why = "it is not a recording (line 1: it begins with another event)"
        raise self._failed(why, "use another name")

    def _failed(self, why: str, hint: str = "") -> OutputError:
        return OutputError(f"could not record into {self._path}: {why}", hint)


def _remove_cut_line(file: int) -> None:
    """Truncate the file after its last line end."""
    size = place = os.fstat(file).st_size
    while place:
        start = max(0, place - _BLOCK)
        found = os.pread(file, place - start, start).rfind(b"\n")
        if found >= 0:
            place = start + found + 1
            break
        place = start
    if place != size:
        os.ftruncate(file, place)
