"""What every Source and Sink promises, and what a Stream promises beyond.

One set of tests for all ends, clogged ones too: a new end is one maker in kit.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.errors import OutputError, OutputGone, ReceiveError, SendError, SockkitError
from sockkit.events import Event, Step
from sockkit.net.ends.end import Sink, Source
from tests.net import kit
from tests.net.kit import Far, Feeding, Gathering, flags, noise
from tests.support import eventually

loop, stack = kit.loop, kit.stack

SIZE = 200_000
CLOGGED = pytest.mark.parametrize("clogged", [False, True], ids=["free", "clogged"])
GONE = {"pipe": OutputGone, "socketpair": OutputGone, "pty": OutputError}


def ready(descriptor: int, events: int) -> None:
    """Wait, with a bound: a file is ready at once."""
    poll = select.poll()
    poll.register(descriptor, events)
    assert poll.poll(kit.WAIT * 1000), "never ready"


def drain(source: Source, size: int | None = None) -> bytes:
    """Read to the end, or at least `size` bytes, by readiness."""
    buffer = memoryview(bytearray(10_007))
    got = bytearray()
    while size is None or len(got) < size:
        try:
            count = source.read_into(buffer)
        except BlockingIOError:
            ready(source.descriptor, select.POLLIN)
            continue
        if not count:
            break
        got += buffer[:count]
    return bytes(got)


def pour(sink: Sink, data: bytes) -> None:
    """Write all of it, by readiness."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sink.write(rest) :]
        except BlockingIOError:
            ready(sink.descriptor, select.POLLOUT)


def fill(sink: Sink) -> int:
    """Write until it would block; how much that took."""
    size = 0
    while size < 100_000_000:
        try:
            size += sink.write(bytes(65536))
        except BlockingIOError:
            return size
    raise AssertionError("it never said that it is full")


