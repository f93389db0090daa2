"""What the conformance kit runs on: makers of ends, each with its far side.

A new kind of end is one more name in SOURCES and SINKS, or ENDS, and its maker in `make`. Nothing
here or in test_end.py asks a descriptor under test whether it is ready: the end is asked, on the
loop. The far side is played on the loop too, without threads.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from sockkit.core.faults import FaultOptions, Held
from sockkit.core.records import Stream
from sockkit.core.stream_faults import StreamFaults
from sockkit.errors import ReceiveError
from sockkit.net.ends.disturbed_end import DisturbedEnd
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.ends.program_end import ProgramEnd
from sockkit.net.ends.tapped_end import TappedEnd
from sockkit.net.ends.tls_end import TlsEnd
from sockkit.net.loop import Loop
from sockkit.net.views import Views
from sockkit.system import FIONREAD, ioctl_number
from tests.net import kit, tls
from tests.net.kit import Cut, Made, Stack

TLS = ["tls-client", "tls-server", "tls-over-memory"]
ENDS = ["tcp", "unix", "memory", "program", "tapped", "disturbed", *TLS]
SOURCES = [*ENDS, "pipe", "file", "socketpair", kit.PTY]  # from "pipe" on, standard input
SINKS = [*SOURCES, "append"]  # and standard output
VARIANTS = ["free", "clogged", "cut"]
LITTLE = 1000  # bytes that a clogged end in memory holds


class FarSide(Protocol):
    """Never blocks: raises BlockingIOError. A reset by the other side is ConnectionResetError."""

    def write(self, data: bytes | memoryview) -> int: ...

    def read(self) -> bytes:
        """Nothing at the end."""
        ...

    def end(self) -> None:
        """Write no more."""
        ...

    def close(self) -> None: ...

    def reset(self) -> None:
        """Close, although the end under test has written something that is not read."""
        ...


class InMemory:
    def __init__(self, end: MemoryEnd) -> None:
        self._end, self.write = end, end.write
        self.end, self.close, self.reset = end.half_close, end.close, end.abort

    def read(self) -> bytes:
        buffer = memoryview(bytearray(65536))
        try:
            return bytes(buffer[: self._end.read_into(buffer)])
        except ReceiveError as error:
            raise error.__cause__ or error from None


class OnSocket:
    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:  # small pieces come at once
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self.write, self.close = sock, sock.send, sock.close

    def read(self) -> bytes:
        return self._socket.recv(65536)

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        if self._socket.family != socket.AF_UNIX:  # those reset by themselves
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class OnDescriptor:
    """A pipe, a terminal's other side, or a file, which has an end at any time."""

    def __init__(self, far: kit.Far) -> None:
        os.set_blocking(far.descriptor, False)
        self._far = far
        self.end = self.close = self.reset = far.close

    def write(self, data: bytes | memoryview) -> int:
        return os.write(self._far.descriptor, data)

    def read(self) -> bytes:
        try:
            return os.read(self._far.descriptor, 65536)
        except BlockingIOError:
            raise
        except OSError:  # EIO: a terminal that nobody has open any more
            return b""


class OfProgram:
    """The program's ends of its pipes. What it meets when we have closed both is a reset."""

    def __init__(self, standard_input: int, standard_output: int) -> None:
        self._input, self._output = os.fdopen(standard_input, "rb", 0), standard_output
        os.set_blocking(standard_input, False)
        os.set_blocking(standard_output, False)
        self._closer = contextlib.ExitStack()
        self._closer.callback(os.close, standard_output)

    def write(self, data: bytes | memoryview) -> int:
        return os.write(self._output, data)

    def read(self) -> bytes:
        data = self._input.read(65536)
        if data is None:
            raise BlockingIOError
        if not data and self._unread():
            raise ConnectionResetError
        return data

    def _unread(self) -> bool:
        """Whether something that was written will never be read."""
        poll = select.poll()
        with contextlib.suppress(OSError):
            poll.register(self._output, 0)
            return bool(poll.poll(0)) and bool(ioctl_number(self._output, FIONREAD))
        return False

    def end(self) -> None:
        self._closer.close()

    def close(self) -> None:
        self._closer.close()
        self._input.close()

    reset = close


