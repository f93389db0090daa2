"""The lanes: which one is chosen, and that none of them loses or changes a byte."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.hints import Glance
from sockkit.core.text import Crlf
from sockkit.errors import (
    OutputError,
    OutputGone,
    ReceiveError,
    SendError,
    SockkitError,
    TextError,
)
from sockkit.net import lanes
from sockkit.net.ends.end import Kind
from sockkit.net.kernel import MAX_LITTLE_FILLS, PipedSplice, Wait
from sockkit.net.lanes import FIRST_BYTES, LIGHT_BUFFER_BYTES, Copy, Light, choose
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net.kit import Cut, Feeding, Gathering, Made, fail_nth, noise

loop, stack = kit.loop, kit.stack

PIPED = PipedSplice.name
# One row for each kind of source, one column for each kind of sink, in the order of Kind.
CHOICE = {
    Kind.FILE: ["sendfile", "sendfile", "sendfile", "sendfile", "copy", "copy"],
    Kind.PIPE: ["splice", "splice", "splice", "splice", "copy", "copy"],
    Kind.SOCKET: [PIPED, "splice", PIPED, PIPED, "copy", "copy"],
    Kind.DEVICE: [PIPED, "splice", PIPED, PIPED, "copy", "copy"],
    Kind.ENCRYPTED: ["copy"] * 6,
    Kind.OTHER: ["copy"] * 6,
}
PAIRS = {
    ("file", "tcp"): "sendfile",
    ("file", "unix"): "sendfile",
    ("pipe", "tcp"): "splice",
    ("tcp", "pipe"): "splice",
    ("unix", "pipe"): "splice",
    ("tcp", "file"): PIPED,
    ("tcp", "unix"): PIPED,
    ("tcp", "append"): "copy",  # after splice(2) has said EINVAL
    ("pipe", "append"): "copy",
    ("socketpair", "tcp"): "copy",
    ("tcp", "socketpair"): "copy",
}
SIZE = 3 * 1024 * 1024


class End:
    """A Source and Sink of a kind, for a choice."""

    def __init__(self, kind: Kind, descriptor: int) -> None:
        self.kind, self.descriptor = kind, descriptor


class Moving:
    """A pump from one made end to another, run to its end."""

    def __init__(
        self,
        loop: Loop,
        source: Made,
        sink: Made,
        size: int | None = None,
        glance: Glance | None = None,
    ) -> None:
        self._loop, self._source, self._sink = loop, source, sink
        self.error: SockkitError | None = None
        self.pump = Pump(
            loop,
            source.end,
            sink.end,
            None,
            size,
            on_progress=lambda: None,
            on_end=loop.stop,
            on_fail=self._failed,
            glance=glance,
        )

    def _failed(self, error: SockkitError) -> None:
        self.error = error
        self._loop.stop()

    def run(self, data: bytes) -> bytes:
        """What comes out when `data` goes in."""
        feeding = Feeding(self._source.far, data)
        gathering = Gathering(self._sink.far)
        self.pump.start()
        self._loop.run()
        self.pump.close()
        self._source.release()
        self._sink.release()
        feeding.join()
        return gathering.result()


@pytest.fixture
def make(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> Callable[[tuple[str, str]], tuple[Made, Made]]:
    def make(pair: tuple[str, str]) -> tuple[Made, Made]:
        return kit.source(pair[0], stack, tmp_path), kit.sink(pair[1], stack, tmp_path)

    return make


Make = Callable[[tuple[str, str]], tuple[Made, Made]]
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS, ids="-".join)


def chosen(source: Kind, sink: Kind, transform: Any = None) -> str:
    with open(os.devnull) as any_file:
        ends = [End(kind, any_file.fileno()) for kind in (source, sink)]
        lane = choose(*ends, transform, None)  # type: ignore[arg-type]
        lane.close()
    return lane.name


@pytest.mark.parametrize("source", Kind)
def test_every_pair_has_its_lane(source: Kind, loop: Loop) -> None:
    assert [chosen(source, sink) for sink in Kind] == CHOICE[source]
    assert {chosen(source, sink, Crlf(b"\r\n")) for sink in Kind} == {"copy"}


@pytest.mark.parametrize("source", Kind)
def test_every_pair_has_a_lane_where_the_kernel_has_none(
    source: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "splice")
    one = "sendfile" if source is Kind.FILE else "copy"
    assert [chosen(source, sink) for sink in Kind] == [one] * 4 + ["copy"] * 2
    monkeypatch.delattr(os, "sendfile")
    assert {chosen(source, sink) for sink in Kind} == {"copy"}


@pytest.mark.parametrize("kind", Kind)
def test_what_is_encrypted_takes_several_steps_unless_its_source_may_block(kind: Kind) -> None:
    source, sink = End(kind, -1), End(Kind.ENCRYPTED, -1)
    lane = choose(source, sink, None, None)  # type: ignore[arg-type]
    assert (lane.steps > 1) == (kind in (Kind.FILE, Kind.ENCRYPTED))


def test_without_a_descriptor_for_a_pipe_it_is_a_copy(
    monkeypatch: pytest.MonkeyPatch, make: Make, loop: Loop
) -> None:
    source, sink = make(("tcp", "file"))
    moving = Moving(loop, source, sink)
    fail_nth(monkeypatch, os, "pipe", 1, OSError(errno.EMFILE, ""))
    data = noise(SIZE)
    assert moving.run(data) == data
    assert moving.pump.lane.name == "copy"


@pytest.mark.parametrize("size", [None, 70_001])
@EACH_PAIR
def test_a_lane_moves_every_byte(
    pair: tuple[str, str], size: int | None, make: Make, loop: Loop
) -> None:
    source, sink = make(pair)
    before = [kit.flags(made.shared) for made in (source, sink)]
    moving = Moving(loop, source, sink, size)
    shared = [kit.flags(made.shared) for made in (source, sink)]
    data = noise(SIZE)
    assert moving.run(data) == data
    assert moving.error is None
    assert (moving.pump.bytes_read, moving.pump.bytes_written, moving.pump.lane.held) == (
        SIZE,
        SIZE,
        0,
    )
    assert moving.pump.lane.name == PAIRS[pair]
    assert shared == before


@pytest.mark.parametrize("enough", [1, 3 * FIRST_BYTES // 2, 2 * SIZE])
@pytest.mark.parametrize("size", [None, 70_001, 1000])
@EACH_PAIR
def test_the_first_bytes_are_looked_at(
    pair: tuple[str, str], size: int | None, enough: int, make: Make, loop: Loop
) -> None:
    """And no more than that, for what is looked at is copied."""
    looked = b""

    def judge(data: bytes) -> bool | None:
        nonlocal looked
        looked = data
        return True if len(data) >= enough else None

    glance = Glance(judge)
    moving = Moving(loop, *make(pair), size, glance)
    data = noise(SIZE)
    assert moving.run(data) == data
    assert moving.error is None
    assert data.startswith(looked)
    assert min(enough, FIRST_BYTES) <= len(looked) <= FIRST_BYTES
    assert glance.verdict is (enough <= FIRST_BYTES)
    assert (moving.pump.bytes_read, moving.pump.bytes_written) == (SIZE, SIZE)
    assert moving.pump.lane.name == PAIRS[pair]


def test_a_glance_at_nothing_names_the_lane(make: Make, loop: Loop) -> None:
    moving = Moving(loop, *make(("tcp", "file")), glance=Glance(lambda _: None))
    assert moving.run(b"") == b""
    assert moving.pump.lane.name == PIPED


@pytest.mark.parametrize("pair", [("file", "tcp"), ("pipe", "tcp"), ("tcp", "pipe")], ids="-".join)
def test_without_the_kernels_help_it_is_a_copy(
    pair: tuple[str, str], make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "splice")
    monkeypatch.delattr(os, "sendfile")
    moving = Moving(loop, *make(pair))
    data = noise(SIZE)
    assert moving.run(data) == data
    assert moving.pump.lane.name == "copy"


def kernel_calls(pair: tuple[str, str]) -> str:
    return "sendfile" if PAIRS[pair] == "sendfile" else "splice"


KERNEL_PAIRS = [("file", "tcp"), ("pipe", "tcp"), ("tcp", "pipe"), ("tcp", "file")]
EACH_KERNEL_PAIR = pytest.mark.parametrize("pair", KERNEL_PAIRS, ids="-".join)
NTH = pytest.mark.parametrize("nth", [1, 2, 3, 4])
UNFIT = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM]


@pytest.mark.parametrize(("nth", "code"), [*enumerate(UNFIT, 1), *enumerate(UNFIT[::-1], 1)])
@EACH_KERNEL_PAIR
def test_what_the_kernel_will_not_move_is_copied_on(
    pair: tuple[str, str],
    nth: int,
    code: int,
    make: Make,
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when bytes are held in the private pipe, as on every second call of tcp-file."""
    moving = Moving(loop, *make(pair), size=50_000)
    fail_nth(monkeypatch, os, kernel_calls(pair), nth, OSError(code, os.strerror(code)))
    data = noise(600_000)
    assert moving.run(data) == data
    assert moving.error is None
    assert moving.pump.lane.name == "copy"
    assert (moving.pump.bytes_read, moving.pump.bytes_written) == (len(data), len(data))


