"""Reports the port of a server to scripts, in a file or through a FIFO.

The file may be new, or a regular file of our user that is empty or holds a port. We lock it while
the server runs, so that two servers never use the same file. Anything else at the path is an error,
and we do not change it. We do not follow symbolic links.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sockkit.errors import BindError, OutputError, SockkitError, UsageError, reason
from sockkit.net.files import is_same, why_not_ours
from sockkit.net.loop import Loop, Timer
from sockkit.net.tcp.listen import Bound
from sockkit.system import fcntl

REFILL_SECONDS = 0.05  # after the line was read from the FIFO, until it is written again
MAX_ATTEMPTS = 10  # to open a path while other processes create and remove it
_MAX_PORT_BYTES = 4096  # a longer file does not hold a port
_MAX_PIPE_BYTES = 1024 * 1024  # the most that a FIFO holds, pipe(7)
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # link(2): no hard links here


def release(path: str) -> None:
    """If `path` is a FIFO, make the readers that wait for a port read end-of-file instead."""
    with suppress(OSError):  # no reader waits
        if stat.S_ISFIFO(os.lstat(path).st_mode):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


@contextmanager
def port_file(loop: Loop, path: str | None, bound: Bound) -> Iterator[None]:
    """Keep the port (for unix, the address) readable at `path` while serving, as one line.

    A new file is complete as soon as it exists, and is removed at the end. A file that existed is
    rewritten in place, and truncated at the end. Each reader of a FIFO gets the line; the server
    does not wait for readers. Raises UsageError for an empty path, BindError if another server uses
    `path`, and OutputError if `path` cannot be used.
    """
    if path is None:
        yield
        return
    if not path:
        raise UsageError("--port-file needs the path of a file", "add it")
    try:
        file = _open(loop, path, os.fsencode(f"{bound.port or bound.address}\n"))
    except OSError as error:
        raise _refused(path, reason(error)) from error
    try:
        yield
    finally:
        file.close()


class _File:
    """A regular file, open and locked, that holds `line`. `made` is whether we have created it.

    `close` removes or truncates it, unless somebody else has rewritten it.
    """

    def __init__(self, path: str, descriptor: int, line: bytes, *, made: bool) -> None:
        self._path, self._descriptor, self._made = path, descriptor, made
        self._line = line

    def close(self) -> None:
        try:
            if os.pread(self._descriptor, _MAX_PORT_BYTES + 1, 0) not in (self._line, b""):
                pass  # somebody has rewritten it
            elif self._made and is_same(self._path, os.fstat(self._descriptor)):
                os.unlink(self._path)
            else:
                os.truncate(self._descriptor, 0)
        except OSError:
            pass  # it cannot be changed any more
        os.close(self._descriptor)  # and with it the lock


class _Fifo:
    """A FIFO, open and locked. After each read, the line is written to it again.

    Its capacity is one page, so it becomes writable only when the line has been read, pipe(7).
    """

    def __init__(self, loop: Loop, descriptor: int, line: bytes) -> None:
        self._loop, self._descriptor, self._line = loop, descriptor, line
        self._timer: Timer | None = None
        self._drain()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _MAX_PORT_BYTES)
            loop.when_writable(descriptor, self._has_been_read)
        self._write()

    def close(self) -> None:
        self._loop.when_writable(self._descriptor, None)
        if self._timer:
            self._timer.cancel()
        self._drain()
        os.close(self._descriptor)

    def _write(self) -> None:
        try:
            os.write(self._descriptor, self._line)
        except BlockingIOError:
            pass  # somebody else has written into it

    def _has_been_read(self) -> None:
        self._loop.when_writable(self._descriptor, None)
        self._timer = self._loop.later(REFILL_SECONDS, self._refill)

    def _refill(self) -> None:
        self._write()
        self._loop.when_writable(self._descriptor, self._has_been_read)

    def _drain(self) -> None:
        """Discard its bytes. They may be the line of a server that has ended."""
        try:
            for _ in range(_MAX_PIPE_BYTES // _MAX_PORT_BYTES):
                os.read(self._descriptor, _MAX_PORT_BYTES)
        except BlockingIOError:
            pass


def _open(loop: Loop, path: str, line: bytes) -> _File | _Fifo:
    for _ in range(MAX_ATTEMPTS):
        try:
            there = os.lstat(path)
            if not stat.S_ISFIFO(there.st_mode) and (why := why_not_ours(there)):
                raise _refused(path, why)
            descriptor = os.open(path, _OPEN)
        except FileNotFoundError:
            if made := _make(path, line):
                return made
            continue
        try:
            if os.path.samestat(os.fstat(descriptor), there):
                _lock(path, descriptor)
                if is_same(path, there):  # otherwise another server has just removed it
                    return _use(loop, path, descriptor, line)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _refused(path, "other processes keep creating and removing it")


def _use(loop: Loop, path: str, descriptor: int, line: bytes) -> _File | _Fifo:
    """Write `line` to a file or FIFO that existed."""
    there = os.fstat(descriptor)
    if stat.S_ISFIFO(there.st_mode):
        return _Fifo(loop, descriptor, line)
    if there.st_nlink > 1:
        raise _refused(path, "it has another hard link")
    held = os.pread(descriptor, _MAX_PORT_BYTES + 1, 0)
    if len(held) > _MAX_PORT_BYTES or (not _is_port(held) and held != line):
        raise _refused(path, "it contains something other than a port number")
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, line, 0)
    return _File(path, descriptor, line, made=False)


def _is_port(held: bytes) -> bool:
    number = re.fullmatch(rb"([0-9]{0,5})\s*", held)
    return number is not None and int(number[1] or 0) < 65536


def _make(path: str, line: bytes) -> _File | None:
    """Create the file with `line` in it, in one step. None if another server was faster."""
    draft = os.path.join(os.path.dirname(path), f".port-{os.urandom(6).hex()}")
    descriptor = os.open(draft, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
    file = _File(path, descriptor, line, made=True)
    try:
        try:
            _lock(path, descriptor)
            os.write(descriptor, line)
            os.link(draft, path, follow_symlinks=False)
        finally:
            os.unlink(draft)
        return file
    except FileExistsError:
        file.close()
        return None
    except OSError as error:
        file.close()
        if error.errno in _NO_LINKS:
            return _make_in_place(path, line)
        raise


def _make_in_place(path: str, line: bytes) -> _File | None:
    try:
        descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    file = _File(path, descriptor, line, made=True)
    try:
        _lock(path, descriptor)
        os.write(descriptor, line)
    except BaseException:
        file.close()
        raise
    return file


def _lock(path: str, descriptor: int) -> None:
    """Lock the file, flock(2), if the system can. Raises BindError if another server holds it."""
    if not fcntl:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BindError(
            f"another server uses --port-file {path}", "use another path, or stop that server"
        ) from error
    except OSError:
        pass


def _refused(path: str, why: str) -> SockkitError:
    return OutputError(f"could not write {path}: {why}", "use another path")
