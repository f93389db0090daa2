"""Makers of real ends and a loop that cannot hang, for the tests of this room.

A maker gives one Source or Sink together with its far side, a blocking descriptor.
What waits is bounded: the loop by a timer, everything else by the timeout of the test.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import pty
import random
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sockkit.core.address import Address
from sockkit.events import Emit, Event, Peer
from sockkit.net import closing
from sockkit.net import loop as loop_module
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.ends.end import Kind
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import Listener, ListenOptions, listen
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions, bind_datagrams, connect_datagrams, find_routes
from sockkit.net.waiting import wait_for
from sockkit.term.color import Palette
from tests.support import HERE
from tests.support import noise as noise

WAIT = 10.0  # seconds: a bound, not a measure
SKIPPED = 1000.0  # the same, of time that is skipped
GRACE = 0.01  # seconds in which the system delivers what one socket has sent to another
PEER = Peer(1, "there:1")
SMALL = 4096  # bytes a clogged end takes
BRIEF = {
    "QUIET_SECONDS": 0.05,
    "MAX_SLOW_STALL_SECONDS": 0.2,
}  # seconds of net/closing.py, for tests that wait
IN_FULL = {name: getattr(closing, name) for name in BRIEF}


def too_late() -> None:
    raise AssertionError("the loop did not end in time")


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop with a deadline; afterwards every descriptor opened since is closed again.

    Each fault of `fail_nth` has been made by then: a test of one that was not would prove nothing.
    """
    _planned.clear()
    gc.collect()  # what an earlier test left to be collected is not this one's
    gc.freeze()  # and what it left for good is not looked at again before each test that follows
    before = set(os.listdir("/proc/self/fd"))
    with pytest.MonkeyPatch.context() as patch, Loop() as loop:
        for name, seconds in BRIEF.items():
            patch.setattr(closing, name, seconds)
        loop.later(WAIT, too_late)
        yield loop
    left = {fd for fd in set(os.listdir("/proc/self/fd")) - before if os.path.exists(_fd(fd))}
    assert not left, [os.readlink(_fd(fd)) for fd in left]
    assert not _planned, "a fault was not made"


def _fd(number: str) -> str:
    return f"/proc/self/fd/{number}"