# Where the n-th call fails, with what, and the error that comes of it.
FAULTS: dict[str, tuple[tuple[str, str], str, int, type[SockkitError]]] = {
    "sendfile, reset": (("file", "tcp"), "sendfile", errno.ECONNRESET, SendError),
    "sendfile, gone": (("file", "tcp"), "sendfile", errno.EPIPE, SendError),
    "sendfile, disk": (("file", "tcp"), "sendfile", errno.EIO, SockkitError),
    "to a socket, reset": (("pipe", "tcp"), "sink", errno.ECONNRESET, SendError),
    "to a socket, gone": (("pipe", "tcp"), "sink", errno.EPIPE, SendError),
    "to a pipe, reset": (("tcp", "pipe"), "sink", errno.ECONNRESET, ReceiveError),
    "to a pipe, gone": (("tcp", "pipe"), "sink", errno.EPIPE, OutputGone),
    "from a socket to a file": (("tcp", "file"), "source", errno.ECONNRESET, ReceiveError),
    "to a file from a socket": (("tcp", "file"), "sink", errno.ENOSPC, OutputError),
}


@NTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_kernels_moves_is_named_and_takes_nothing_back(
    fault: str, nth: int, make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, where, code, kind = FAULTS[fault]
    source, sink = make(pair)
    moving = Moving(loop, source, sink, size=50_000)
    number = {"source": source.end.descriptor, "sink": sink.end.descriptor}.get(where)
    fail_nth(
        monkeypatch,
        os,
        kernel_calls(pair),
        nth,
        OSError(code, os.strerror(code)),
        only=lambda *arguments: number is None or arguments[where == "sink"] == number,
    )
    data = noise(600_000)
    got = moving.run(data)
    assert type(moving.error) is kind
    assert isinstance(moving.error.__cause__, OSError)
    assert got == data[: moving.pump.bytes_written]
    assert moving.pump.bytes_read == moving.pump.bytes_written + moving.pump.lane.held
    if where == "source":  # what had come before is given
        assert moving.pump.lane.held == 0


def test_a_fault_of_the_source_outlives_its_lane(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sink = make(("tcp", "file"))
    moving = Moving(loop, source, sink, size=50_000)
    source_number, sink_number = source.end.descriptor, sink.end.descriptor
    real, refused = os.splice, []

    def splice(one: int, other: int, *arguments: Any, **named: Any) -> int:
        if one == source_number and refused:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        if other == sink_number:
            refused.append(other)
            if len(refused) == 1:
                raise BlockingIOError
            raise OSError(errno.EINVAL, "unfit")
        return real(one, other, *arguments, **named)

    monkeypatch.setattr(os, "splice", splice)
    data = noise(600_000)
    got = moving.run(data)
    assert moving.pump.lane.name == "copy"
    assert type(moving.error) is ReceiveError
    assert got == data[: moving.pump.bytes_written]
    assert got


COPIES: dict[str, tuple[tuple[str, str], Any, str, int, type[SockkitError]]] = {
    "receive": (("tcp", "pipe"), socket.socket, "recv_into", errno.ECONNRESET, ReceiveError),
    "send": (("pipe", "tcp"), socket.socket, "send", errno.EPIPE, SendError),
    "read": (("pipe", "tcp"), os, "readv", errno.EIO, SockkitError),
    "write": (("tcp", "pipe"), os, "write", errno.ENOSPC, OutputError),
}


@NTH
@pytest.mark.parametrize("call", COPIES)
def test_a_fault_of_a_copy_is_named_and_takes_nothing_back(
    call: str, nth: int, make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, owner, name, code, kind = COPIES[call]
    monkeypatch.delattr(os, "splice")
    source, sink = make(pair)
    moving = Moving(loop, source, sink, size=4_000)

    def mine(end: int | socket.socket, *_: object) -> bool:  # far sides use os.write too
        number = end if isinstance(end, int) else end.fileno()
        return number in (source.end.descriptor, sink.end.descriptor)

    fail_nth(monkeypatch, owner, name, nth, OSError(code, os.strerror(code)), only=mine)
    data = noise(50_000)
    got = moving.run(data)
    assert type(moving.error) is kind
    assert isinstance(moving.error.__cause__, OSError)
    assert got == data[: moving.pump.bytes_written]
    assert moving.pump.bytes_read == moving.pump.bytes_written + moving.pump.lane.held


PIECES = [1, 2, 3, 1000, 20_000]


@pytest.mark.parametrize("which", ["source", "sink", "both"])
@pytest.mark.parametrize("pair", [("tcp", "pipe"), ("pipe", "tcp"), ("file", "tcp")], ids="-".join)
def test_a_copy_survives_short_and_refused_calls(
    pair: tuple[str, str], which: str, make: Make, loop: Loop
) -> None:
    source, sink = make(pair)
    if which != "sink":
        source = source._replace(end=Cut(source.end, 1, PIECES))
    if which != "source":
        sink = sink._replace(end=Cut(sink.end, 2, PIECES))
    data = noise(1024 * 1024)
    assert Moving(loop, source, sink).run(data) == data


@EACH_KERNEL_PAIR
def test_the_kernels_moves_survive_short_and_refused_calls(
    pair: tuple[str, str], make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kernel_calls(pair)
    real, chance, refused = getattr(os, name), random.Random(3), [False]
    place = 3 if name == "sendfile" else 2

    def stuttering(*arguments: Any, **named: Any) -> int:
        # Never after a refusal: what refuses although both ends are ready is unfit.
        refused.append(not refused.pop() and chance.random() < 0.3)
        if refused[0]:
            raise BlockingIOError
        most = chance.choice([1, 1000, 20_000])
        asked = list(arguments)
        asked[place] = min(asked[place], most)
        try:
            return real(*asked, **named)
        except BlockingIOError:
            refused[0] = True
            raise

    monkeypatch.setattr(os, name, stuttering)
    moving = Moving(loop, *make(pair))
    data = noise(1024 * 1024)
    assert moving.run(data) == data
    assert moving.pump.lane.name == PAIRS[pair]


def steps(lane: lanes.Lane) -> Iterator[Wait]:
    while (wait := lane.step()) is not Wait.END:
        yield wait


def test_a_fault_in_the_text_comes_after_what_was_before_it(make: Make) -> None:
    class Strict:
        def feed(self, data: bytes) -> bytes:
            raise TextError("not text", before=data[:3])

        def flush(self) -> bytes:
            return b""

    source, sink = make(("file", "file"))
    source.far.give(b"abc\xffdef")
    lane = Copy(source.end, sink.end, Strict())
    with pytest.raises(TextError, match="not text"):
        list(steps(lane))
    assert sink.far.take() == b"abc"


def test_what_a_transform_holds_back_comes_at_the_end(make: Make) -> None:
    class Late:
        held = b""

        def feed(self, data: bytes) -> bytes:
            self.held += data
            return b""

        def flush(self) -> bytes:
            return self.held

    source, sink = make(("file", "file"))
    source.far.give(b"late")
    list(steps(Copy(source.end, sink.end, Late())))
    assert sink.far.take() == b"late"


def test_a_closed_copy_keeps_no_buffer_and_still_tells_what_it_held(make: Make) -> None:
    source, sink = make(("file", "pipe"))
    source.far.give(noise(200_000))  # more than a pipe holds
    lane = Copy(source.end, sink.end, buffer_size=200_000)
    assert lane.step() is Wait.SINK
    held = lane.held
    assert held
    lane.close()
    lane.close()
    assert lane.held == held
    assert len(lane._buffer) == len(lane._pending) == 0


class Relayed:
    """A pump from one socket to another, which moves what a test sends."""

    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        make: Make,
        on_progress: Callable[[], None] | None = None,
    ) -> None:
        self._loop, (source, sink) = loop, make(("tcp", "tcp"))
        self.near, self.far = (
            stack.enter_context(socket.socket(fileno=made.far.descriptor))
            for made in (source, sink)
        )
        source.far.descriptor = sink.far.descriptor = -1
        self.far.settimeout(kit.WAIT)
        self.pump = Pump(
            loop,
            source.end,
            sink.end,
            None,
            None,
            on_progress=on_progress,
            on_end=lambda: None,
            on_fail=lambda _: None,
        )
        stack.callback(self.pump.close)
        self.pump.start()

    def pass_on(self, data: bytes) -> None:
        """Send `data`, and take it at the other end when all of it has been moved."""
        moved = self.pump.bytes_written + len(data)
        self.near.sendall(data)
        kit.run_until(self._loop, lambda: self.pump.bytes_written == moved)
        got = b""
        while len(got) < len(data):
            got += self.far.recv(len(data))
        assert got == data


@pytest.mark.parametrize("on_progress", [None, lambda: None], ids=["short way", "with progress"])
def test_the_kernel_moves_much_and_a_copy_moves_little(
    on_progress: Callable[[], None] | None, loop: Loop, stack: contextlib.ExitStack, make: Make
) -> None:
    relayed = Relayed(loop, stack, make, on_progress)
    lane = type(relayed.pump.lane)
    relayed.pass_on(b"x" * 64)
    assert (lane, type(relayed.pump.lane)) == (Light, Light)
    for _ in range(8):
        relayed.pass_on(noise(LIGHT_BUFFER_BYTES))
    assert type(relayed.pump.lane) is PipedSplice
    for _ in range(MAX_LITTLE_FILLS + 1):
        relayed.pass_on(b"y" * 64)
    assert type(relayed.pump.lane) is Light
    assert relayed.pump.bytes_read == relayed.pump.bytes_written


def test_a_small_message_takes_two_system_calls(
    loop: Loop, stack: contextlib.ExitStack, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    relayed = Relayed(loop, stack, make)
    monkeypatch.setattr(os, "splice", pytest.fail)
    calls = 0
    passes = Light.passes

    def counted(lane: Light) -> bool:
        nonlocal calls
        calls += 1
        return passes(lane)

    monkeypatch.setattr(Light, "passes", counted)
    monkeypatch.setattr(Light, "step", pytest.fail)
    relayed.pass_on(b"x" * 64)
    assert calls == 1


def test_a_pipe_is_held_only_while_bytes_wait_in_it(
    loop: Loop, stack: contextlib.ExitStack, make: Make
) -> None:
    relayed = Relayed(loop, stack, make, lambda: None)
    lane = relayed.pump.lane = PipedSplice(
        relayed.pump._source, relayed.pump._sink, None, loop.pools
    )
    relayed.pass_on(noise(LIGHT_BUFFER_BYTES))
    assert lane._pipe is None
    feeding = Feeding(kit.Far(os.dup(relayed.near.fileno())), bytes(64_000_000))
    kit.run_until(loop, lambda: relayed.pump.blocked)
    assert lane._pipe
    relayed.pump.close()
    assert lane._pipe is None
    assert lane.held
    taken = loop.pools.take_pipe()
    assert taken
    with pytest.raises(BlockingIOError):  # what was held is in no pipe that another lane gets
        os.read(taken.out, 1)
    loop.pools.give_back(taken)
    relayed.far.close()
    relayed.near.shutdown(socket.SHUT_RDWR)
    feeding.join()


class Says:
    """A source that says one piece, and then nothing more for now."""

    kind, descriptor, name = Kind.OTHER, -1, "says"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_into(self, buffer: memoryview) -> int:
        data, self._data = self._data, b""
        if not data:
            raise BlockingIOError
        buffer[: len(data)] = data
        return len(data)


class Takes:
    """A sink that takes `room` bytes."""

    kind, descriptor, name = Kind.OTHER, -1, "takes"

    def __init__(self, room: int) -> None:
        self.room, self.taken = room, b""

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise BlockingIOError
        part = bytes(data[: self.room])
        self.room -= len(part)
        self.taken += part
        return len(part)


@pytest.mark.parametrize("room", [0, 4])
@pytest.mark.parametrize("kind", [Copy, Light])
def test_copies_share_a_buffer_and_keep_what_was_not_taken(
    kind: type[Copy], room: int, loop: Loop
) -> None:
    """One is held up with its bytes while another moves as many through the same buffer."""

    def lane(source: Says, sink: Takes) -> Copy:
        ends: Any = (source, sink)
        return Light(*ends, None, loop.pools) if kind is Light else Copy(*ends, pools=loop.pools)

    held_up, free = Takes(room), Takes(100)
    first, second = lane(Says(b"first one"), held_up), lane(Says(b"other bytes"), free)
    assert first._buffer is second._buffer
    assert first.step() is Wait.SINK
    assert second.step() is Wait.SOURCE
    held_up.room = 100
    assert first.held == 9 - room
    assert first.step() is Wait.SOURCE
    assert (held_up.taken, free.taken) == (b"first one", b"other bytes")
    assert (first.held, first.bytes_written) == (0, 9)


@pytest.mark.parametrize("room", [0, 3])
def test_what_a_sink_did_not_take_on_the_short_way_is_left_to_steps(room: int, loop: Loop) -> None:
    sink = Takes(room)
    ends: Any = (Says(b"late"), sink)
    lane = Light(*ends, None, loop.pools)
    assert not lane.passes()
    assert (lane.held, lane.step()) == (4 - room, Wait.SINK)
    sink.room = 10
    assert lane.step() is Wait.SOURCE
    assert lane.passes()  # there is nothing more for now
    assert (sink.taken, lane.bytes_read, lane.bytes_written) == (b"late", 4, 4)