@CLOGGED
@pytest.mark.parametrize("name", kit.SOURCES)
def test_a_source_gives_all_in_order_then_the_end(
    name: str, clogged: bool, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.source(name, stack, tmp_path, clogged)
    before = flags(made.shared)
    data = noise(SIZE)
    feeding = Feeding(made.far, data)
    assert drain(made.end, SIZE) == data
    feeding.join()
    made.far.close()
    assert [drain(made.end), drain(made.end)] == [b"", b""]
    assert flags(made.shared) == before


@pytest.mark.parametrize("name", [name for name in kit.SOURCES if name != "file"])
def test_a_source_that_has_nothing_does_not_wait(
    name: str, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.source(name, stack, tmp_path)
    before = flags(made.shared)
    buffer = memoryview(bytearray(10))
    with pytest.raises(BlockingIOError):
        made.end.read_into(buffer)
    made.far.give(b"later")
    ready(made.end.descriptor, select.POLLIN)
    assert made.end.read_into(buffer) == 5
    with pytest.raises(BlockingIOError):
        made.end.read_into(buffer)
    assert flags(made.shared) == before


@pytest.mark.parametrize("name", kit.SOURCES)
def test_a_source_fills_no_more_than_the_buffer(
    name: str, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.source(name, stack, tmp_path)
    made.far.give(b"abcdef")
    buffer = bytearray(b"......")
    ready(made.end.descriptor, select.POLLIN)
    assert made.end.read_into(memoryview(buffer)[1:4]) == 3
    assert buffer == b".abc.."
    assert drain(made.end, 3) == b"def"


@CLOGGED
@pytest.mark.parametrize("name", kit.SINKS)
def test_a_sink_passes_all_in_order(
    name: str, clogged: bool, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.sink(name, stack, tmp_path, clogged)
    before = flags(made.shared)
    gathering = Gathering(made.far)
    data = noise(SIZE)
    pour(made.end, data)
    if name == "pty":  # closing it throws away what waits
        termios.tcdrain(made.shared)
    assert flags(made.shared) == before
    made.release()
    assert gathering.result() == data


@CLOGGED
@pytest.mark.parametrize("name", [name for name in kit.SINKS if name not in ("file", "append")])
def test_a_full_sink_does_not_wait_and_loses_nothing(
    name: str, clogged: bool, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.sink(name, stack, tmp_path, clogged)
    before = flags(made.shared)
    size = fill(made.end)
    assert flags(made.shared) == before
    gathering = Gathering(made.far)
    pour(made.end, b"more")
    if name == "pty":
        termios.tcdrain(made.shared)
    made.release()
    assert gathering.result() == bytes(size) + b"more"


@pytest.mark.parametrize("name", ["tcp", "unix", "pipe", "socketpair", kit.PTY])
def test_a_sink_whose_reader_has_left_says_so(
    name: str, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    made = kit.sink(name, stack, tmp_path)
    made.far.close()
    with pytest.raises(GONE.get(name, SendError)) as caught:
        pour(made.end, bytes(10_000_000))
    assert isinstance(caught.value.__cause__, OSError)


def abort(far: Far) -> None:
    """Close with a RST."""
    sock = socket.socket(fileno=far.descriptor)
    far.descriptor = -1
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_is_a_receive_error_after_what_came_before(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    made.far.give(b"four")
    ready(made.end.descriptor, select.POLLIN)
    abort(made.far)
    assert drain(made.end, 4) == b"four"
    with pytest.raises(ReceiveError, match="there:1 failed: connection reset") as caught:
        drain(made.end)
    assert isinstance(caught.value.__cause__, ConnectionResetError)


def test_a_reset_is_a_send_error(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    abort(made.far)
    ready(made.end.descriptor, select.POLLIN)
    with pytest.raises(SendError, match="there:1 failed: connection reset"):
        made.end.write(b"x")
    with pytest.raises(SendError, match="there:1 failed: the peer has closed"):
        made.end.write(b"x")


@pytest.mark.parametrize("make", [kit.source, kit.sink])
def test_a_descriptor_that_does_not_serve_is_an_error_of_ours(
    make: Callable[..., kit.Made], stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    """A file opened for the other direction: EBADF."""
    made = make("file", stack, tmp_path)
    wrong = os.open(tmp_path / "other", os.O_CREAT | (os.O_WRONLY if make is kit.source else 0))
    os.dup2(wrong, made.shared)
    os.close(wrong)
    with pytest.raises(SockkitError, match=r"could not .* standard .*put: Bad file descriptor"):
        drain(made.end) if make is kit.source else pour(made.end, b"x")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_half_close_ends_one_direction(kind: str, stack: contextlib.ExitStack) -> None:
    events: list[Event] = []
    made = kit.stream_end(kind, stack, emit=events.append)
    pour(made.end, b"last words")
    made.end.half_close()
    assert made.far.take() == b"last words"
    made.far.give(b"an answer")
    made.far.close()
    assert drain(made.end) == b"an answer"
    assert [event.call for event in events if isinstance(event, Step)] == ["shutdown"]


def test_half_close_after_a_reset_leaves_the_word_to_receiving(
    stack: contextlib.ExitStack,
) -> None:
    made = kit.stream_end("tcp", stack)
    abort(made.far)
    ready(made.end.descriptor, select.POLLIN)
    made.end.half_close()
    with pytest.raises(ReceiveError):
        drain(made.end)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_undelivered_falls_to_zero_once_the_peer_has_it(
    kind: str, stack: contextlib.ExitStack
) -> None:
    made = kit.stream_end(kind, stack)
    assert made.end.queued() == made.end.undelivered() == 0
    size = fill(made.end)
    assert made.end.queued() > 0
    assert (made.end.undelivered() > 0) == (kind == "tcp")  # a unix socket's are with the peer
    gathering = Gathering(made.far)
    pour(made.end, b"x")
    made.end.half_close()
    assert len(gathering.result()) == size + 1
    eventually(lambda: made.end.queued() == 0)  # an acknowledgement may come late


def test_the_end_is_no_byte_that_is_undelivered(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    fill(made.end)
    eventually(lambda: made.end.undelivered() > 0)
    before = made.end.undelivered()
    made.end.half_close()
    assert made.end.undelivered() <= before
    assert made.end.queued() == made.end.undelivered() + 1


def test_abort_throws_away_and_resets(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    made.end.abort()
    with pytest.raises(ConnectionResetError):
        os.read(made.far.descriptor, 1)
    assert made.end._socket.fileno() == -1


def test_a_stream_knows_its_peer_and_never_blocks(stack: contextlib.ExitStack) -> None:
    made = kit.stream_end("tcp", stack)
    assert made.end.peer == kit.PEER
    assert fcntl.fcntl(made.end.descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