def program(loop: Loop, stack: Stack, *, clogged: bool) -> tuple[ProgramEnd, OfProgram]:
    """An end of pipes, and what a program has of them."""
    its_input, ours = os.pipe()
    source, its_output = os.pipe()
    if clogged:
        for pipe in (ours, source):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, kit.SMALL)
    end, far = ProgramEnd(loop, ours, source, kit.PEER), OfProgram(its_input, its_output)
    stack.callback(end.close)
    stack.callback(far.close)
    return end, far


class OverTls:
    """Speaks TLS over another far side, on its own; what that refuses waits here."""

    def __init__(
        self, loop: Loop, below: FarSide, context: ssl.SSLContext, *, server: bool
    ) -> None:
        self._loop, self._below = loop, below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self._waiting = memoryview(b"")
        self._ended = False

    def flush(self) -> None:
        while self._waiting or self._outgoing.pending:
            self._waiting = self._waiting or memoryview(self._outgoing.read())
            self._waiting = self._waiting[self._below.write(self._waiting) :]

    def _fill(self) -> None:
        data = self._below.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            self._fill()
            return False
        self.flush()
        return True

    def write(self, data: bytes | memoryview) -> int:
        self.flush()
        size = self._tls.write(data[:16384]) if data else 0
        kit.do(self._loop, self.flush)
        with contextlib.suppress(BlockingIOError):
            self.flush()
        return size

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            self.flush()
        while not self._ended:
            try:
                if data := self._tls.read(65536):
                    return data
                self._ended = True
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLZeroReturnError:
                self._ended = True
        return b""

    def end(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        kit.do(self._loop, self.flush, self._below.end)

    def close(self) -> None:
        with contextlib.suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self.flush()
        self._below.close()

    def reset(self) -> None:
        self._below.reset()


def far_side(made: Made, stack: Stack) -> FarSide:
    if made.far.stores or not _is_socket(made.far.descriptor):
        return OnDescriptor(made.far)
    sock = stack.enter_context(socket.socket(fileno=made.far.descriptor))
    made.far.descriptor = -1
    return OnSocket(sock)


def _is_socket(descriptor: int) -> bool:
    return os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")


class Case:
    """An end with its far side: `end` is what is tested, `bare` the same without a wrapper.

    `arrived` is what the far side has read. `shared` is the descriptor that standard input or
    output was made of.
    """

    def __init__(
        self, loop: Loop, bare: Any, far: FarSide, release: Callable[[], None], *, cut: bool
    ) -> None:
        self.loop, self.bare, self.far, self.release = loop, bare, far, release
        self.end: Any = Cut(bare, 1) if cut else bare
        self.data = kit.noise(300 if cut else 200_000)
        self.arrived = bytearray()
        self.shared: int | None = None
        self.stores = False  # the far side is a file
        self.piece = 65536  # that `fill` writes at a time

    def give(self, data: bytes) -> None:
        """Have the far side write `data` while the loop turns; a file has it at once."""
        remaining = memoryview(data)

        def step() -> bool:
            nonlocal remaining
            remaining = remaining[self.far.write(remaining) :]
            return not remaining

        if not (self.stores and step()):
            kit.do(self.loop, step)

    def gather(self, true: Callable[[], bool]) -> None:
        """Turn the loop and have the far side read, until it is `true` or there is an end."""

        def step() -> bool:
            if true():
                return True
            data = self.far.read()
            self.arrived += data
            return true() or not (data or self.stores)

        kit.do(self.loop, step, self.loop.stop)
        self.loop.run()

    def gathered(self) -> bytes:
        """What the far side has read when it has met the end."""
        self.stores = False
        self.gather(lambda: False)
        return bytes(self.arrived)

    def drain(self, size: int | None = None) -> bytes:
        """Read to the end, or at least `size` bytes, when the end says that it is readable."""
        buffer = memoryview(bytearray(10_007))
        got = bytearray()

        def read() -> None:
            with contextlib.suppress(BlockingIOError):
                count = self.end.read_into(buffer)
                got.extend(buffer[:count])
                if not count or (size is not None and len(got) >= size):
                    self.loop.stop()

        self.end.when_readable(read)
        self.loop.run()
        self.end.when_readable(None)
        return bytes(got)

    def pour(self, data: bytes) -> None:
        """Write all of it, when the end says that it is writable, and have it arrive."""
        expected = len(self.arrived) + len(data)
        remaining = memoryview(data)

        def write() -> None:
            nonlocal remaining
            with contextlib.suppress(BlockingIOError):
                remaining = remaining[self.end.write(remaining) :]
            if not remaining:
                self.end.when_writable(None)

        self.end.when_writable(write)
        try:
            self.gather(lambda: len(self.arrived) >= expected)
        finally:
            self.end.when_writable(None)

    def write_on(self) -> None:
        """Write when the end says that it is writable, until it fails."""

        def write() -> None:
            with contextlib.suppress(BlockingIOError):
                self.end.write(bytes(1000))

        self.end.when_writable(write)
        try:
            self.loop.run()
        finally:
            self.end.when_writable(None)

    def fill(self) -> int:
        """Write until the end says that it is full; how many bytes that took."""
        size = refused = 0
        while refused < 3:
            try:
                size += self.bare.write(bytes(self.piece))
                refused = 0
            except BlockingIOError:
                refused += 1
                kit.settle(self.loop)  # what is on its way makes room
            assert size < 100_000_000, "it takes without end"
        return size

    def until_readable(self) -> None:
        """Turn the loop until the end says that it is readable."""
        self.bare.when_readable(self.loop.stop)
        self.loop.run()
        self.bare.when_readable(None)


def tapped(loop: Loop, end: Any) -> TappedEnd:
    """The same end with a tap, and a viewer that keeps nothing."""
    views = Views(loop, lambda _: None)
    return TappedEnd(end, views, views.tap(Stream(1, "tcp", "here:1", "there:2", True)))


def disturbed(loop: Loop, end: Any) -> DisturbedEnd:
    """The same end, whose bytes come a turn late and in pieces."""
    options = FaultOptions(delay=1e-6, jitter=1e-6, chunk=5000)
    faults = StreamFaults(options, "1 1 sent", Held())
    return DisturbedEnd(loop, end, faults, lambda fault, passed: None)


def over_tls(below: Case, *, server: bool, cut: bool) -> Case:
    """A case whose end and far side speak TLS over those of `below`, after the handshake."""
    ours, theirs = tls.contexts(server=server)
    end = TlsEnd(below.loop, below.end, ours, None if server else tls.NAME, server=server)
    far = OverTls(below.loop, below.far, theirs, server=not server)
    done = [False, False]

    def step() -> bool:
        for place, handshake in enumerate((end.handshake, far.handshake)):
            with contextlib.suppress(BlockingIOError):
                done[place] = done[place] or handshake() is not False
        return all(done)

    kit.do(below.loop, step, lambda: end.queued() == 0, below.loop.stop)
    below.loop.run()
    case = Case(below.loop, end, far, end.close, cut=cut)
    if cut:  # the end below is
        case.end, case.piece = end, 1000
    return case


Make = Callable[..., Case]


@pytest.fixture
def make(loop: Loop, stack: Stack, tmp_path: Path) -> Make:
    """Makes a case of a name and a variant; `half` is the `source` or the `sink`, of stdio."""

    def make(name: str, variant: str = "free", half: str = "source") -> Case:
        clogged = variant == "clogged"
        if name in TLS:
            below = make("memory" if name == "tls-over-memory" else "tcp", variant)
            return over_tls(below, server=name == "tls-server", cut=variant == "cut")
        if name == "memory":
            end, other = memory_pair(loop, **({"capacity": LITTLE} if clogged else {}))
            return Case(loop, end, InMemory(other), end.close, cut=variant == "cut")
        if name in ("tapped", "disturbed"):
            below = make("tcp", variant)
            end = (tapped if name == "tapped" else disturbed)(loop, below.bare)
            return Case(loop, end, below.far, below.release, cut=variant == "cut")
        if name == "program":
            own, far = program(loop, stack, clogged=clogged)
            return Case(loop, own, far, own.close, cut=variant == "cut")
        made = getattr(kit, half)(name, stack, tmp_path, clogged)
        case = Case(loop, made.end, far_side(made, stack), made.release, cut=variant == "cut")
        case.stores = made.far.stores
        case.shared = None if name in ENDS else made.shared
        return case

    return make