class Stack(contextlib.ExitStack):
    """Closes what a test made for `loop`."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop


@pytest.fixture
def stack(loop: Loop) -> Iterator[Stack]:
    """Closes what a test made, before the loop looks for what was left."""
    with Stack(loop) as stack:
        yield stack


def context(
    loop: Loop,
    stdio: Stdio | None = None,
    emit: Emit = lambda _: None,
    *,
    colors: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Context:
    """A run without colours, unless `colors` are given, and without standard streams."""
    nothing: Any = None
    palette = Palette(colors is not None, colors)
    return Context(loop, stdio or nothing, emit, palette, environment or {})


NO_UDP = UdpOptions()


def listening(
    loop: Loop,
    options: ListenOptions,
    sockets: SocketOptions = SocketOptions(),  # noqa: B008
    emit: Emit = lambda _: None,
) -> Listener:
    return wait_for(loop, partial(listen, context(loop, emit=emit), options, sockets))


def bound(
    loop: Loop,
    options: ListenOptions,
    sockets: SocketOptions = SocketOptions(),  # noqa: B008
    udp: UdpOptions = NO_UDP,
    emit: Emit = lambda _: None,
) -> DatagramSocket:
    """A socket for the datagrams of a server."""
    binding = partial(bind_datagrams, context(loop, emit=emit), options, sockets, udp)
    return wait_for(loop, binding)


def aimed(
    loop: Loop,
    address: Address,
    udp: UdpOptions = NO_UDP,
    emit: Emit = lambda _: None,
    connect: ConnectOptions = ConnectOptions(),  # noqa: B008
    sockets: SocketOptions = SocketOptions(),  # noqa: B008
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[DatagramSocket, Endpoint]]:
    """Sockets for the datagrams of a client, and where these go."""
    run = context(loop, emit=emit, environment=environment)
    routes = wait_for(loop, partial(find_routes, run, address, connect, sockets))
    return connect_datagrams(run, address, routes, sockets, udp)


def do(loop: Loop, *steps: Callable[[], object]) -> list[Callable[[], object]]:
    """Do each step once a turn until it is not False; those that are left when asked."""
    left = list(steps)

    def look() -> None:
        with contextlib.suppress(BlockingIOError):
            if left[0]() is not False:
                left.pop(0)
        if left:
            loop.call_soon(look)

    loop.call_soon(look)
    return left


def turns(count: int = 20) -> Callable[[], bool]:
    """A step that takes so many turns of the loop."""
    left = iter(range(count))
    return lambda: next(left) == count - 1


def settle(loop: Loop) -> None:
    """Turn the loop until what was ready is done."""
    do(loop, turns(), loop.stop)
    loop.run()


class Clock:
    """The time of `loop`, which stands still but for `passes`."""

    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self._now = loop.now
        patch.setattr(loop_module, "time", self)
        for timer in loop._timers:
            if timer.callback is too_late:
                timer.cancel()
        loop.later(SKIPPED, too_late)

    def monotonic(self) -> float:
        return self._now

    def passes(self, seconds: float) -> None:
        self._now += seconds


def run_until(loop: Loop, true: Callable[[], bool]) -> None:
    """Turn the loop until `true`, which is asked about once a millisecond."""

    def look() -> None:
        if true():
            loop.stop()
        else:
            loop.later(0.001, look)

    loop.call_soon(look)
    loop.run()


def run_for(loop: Loop, seconds: float) -> None:
    loop.later(seconds, loop.stop)
    loop.run()


def skip_time(loop: Loop, patch: pytest.MonkeyPatch) -> None:
    """From now on it is the time of the next timer as soon as no descriptor of `loop` is ready.

    So bounds of minutes are tested as they are. It is for peers that live on the loop as well:
    what another thread does, and what the system does later, takes no time that is skipped.
    """
    for name, seconds in IN_FULL.items():
        patch.setattr(closing, name, seconds)
    select, clock = loop._selector.select, Clock(loop, patch)
    grace = GRACE

    def skip(patience: float | None) -> list[Any]:
        """Skip nothing right after something has moved: what it sent may still be on its way."""
        nonlocal grace
        ready = select(grace if patience else 0)
        if ready:
            grace = GRACE
        elif patience:
            grace = 0.0
            clock.passes(patience)
        return ready

    patch.setattr(loop._selector, "select", skip)


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Within the block nothing is freed that a cycle of references keeps."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def flags(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL)


def tcp_pair(family: int = socket.AF_INET, host: str = HERE) -> tuple[socket.socket, socket.socket]:
    with socket.create_server((host, 0), family=socket.AddressFamily(family)) as listener:
        ours = socket.create_connection(listener.getsockname()[:2])
        return ours, listener.accept()[0]


class Far:
    """The other side. `give` and `take` block."""

    def __init__(self, descriptor: int, *, stores: bool = False) -> None:
        self.descriptor = descriptor
        self.stores = stores  # a file: it takes all before the first byte is read

    def give(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest[:50_000]) :]

    def take(self) -> bytes:
        """Everything until the end, which for a terminal is an error."""
        chunks = []
        with contextlib.suppress(OSError):
            while chunk := os.read(self.descriptor, 65536):
                chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


class Made(NamedTuple):
    """`shared` is the descriptor that was handed over, `release` closes the end."""

    end: Any
    far: Far
    shared: int
    release: Callable[[], None]


class Feeding:
    """Gives `data` and the end to the far side of a source, in a thread."""

    def __init__(self, far: Far, data: bytes) -> None:
        self._far, self._data = far, data
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()
        if far.stores:
            self._thread.join(WAIT)

    def _feed(self) -> None:
        with contextlib.suppress(OSError):  # whoever reads may leave early
            self._far.give(self._data)
            if os.isatty(self._far.descriptor):  # closing it would throw away what waits
                return
        self._far.close()

    def join(self) -> None:
        self._thread.join(WAIT)
        assert not self._thread.is_alive()


class Gathering:
    """Takes what comes out of a sink, in a thread; `result` after the sink's release."""

    def __init__(self, far: Far) -> None:
        self._far = far
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._gather, daemon=True)
        if not far.stores:
            self._thread.start()

    def _gather(self) -> None:
        self._chunks.append(self._far.take())

    def result(self) -> bytes:
        if self._far.stores:
            self._thread.start()
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the sink did not end"
        return self._chunks[0]


