"""Standard input and output as a source and a sink that never block.

Other processes share them, so we never change their flags. We open a pipe or terminal again,
through /proc, which makes a new file description with O_NONBLOCK. If that fails, or would open
something else (for the master of a pseudo-terminal it opens a new one, pty(7)), we read only when
it is ready, and write no more than a ready pipe or terminal accepts at once. On a socket we use
MSG_DONTWAIT. A regular file never blocks.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sockkit.errors import OutputError, OutputGone, SockkitError, reason
from sockkit.net.ends.end import Callback, Kind, Sink
from sockkit.net.loop import Loop
from sockkit.system import FIONREAD, fcntl, ioctl_number
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.command_prompt import CommandPrompt
    from sockkit.core.console import Assistant

_GONE = "nobody reads stdout any more"
# From asm-generic/ioctls.h; Python has no names for them.
_TIOCGPTN, _TIOCGDEV = 0x80045430, 0x80045432


def _kind(descriptor: int) -> Kind:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISFIFO(mode):
        return Kind.PIPE
    if stat.S_ISSOCK(mode) or os.isatty(descriptor):
        return Kind.OTHER
    return Kind.DEVICE


def _inherited_socket(descriptor: int) -> socket.socket | None:
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return socket.socket(fileno=os.dup(descriptor))
    return None


def open_for(descriptor: int, mode: int) -> bool:
    """Whether `descriptor` is open for `mode`, O_RDONLY or O_WRONLY. True if there is no fcntl."""
    return not fcntl or fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE in (mode, os.O_RDWR)


def _reopened(descriptor: int, mode: int) -> int:
    """A new, non-blocking descriptor of the same pipe or terminal; else `descriptor` itself."""
    terminal = os.isatty(descriptor)
    if not (terminal or stat.S_ISFIFO(os.fstat(descriptor).st_mode)):
        return descriptor
    if terminal and ioctl_number(descriptor, _TIOCGPTN) is not None:
        return descriptor  # only the master of a pseudo-terminal has TIOCGPTN
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", mode | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return descriptor  # no /proc, another user's terminal, or a pipe without a reader
    # /dev/tty means the controlling terminal of the process that opens it.
    if terminal and ioctl_number(own, _TIOCGDEV) != ioctl_number(descriptor, _TIOCGDEV):
        os.close(own)
        return descriptor
    return own


class StandardInput:
    """Standard input, as a Source.

    With `never_waits`, a read that finds nothing raises BlockingIOError. Otherwise it may block:
    read only when it is readable.
    """

    name = "stdin"
    kind: Kind
    descriptor: int
    terminal: bool
    never_waits: bool

    def read_into(self, buffer: memoryview, /) -> int:
        raise NotImplementedError

    def has_bytes(self) -> bool:
        raise NotImplementedError

    def extent(self) -> tuple[int, int]:
        """The position in a regular file, and the file's size; zeros for anything else."""
        return 0, 0

    def when_readable(self, callback: Callback | None) -> None:
        raise NotImplementedError

    def deliver_to(self, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with all input from now on, and with no bytes at its end."""
        buffer = memoryview(bytearray(64 * 1024))

        def read() -> None:
            try:
                size = self.read_into(buffer)
            except BlockingIOError:
                return
            if not size:
                self.when_readable(None)
            receive(bytes(buffer[:size]))

        self.when_readable(read)

    def read_failed(self, error: OSError, /) -> SockkitError:
        return SockkitError(f"could not read {self.name}: {reason(error)}")


class Input(StandardInput):
    """The standard input of this process, or another descriptor in its place."""

    def __init__(self, loop: Loop, descriptor: int) -> None:
        self._loop = loop
        self._readable = open_for(descriptor, os.O_RDONLY)
        self.kind = _kind(descriptor) if self._readable else Kind.OTHER
        self.terminal = os.isatty(descriptor)
        if not self._readable:
            # /dev/null is always readable, so that somebody reads and gets the error.
            self.descriptor = os.open(os.devnull, os.O_RDONLY)
        else:
            self.descriptor = _reopened(descriptor, os.O_RDONLY)
        self._socket = _inherited_socket(descriptor)
        own = self.descriptor != descriptor
        self.never_waits = own or self.kind is Kind.FILE or self._socket is not None

    def read_into(self, buffer: memoryview, /) -> int:
        if not self._readable:
            raise SockkitError(f"{self.name} is not open for reading", "add < /dev/null")
        try:
            if self._socket:
                return self._socket.recv_into(buffer, 0, socket.MSG_DONTWAIT)
            return os.readv(self.descriptor, [buffer])
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno == errno.EIO and self.terminal:
                return 0  # the terminal has been closed
            raise self.read_failed(error) from error

    def has_bytes(self) -> bool:
        """Whether a pipe holds bytes, FIONREAD of pipe(7); False for anything else."""
        return self.kind is Kind.PIPE and bool(ioctl_number(self.descriptor, FIONREAD))

    def extent(self) -> tuple[int, int]:
        if self.kind is not Kind.FILE:
            return 0, 0
        try:
            return os.lseek(self.descriptor, 0, os.SEEK_CUR), os.fstat(self.descriptor).st_size
        except OSError:  # the file system is gone
            return 0, 0

    def when_readable(self, callback: Callback | None) -> None:
        self._loop.when_readable(self.descriptor, callback)


class UnreadInput(StandardInput):
    """Takes the place of standard input if we must not read it: has no bytes, and never ends."""

    kind, descriptor = Kind.OTHER, -1
    terminal, never_waits = False, True

    def read_into(self, buffer: memoryview, /) -> int:
        raise BlockingIOError

    def has_bytes(self) -> bool:
        return False

    def when_readable(self, callback: Callback | None) -> None:
        pass


class StandardOutput(Sink, Protocol):
    """Standard output, as commands use it. `terminal` is whether it is a terminal."""

    terminal: bool

    def when_gone(self, callback: Callable[[OutputGone], None]) -> None:
        """Call `callback` once nobody can read the output any more. Replaces an earlier one."""
        ...

    def end(self) -> None:
        """Close it, so that its reader sees the end. All must be written. Terminals stay open."""
        ...


class Output:
    """Standard output, as a Sink.

    With `edited`, `descriptor` is a non-blocking pipe of ours, and a line editor shows its bytes
    above the prompt. `in_line` is whether the terminal's cursor is in an unfinished line.
    `before_write` is called before each write to a terminal.
    """

    name = "stdout"

    def __init__(self, loop: Loop, descriptor: int, *, edited: bool = False) -> None:
        self._loop = loop
        self._writable = open_for(descriptor, os.O_WRONLY)
        self.kind = _kind(descriptor) if self._writable else Kind.OTHER
        self.terminal = edited or os.isatty(descriptor)
        self.in_line = False
        self._original = descriptor
        self.before_write: Callback = lambda: None
        keep = edited or not self._writable
        self.descriptor = descriptor if keep else _reopened(descriptor, os.O_WRONLY)
        self._ready_bytes: int | None = (
            None  # bytes accepted at once when ready; None for any number
        )
        if self._writable and not edited and self.descriptor == descriptor:
            if self.kind is Kind.PIPE:
                self._ready_bytes = select.PIPE_BUF
            elif self.terminal:
                self._ready_bytes = 1
        self._socket = _inherited_socket(descriptor)

    def write(self, data: bytes | memoryview, /) -> int:
        if not self._writable:
            raise OutputError(f"{self.name} is not open for writing", "add > /dev/null")
        if self.terminal:
            self.before_write()
        try:
            if self._socket:
                return self._socket.send(data, socket.MSG_DONTWAIT)
            if self._ready_bytes:
                size = self._write_while_ready(data, self._ready_bytes)
            else:
                size = os.write(self.descriptor, data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.write_failed(error) from error
        if self.terminal and size:
            self.in_line = data[size - 1] != ord("\n")
        return size

    def _write_while_ready(self, data: bytes | memoryview, size: int) -> int:
        """Write pieces of `size` bytes, at most PIPE_BUF in all, as long as it is writable."""
        written = 0
        while written < min(len(data), select.PIPE_BUF):
            if not select.select([], [self.descriptor], [], 0)[1]:
                break
            written += os.write(self.descriptor, data[written : written + size])
        if not written:
            raise BlockingIOError
        return written

    def when_writable(self, callback: Callback | None) -> None:
        self._loop.when_writable(self.descriptor, callback)

    def when_gone(self, callback: Callable[[OutputGone], None]) -> None:
        """Call `callback` once the last reader of a pipe has closed it. Replaces an earlier one.

        Linux only: epoll(7) then reports EPOLLERR for the writing end, which is never readable.
        """

        def gone() -> None:
            self._loop.when_readable(self.descriptor, None)
            callback(OutputGone(_GONE))

        if self.kind is Kind.PIPE and sys.platform == "linux":
            self._loop.when_readable(self.descriptor, gone)

    def end(self) -> None:
        """Close it, so that its reader sees the end. All must be written. A terminal stays open.

        The original descriptor becomes /dev/null.
        """
        if self.terminal or not self._writable:
            return
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
        except OSError:
            return  # it stays open until we end
        self._loop.when_readable(self.descriptor, None)
        self._loop.when_writable(self.descriptor, None)
        if self._socket:
            self._socket.close()
        if self.descriptor != self._original:
            os.close(self.descriptor)
        os.dup2(nothing, self._original)
        os.close(nothing)
        self.descriptor, self.kind = self._original, Kind.DEVICE
        self._socket, self._ready_bytes = None, None

    def write_failed(self, error: OSError, /) -> SockkitError:
        if error.errno in (errno.EPIPE, errno.ECONNRESET):
            return OutputGone(_GONE)
        return OutputError(f"could not write {self.name}: {reason(error)}")


class Stdio(Value):
    """The standard streams of a command; `encoding` is the user's.

    `assist` tells the line editor, if there is one, where its prompt and completions come from.
    Call it again when the prompt has changed. `offer` sets the commands of its Ctrl-] prompt; None
    without a line editor.
    """

    input: StandardInput
    output: StandardOutput
    encoding: str
    assist: Callable[[Assistant], None] = lambda _: None
    offer: Callable[[CommandPrompt], None] | None = None
