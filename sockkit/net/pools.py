"""The pools of a loop: buffers and pipes that its lanes share.

A lane uses a buffer only within one step, so one buffer of each size is enough. A lane borrows a
pipe only while bytes wait in it, and returns it empty.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sockkit.system import fcntl, pipe

WIDE_PIPE_BYTES = 1024 * 1024  # the largest pipe of an ordinary user, pipe(7)
DEFAULT_PIPE_BYTES = 64 * 1024
MAX_WIDE_PIPES = 16  # rarely do more lanes wait for their sinks at the same time
# Half of the 16,384 pages that an ordinary user's pipes may have together, pipe(7).
MAX_PIPE_BYTES = 32 * 1024 * 1024
MAX_IDLE_PIPES = 8  # kept for the next lane: making a pipe takes several system calls
SPARE_DESCRIPTORS = 8  # that pipes never use, so that connections, lookups and files can


class Pipe(NamedTuple):
    """A non-blocking pipe: its reading end, its writing end, and its capacity in bytes."""

    out: int
    into: int
    size: int


class Pools:
    """Owns its pipes. A lane that has taken a pipe returns it when it is empty, or drops it.

    `users` counts the lanes that may take one. When the last of them is closed, so are the pipes.
    """

    __slots__ = ("_buffers", "_idle", "_most", "_size", "_wide", "users")

    def __init__(self) -> None:
        self._buffers: dict[int, memoryview] = {}
        self._idle: list[Pipe] = []  # the widest last
        self._size = self._wide = 0  # of all pipes: their total capacity, and how many are wide
        self._most: int | None = None  # pipes use only descriptors below this number
        self.users = 0

    def buffer(self, size: int) -> memoryview:
        """A buffer of `size` bytes. The next step of any lane overwrites it."""
        if size not in self._buffers:
            self._buffers[size] = memoryview(bytearray(size))
        return self._buffers[size]

    def take_pipe(self) -> Pipe | None:
        """An empty pipe; None at MAX_PIPE_BYTES, or if few descriptors are free."""
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
        """Close a pipe. The bytes in it are lost."""
        self._size -= pipe.size
        self._wide -= pipe.size > DEFAULT_PIPE_BYTES
        os.close(pipe.out)
        os.close(pipe.into)

    def left(self) -> None:
        """A lane that counted in `users` is closed."""
        self.users -= 1
        if not self.users:
            self.close()

    def close(self) -> None:
        """Close the idle pipes."""
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
            limit = os.sysconf("SC_OPEN_MAX")  # the limit of getrlimit(2); -1 for none
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