def _pipe(clogged: bool) -> tuple[int, int]:
    out, into = os.pipe()
    if clogged:
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, SMALL)
    return out, into


def _terminal() -> tuple[int, int]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, slave


def _sockets(kind: str, clogged: bool) -> tuple[socket.socket, socket.socket]:
    ours, theirs = tcp_pair() if kind == "tcp" else socket.socketpair()
    if clogged:
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    return ours, theirs


def _once(*calls: Callable[[], object]) -> Callable[[], None]:
    stack = contextlib.ExitStack()
    for call in reversed(calls):
        stack.callback(call)
    return stack.close  # which forgets what it has called


def stream_end(kind: str, stack: Stack, clogged: bool = False, emit: Any = None) -> Made:
    """A SocketEnd, `tcp` or `unix`."""
    ours, theirs = _sockets(kind, clogged)
    end = SocketEnd(stack.loop, ours, PEER, emit or (lambda _: None))
    far = Far(theirs.detach())
    return _made(stack, end, far, end.descriptor, end.close)


def stdio_end(make: type[Input] | type[Output], shared: int, far: Far, stack: Stack) -> Made:
    """An Input or Output of `shared`, which is closed with it."""
    end = make(stack.loop, shared)

    def close() -> None:
        close_stdio(end, shared)
        os.close(shared)

    return _made(stack, end, far, shared, close)


def close_stdio(end: Input | Output, shared: int) -> None:
    """Standard streams live as long as a process: they have no close."""
    if end.descriptor != shared:
        os.close(end.descriptor)
    if end._socket:
        end._socket.close()


def _made(
    stack: contextlib.ExitStack, end: object, far: Far, shared: int, close: Callable[[], None]
) -> Made:
    made = Made(end, far, shared, _once(close))
    stack.callback(far.close)
    stack.callback(made.release)
    return made


class Cut:
    """`end`, which reads and writes pieces of one of `sizes`, and refuses now and then.

    To everything else it is no descriptor of its own, so bytes are copied.
    """

    kind = Kind.OTHER

    def __init__(self, end: Any, seed: int, sizes: Sequence[int] = (1,)) -> None:
        self._end, self._random, self._sizes = end, random.Random(seed), sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)

    def _size(self) -> int:
        if self._random.random() < 0.3:
            raise BlockingIOError
        return self._random.choice(self._sizes)

    def read_into(self, buffer: memoryview) -> int:
        return self._end.read_into(buffer[: self._size()])

    def write(self, data: bytes | memoryview) -> int:
        return self._end.write(data[: self._size()])


class Failing:
    """`end`, whose `nth` call of `name` meets an OSError, as do all that follow."""

    def __init__(self, end: Any, name: str, nth: int, code: int) -> None:
        self._end, self._name, self._nth, self._code = end, name, nth, code
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)

    def _meet(self, name: str) -> None:
        self._calls += name == self._name
        if name == self._name and self._calls >= self._nth:
            raise OSError(self._code, os.strerror(self._code))

    def read_into(self, buffer: memoryview) -> int:
        try:
            self._meet("read")
        except OSError as error:
            raise self._end.read_failed(error) from error
        return self._end.read_into(buffer)

    def write(self, data: bytes | memoryview) -> int:
        try:
            self._meet("write")
        except OSError as error:
            raise self._end.write_failed(error) from error
        return self._end.write(data)

    def half_close(self) -> None:
        try:
            self._meet("half_close")
        except OSError as error:
            raise self._end.write_failed(error) from error
        self._end.half_close()


