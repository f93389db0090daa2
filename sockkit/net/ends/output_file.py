"""The file of -o, which gets a copy of all bytes received, unchanged.

We create it as a shell does for `>`, and follow symbolic links. What was in it is dropped when a
server listens or a client is connected, but not by a client that cannot connect. It may be a device
or a FIFO. If its reader is slow, we receive less, as with standard output.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from sockkit.core.records import Exit, Listening, Message, Opened, Record
from sockkit.errors import OutputError, SockkitError, UsageError, reason
from sockkit.net.ends.end import Callback, Kind
from sockkit.net.loop import Loop

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY


class ReceivedBytes:
    """A view that shows the bytes received from all peers, with nothing added.

    It calls `begin` once, when a server listens, a connection is made, or the run has gone well.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin

    def show(self, record: Record, /) -> bytes:
        well = isinstance(record, Listening | Opened) or (
            type(record) is Exit and not record.status
        )
        if self._begin and well:
            self._begin()
            self._begin = None
        return (
            record.data if isinstance(record, Message) and record.direction == "received" else b""
        )


class OutputFile:
    """The file at `path`, as a sink. A new file gets the permissions `mode`, less the umask. An old
    one keeps what is in it until `empty`.

    Raises UsageError if `path` is empty, or our standard input or output, and OutputError if it
    cannot be opened.
    """

    kind = Kind.OTHER

    def __init__(
        self, loop: Loop, path: str, *, option: str = "--output", mode: int = 0o666
    ) -> None:
        if not path:
            raise UsageError(f"{option} needs the path of a file", "add it")
        self._loop, self.name = loop, path
        if _is_stream(path, 0):
            raise UsageError(
                f"{option}: {path} is also stdin, and would be emptied", "use another file"
            )
        if _is_stream(path, 1):
            raise UsageError(f"{option}: {path} is also stdout", "use another file")
        try:
            self.descriptor = os.open(path, _OPEN, mode)
        except OSError as error:
            failed = self.write_failed(error)
            failed.hint = "start its reader first" if _is_fifo(path) else ""
            raise failed from error

    def empty(self) -> None:
        """Drop what is in it. Raises OutputError."""
        try:
            if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
                os.ftruncate(self.descriptor, 0)
        except OSError as error:
            raise self.write_failed(error) from error

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            return os.write(self.descriptor, data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.write_failed(error) from error

    def when_writable(self, callback: Callback | None) -> None:
        self._loop.when_writable(self.descriptor, callback)

    def write_failed(self, error: OSError, /) -> SockkitError:
        return OutputError(f"could not write {self.name}: {reason(error)}")

    def close(self) -> None:
        """Raises OutputError: some file systems report only here that they are full."""
        try:
            os.close(self.descriptor)
        except OSError as error:
            raise self.write_failed(error) from error


def _is_stream(path: str, descriptor: int) -> bool:
    """Whether `path` is the regular file that is our stdin or stdout, by its descriptor."""
    try:
        there, ours = os.stat(path), os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISREG(there.st_mode) and os.path.samestat(there, ours)


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False
