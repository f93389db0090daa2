"""What the lanes of one loop share: buffers to copy through, and pipes to splice through.

A lane uses a buffer only within one step, so one of each size is enough. It holds a pipe only while
bytes wait in it, and a pipe that comes back is empty.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sockkit.system import fcntl, pipe

WIDE_PIPE_BYTES = 1024 * 1024  # the largest pipe of an ordinary user, pipe(7)
DEFAULT_PIPE_BYTES = 64 * 1024
MAX_WIDE_PIPES = 16  # more flows than that do not wait for their sinks at once, mostly
# Half of the 16,384 pages that an ordinary user may have in pipes, pipe(7).
MAX_PIPE_BYTES = 32 * 1024 * 1024
MAX_IDLE_PIPES = 8  # kept for the next lane: making a pipe costs several system calls
SPARE_DESCRIPTORS = 8  # left to connections, lookups and files when they run out


class Pipe(NamedTuple):
    """A non-blocking pipe that holds `size` bytes at the most."""

    out: int
    into: int
    size: int


class Pools:
    """Owns its pipes. A pipe that was taken is given back when it is empty, or dropped.

    `users` counts the lanes that may want one. When the last of them has left, none is kept.
    """

    __slots__ = ("_buffers", "_idle", "_most", "_size", "_wide", "users")

    def __init__(self) -> None:
        self._buffers: dict[int, memoryview] = {}
        self._idle: list[Pipe] = []  # the widest last
        self._size = self._wide = 0  # of all pipes: their bytes, and how many are wide
        self._most: int | None = None  # descriptors, without those to spare
        self.users = 0

    def buffer(self, size: int) -> memoryview:
        """A buffer of `size` bytes. The next step of any lane overwrites it."""
        if size not in self._buffers:
            self._buffers[size] = memoryview(bytearray(size))
        return self._buffers[size]

    def take_pipe(self) -> Pipe | None:
        """An empty pipe; None if there are as many as there may be, or hardly a descriptor."""
        if self._idle:
            return self._idle.pop()
        if self._size + DEFAULT_PIPE_BYTES > MAX_PIPE_BYTES:
            return None
        try:
            out, into = pipe()
        except OSError:
            return None
        if max(out, into) >= self._most_descriptors():
            os.close(out)
            os.close(into)
            return None
        return self._counted(out, into)

    def give_back(self, pipe: Pipe) -> None:
        """Keep an empty pipe for the next lane, or close it."""
        self._idle.insert(len(self._idle) if pipe.size > DEFAULT_PIPE_BYTES else 0, pipe)
        if len(self._idle) > MAX_IDLE_PIPES:
            self.drop(self._idle.pop(0))

    def drop(self, pipe: Pipe) -> None:
        """Close a pipe, with what it holds."""
        self._size -= pipe.size
        self._wide -= pipe.size > DEFAULT_PIPE_BYTES
        os.close(pipe.out)
        os.close(pipe.into)

    def left(self) -> None:
        """A lane wants no pipe any more."""
        self.users -= 1
        if not self.users:
            self.close()

    def close(self) -> None:
        """Close the pipes that are kept."""
        while self._idle:
            self.drop(self._idle.pop())

    def _counted(self, out: int, into: int) -> Pipe:
        if self._wide < MAX_WIDE_PIPES:
            widen(into)
        made = Pipe(out, into, _pipe_bytes(into))
        self._size += made.size
        self._wide += made.size > DEFAULT_PIPE_BYTES
        return made

    def _most_descriptors(self) -> int:
        if self._most is None:
            limit = os.sysconf("SC_OPEN_MAX")  # as getrlimit(2) tells it; -1 for no limit
            self._most = limit - SPARE_DESCRIPTORS if limit > 0 else 1 << 31
        return self._most


def widen(descriptor: int) -> None:
    """Enlarge a pipe to WIDE_PIPE_BYTES if the system allows it, pipe(7)."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        return
    try:
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < WIDE_PIPE_BYTES:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, WIDE_PIPE_BYTES)
    except OSError:
        pass  # the user's limit is reached: a smaller pipe works too


def _pipe_bytes(descriptor: int) -> int:
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        return DEFAULT_PIPE_BYTES
    size: int = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    return size