PTY = pytest.param("pty", marks=pytest.mark.process)
SOURCES = ["tcp", "unix", "pipe", "file", "socketpair", PTY]
SINKS = [*SOURCES, "append"]


def source(name: str, stack: Stack, path: Path, clogged: bool = False) -> Made:
    """The Source of that name; its file is in the directory `path`."""
    if name in ("tcp", "unix"):
        return stream_end(name, stack, clogged)
    if name == "socketpair":
        ours, theirs = _sockets(name, clogged)
        return stdio_end(Input, ours.detach(), Far(theirs.detach()), stack)
    if name == "file":
        far = Far(os.open(path / "source", os.O_WRONLY | os.O_CREAT), stores=True)
        return stdio_end(Input, os.open(path / "source", os.O_RDONLY), far, stack)
    far_end, near = _terminal() if name == "pty" else _pipe(clogged)[::-1]
    return stdio_end(Input, near, Far(far_end), stack)


def sink(name: str, stack: Stack, path: Path, clogged: bool = False) -> Made:
    """The Sink of that name; `append` is a file opened for appending."""
    if name in ("tcp", "unix"):
        return stream_end(name, stack, clogged)
    if name == "socketpair":
        ours, theirs = _sockets(name, clogged)
        return stdio_end(Output, ours.detach(), Far(theirs.detach()), stack)
    if name in ("file", "append"):
        more = os.O_APPEND if name == "append" else 0
        near = os.open(path / "sink", os.O_WRONLY | os.O_CREAT | more)
        return stdio_end(Output, near, Far(os.open(path / "sink", os.O_RDONLY), stores=True), stack)
    far_end, near = _terminal() if name == "pty" else _pipe(clogged)
    return stdio_end(Output, near, Far(far_end), stack)


def fill(descriptor: int, most: int = 64_000_000) -> int:
    """Write lines of ``x`` until the other side takes no more; how many bytes it took.

    What is on its way makes room, so it has to refuse several times in a row.
    The last line is cut where it was refused.
    """
    lines = memoryview(b"x\n" * 32768)
    os.set_blocking(descriptor, False)
    size = refused = 0
    while refused < 3:
        try:
            size += os.write(descriptor, lines[size % 2 :])
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.02)
        assert size < most, "it takes without end"
    os.set_blocking(descriptor, True)
    return size


def coalesces(patch: pytest.MonkeyPatch, module: Any) -> None:
    """Have `module` pause after each receive, as it does after tiny pieces."""
    patch.setattr(module, "PAUSE_SECONDS", 0.1)
    patch.setattr(module.Coalescer, "should_pause", lambda *_: True)


def give_tiny_pieces(loop: Loop, far: Far, count: int) -> None:
    """`far` gives a byte every two milliseconds, `count` of them, while the loop turns."""
    if count:
        far.give(b"x")
        loop.later(0.002, lambda: give_tiny_pieces(loop, far, count - 1))


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


_planned: list[object] = []  # by `fail_nth`, and not yet made


def fail_nth(
    patch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    nth: int,
    error: Exception,
    only: Callable[..., bool] = lambda *_: True,
) -> None:
    """Make the n-th call of `owner.name` whose arguments are `only` such raise `error`."""
    real = getattr(owner, name)
    calls = iter(range(1, 1_000_000))
    _planned.append(calls)

    def failing(*arguments: Any, **named: Any) -> Any:
        if only(*arguments) and next(calls) == nth:
            _planned.remove(calls)
            raise error
        return real(*arguments, **named)

    patch.setattr(owner, name, failing)


def fail_close(patch: pytest.MonkeyPatch, descriptor: int, number: int) -> None:
    """Have closing `descriptor` raise the error `number`. As on Linux it is closed anyway."""
    real = os.close

    def close(closed: int) -> None:
        real(closed)
        if closed == descriptor:
            patch.setattr(os, "close", real)
            raise OSError(number, os.strerror(number))

    patch.setattr(os, "close", close)
