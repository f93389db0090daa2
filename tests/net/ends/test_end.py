"""What every Source, Sink and End promises: one set of tests for all of them.

Each is also run clogged (buffers of a few bytes) and cut (single bytes, and refusals between
them), and with each call that it makes of the system failing. The makers are in kit.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockkit.errors import OutputError, OutputGone, ReceiveError, SendError, SockkitError
from tests.net import kit as net_kit
from tests.net.ends import kit
from tests.net.ends.kit import ENDS, SINKS, SOURCES, Case, Make
from tests.net.kit import flags

loop, stack, make = net_kit.loop, net_kit.stack, kit.make

VARIANT = pytest.mark.parametrize("variant", kit.VARIANTS)
EACH_SOURCE = pytest.mark.parametrize("name", SOURCES)
EACH_SINK = pytest.mark.parametrize("name", SINKS)
EACH_END = pytest.mark.parametrize("name", ENDS)
WAITING_SOURCE = pytest.mark.parametrize("name", [name for name in SOURCES if name != "file"])
FILLING_SINK = pytest.mark.parametrize("name", [n for n in SINKS if n not in ("file", "append")])
LEFT_SINK = pytest.mark.parametrize(
    "name", ["tcp", "unix", "memory", "pipe", "socketpair", net_kit.PTY]
)
GONE = {"pipe": OutputGone, "socketpair": OutputGone, "pty": OutputError}


def shared_flags(case: Case) -> int | None:
    return None if case.shared is None else flags(case.shared)


# Sources.


@VARIANT
@EACH_SOURCE
def test_a_source_gives_all_in_order_and_then_the_end(name: str, variant: str, make: Make) -> None:
    case = make(name, variant)
    before = shared_flags(case)
    case.give(case.data)
    assert case.drain(len(case.data)) == case.data
    case.far.end()
    assert [case.drain(), case.drain()] == [b"", b""]
    assert shared_flags(case) == before


@WAITING_SOURCE
def test_a_source_that_has_nothing_says_so(name: str, make: Make) -> None:
    case = make(name)
    before = shared_flags(case)
    buffer = memoryview(bytearray(10))
    with pytest.raises(BlockingIOError):
        case.end.read_into(buffer)
    case.far.write(b"later")
    case.until_readable()
    assert case.end.read_into(buffer) == 5
    with pytest.raises(BlockingIOError):
        case.end.read_into(buffer)
    assert shared_flags(case) == before


@EACH_SOURCE
def test_a_source_fills_no_more_than_the_buffer(name: str, make: Make) -> None:
    case = make(name)
    case.far.write(b"abcdef")
    buffer = bytearray(b"......")
    case.until_readable()
    assert case.end.read_into(memoryview(buffer)[1:4]) == 3
    assert buffer == b".abc.."
    assert case.drain(3) == b"def"


@EACH_SOURCE
def test_a_source_that_knows_of_bytes_has_them(name: str, make: Make) -> None:
    case = make(name)
    assert not case.end.has_bytes()
    case.far.write(b"x")
    case.until_readable()
    assert case.end.has_bytes() is (name in (*ENDS, "pipe"))  # of others it is not known
    assert case.end.has_bytes() is case.end.has_bytes()  # and asking reads nothing
    assert case.drain(1) == b"x"
    assert not case.end.has_bytes()
    case.far.end()
    assert case.drain() == b""
    assert not case.end.has_bytes()


# Readiness.


class Calls:
    """Counts calls, and takes itself back after `most`."""

    def __init__(self, when: Callable[[Any], None], most: int = 1_000_000) -> None:
        self.count, self._when, self._most = 0, when, most
        when(self)

    def __call__(self) -> None:
        self.count += 1
        assert self.count <= self._most, "called although it was taken back"
        if self.count == self._most:
            self._when(None)


def idle(case: Case) -> bool:
    """Whether nothing waits to be called in the next turn of the loop."""
    return not case.loop._soon and not case.loop._unpollable


@WAITING_SOURCE
def test_readable_is_told_for_as_long_as_a_read_gives_something(name: str, make: Make) -> None:
    case = make(name)
    calls = Calls(case.end.when_readable)
    net_kit.settle(case.loop)
    assert calls.count == 0
    assert idle(case)
    case.far.write(b"ab")
    net_kit.run_until(case.loop, lambda: calls.count > 3)  # what a terminal gets comes late
    buffer = memoryview(bytearray(1))
    for _ in range(2):
        before = calls.count
        net_kit.run_until(case.loop, lambda before=before: calls.count > before)  # type: ignore[misc]
        assert case.end.read_into(buffer) == 1
    before = calls.count
    net_kit.settle(case.loop)
    assert calls.count <= before + 1
    assert idle(case)
    case.far.end()
    net_kit.run_until(case.loop, lambda: calls.count > before + 3)
    case.end.when_readable(None)
    before = calls.count
    net_kit.settle(case.loop)
    assert calls.count == before
    assert idle(case)


@EACH_SOURCE
def test_a_reader_may_take_itself_back_in_its_call(name: str, make: Make) -> None:
    case = make(name)
    case.far.write(b"x")
    calls = Calls(case.end.when_readable, 2)
    net_kit.run_until(case.loop, lambda: calls.count == 2)
    net_kit.settle(case.loop)
    assert calls.count == 2
    assert case.drain(1) == b"x"


@FILLING_SINK
def test_writable_is_told_for_as_long_as_a_write_is_accepted(name: str, make: Make) -> None:
    case = make(name, "clogged", "sink")
    calls = Calls(case.end.when_writable)
    net_kit.settle(case.loop)
    assert calls.count > 3
    size = case.fill()
    before = calls.count
    net_kit.settle(case.loop)
    assert calls.count <= before + 1
    assert idle(case)
    case.gather(lambda: len(case.arrived) == size)
    net_kit.run_until(case.loop, lambda: calls.count > before + 3)
    case.end.when_writable(None)
    before = calls.count
    net_kit.settle(case.loop)
    assert calls.count == before


@EACH_SINK
def test_a_writer_may_take_itself_back_in_its_call(name: str, make: Make) -> None:
    case = make(name, half="sink")
    calls = Calls(case.end.when_writable, 2)
    net_kit.run_until(case.loop, lambda: calls.count == 2)
    net_kit.settle(case.loop)
    assert calls.count == 2


@EACH_END
def test_the_two_directions_are_ready_by_themselves(name: str, make: Make) -> None:
    case = make(name)
    readable, writable = Calls(case.end.when_readable), Calls(case.end.when_writable)
    net_kit.settle(case.loop)
    assert (readable.count, writable.count > 3) == (0, True)
    case.end.when_writable(None)
    case.far.write(b"x")
    before = writable.count
    net_kit.settle(case.loop)
    assert (readable.count > 3, writable.count) == (True, before)
    case.end.when_readable(None)


# Sinks.


@VARIANT
@EACH_SINK
def test_a_sink_passes_all_in_order(name: str, variant: str, make: Make) -> None:
    case = make(name, variant, "sink")
    before = shared_flags(case)
    case.pour(case.data)
    assert shared_flags(case) == before
    case.release()
    assert case.gathered() == case.data


@pytest.mark.parametrize("variant", ["free", "clogged"])
@FILLING_SINK
def test_a_full_sink_does_not_wait_and_loses_nothing(name: str, variant: str, make: Make) -> None:
    case = make(name, variant, "sink")
    before = shared_flags(case)
    size = case.fill()
    assert size > 0
    assert shared_flags(case) == before
    case.gather(lambda: len(case.arrived) == size)
    case.pour(b"more")
    case.release()
    assert case.gathered() == bytes(size) + b"more"


@EACH_SINK
def test_nothing_written_is_nothing(name: str, make: Make) -> None:
    case = make(name, half="sink")
    assert case.end.write(b"") == 0


@LEFT_SINK
def test_a_sink_whose_reader_has_left_says_so(name: str, make: Make) -> None:
    case = make(name, half="sink")
    case.far.close()
    with pytest.raises(GONE.get(name, SendError)) as caught:
        case.write_on()
    assert isinstance(caught.value.__cause__, OSError)
    assert case.end.name in str(caught.value)


# Both halves of a connection.


@EACH_END
def test_an_end_is_called_by_its_peers_address(name: str, make: Make) -> None:
    end = make(name).end
    assert end.name == end.peer.address


@VARIANT
@EACH_END
def test_a_half_close_ends_one_direction(name: str, variant: str, make: Make) -> None:
    case = make(name, variant)
    case.pour(case.data)
    case.end.half_close()
    assert case.gathered() == case.data
    case.give(b"an answer")
    assert case.drain(9) == b"an answer"
    case.far.end()
    assert case.drain() == b""
    with pytest.raises(SendError, match=f"{case.end.name} failed"):
        case.end.write(b"x")


@EACH_END
def test_what_waits_when_a_half_close_comes_is_delivered(name: str, make: Make) -> None:
    case = make(name, "clogged")
    size = case.fill()
    case.end.half_close()
    case.end.half_close()
    assert case.gathered() == bytes(size)


@EACH_END
def test_what_is_queued_and_undelivered_falls_to_nothing(name: str, make: Make) -> None:
    case = make(name)
    assert case.end.queued() == case.end.undelivered() == 0
    size = case.fill()
    assert case.end.queued() > 0
    assert 0 <= case.end.undelivered() <= min(size, case.end.queued())
    assert (case.end.undelivered() > 0) == (name != "unix")  # whose bytes are with the peer
    assert case.end.undelivered(case.end.queued()) == case.end.undelivered()
    case.gather(lambda: len(case.arrived) == size)
    net_kit.run_until(case.loop, lambda: case.end.queued() == 0)  # an acknowledgement may come late
    assert case.end.undelivered() == 0


@EACH_END
def test_a_half_close_is_no_byte_that_is_undelivered(name: str, make: Make) -> None:
    case = make(name)
    case.fill()
    before = case.end.undelivered()
    case.end.half_close()
    assert case.end.undelivered() <= before


@EACH_END
def test_a_reset_is_a_receive_error_and_told_once(name: str, make: Make) -> None:
    case = make(name)
    assert case.end.failure() is None
    case.end.write(b"unread")
    case.far.reset()
    case.until_readable()
    buffer = memoryview(bytearray(10))
    with pytest.raises(ReceiveError, match=f"receiving from {case.end.name} failed: c") as caught:
        case.end.read_into(buffer)
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert case.end.failure() is None
    assert case.end.read_into(buffer) == 0
    case.end.half_close()  # receiving has said it
    with pytest.raises(SendError, match="the peer has closed") as gone:
        case.end.write(b"x")
    assert isinstance(gone.value.__cause__, BrokenPipeError)


@pytest.mark.parametrize("name", ["tcp", "memory"])
def test_a_reset_is_a_send_error_and_told_once(name: str, make: Make) -> None:
    case = make(name)
    case.end.write(b"unread")
    case.far.reset()
    case.until_readable()
    with pytest.raises(SendError, match=f"to {case.end.name} failed: connection reset") as caught:
        case.end.write(b"x")
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    with pytest.raises(SendError, match="the peer has closed"):
        case.end.write(b"x")


@EACH_END
def test_a_reset_is_told_by_asking(name: str, make: Make) -> None:
    case = make(name)
    case.end.write(b"unread")
    case.far.reset()
    case.until_readable()
    failure = case.end.failure()
    assert isinstance(failure, SendError)
    assert "connection reset" in str(failure)
    assert case.end.failure() is None


@pytest.mark.parametrize("name", ["tcp", "memory"])
def test_a_reset_after_the_peers_end_is_told_by_asking_alone(name: str, make: Make) -> None:
    case = make(name)
    case.end.write(b"unread")
    case.far.end()
    assert case.drain() == b""
    case.far.reset()
    assert case.end.read_into(memoryview(bytearray(9))) == 0
    told: list[SockkitError | None] = []
    net_kit.run_until(case.loop, lambda: bool(told.append(case.end.failure()) or told[-1]))
    assert isinstance(told[-1], SendError)
    assert "the peer has closed" in str(told[-1])


@EACH_END
def test_undelivered_is_known_after_a_reset(name: str, make: Make) -> None:
    case = make(name)
    case.fill()
    before = case.end.undelivered()
    case.far.reset()
    case.until_readable()
    assert case.end.undelivered() <= before
    assert (case.end.undelivered() > 0) == (name != "unix")


@VARIANT
@EACH_END
def test_a_close_still_delivers_what_was_written(name: str, variant: str, make: Make) -> None:
    case = make(name, variant)
    size = case.fill()
    case.end.close()
    assert case.gathered() == bytes(size)


@EACH_END
def test_a_close_with_bytes_unread_resets(name: str, make: Make) -> None:
    case = make(name)
    case.far.write(b"never read")
    case.until_readable()
    case.end.close()
    with pytest.raises(ConnectionResetError):
        case.gathered()


@pytest.mark.parametrize("name", ["tcp", "memory"])
def test_an_abort_resets_and_throws_away(name: str, make: Make) -> None:
    case = make(name)
    size = case.fill()
    case.end.abort()
    with pytest.raises(ConnectionResetError):
        case.gathered()
    case.end.close()  # changes nothing
    with contextlib.suppress(ConnectionResetError):
        assert case.far.read() == b""
    assert len(case.arrived) < size
    assert case.arrived == bytes(len(case.arrived))


@EACH_END
def test_an_aborted_end_waits_for_nothing(name: str, make: Make) -> None:
    case = make(name, "clogged")
    case.fill()
    case.end.abort()
    assert not any(any(callbacks) for callbacks in case.loop._callbacks.values())
    assert idle(case)


def test_an_abort_of_a_unix_socket_throws_nothing_away(make: Make) -> None:
    """What it has accepted is with the peer: unix(7)."""
    case = make("unix")
    size = case.fill()
    case.end.abort()
    assert case.gathered() == bytes(size)


@pytest.mark.parametrize("name", ["tcp", "memory"])
def test_the_first_write_to_a_peer_that_has_closed_is_answered_by_a_reset(
    name: str, make: Make
) -> None:
    """And what it had sent before is still received."""
    case = make(name)
    case.far.write(b"last words")
    case.far.close()
    case.until_readable()
    assert case.end.write(b"unheard") == 7
    assert case.drain() == b"last words"
    with pytest.raises(SendError, match="the peer has closed"):
        case.write_on()


@EACH_END
def test_a_closed_end_fails_in_words(name: str, make: Make) -> None:
    case = make(name)
    case.end.close()
    case.end.close()
    with pytest.raises(ReceiveError, match=case.end.name):
        case.end.read_into(memoryview(bytearray(9)))
    with pytest.raises(SendError, match=case.end.name):
        case.end.write(b"x")
    with pytest.raises(SendError, match=case.end.name):
        case.end.half_close()
    assert isinstance(case.end.failure(), SendError)
    assert case.end.queued() == case.end.undelivered() == 0


# Each call of the system, failing.

CALLS = {
    socket.socket: ["recv", "recv_into", "send", "shutdown", "getsockopt", "setsockopt"],
    os: ["readv", "write"],
    select: ["select"],
}
CODES = [errno.ECONNRESET, errno.EPIPE, errno.EIO, errno.ENOBUFS, errno.ETIMEDOUT, errno.EBADF]


class System:
    """Counts the calls made within `use`, of which the `nth` fails with `code`."""

    def __init__(self, patch: pytest.MonkeyPatch, nth: int = 0, code: int = 0) -> None:
        self._nth, self._code = nth, code
        self._used = False
        self.calls = 0
        self.raised: OSError | None = None
        for owner, names in CALLS.items():
            for name in names:
                patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += self._used
            if self._used and self.calls == self._nth:
                self.raised = OSError(self._code, os.strerror(self._code))
                raise self.raised
            return real(*arguments, **named)

        return call

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        self._used = True
        try:
            yield
        finally:
            self._used = False


def uses(case: Case, half: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is done with an end from its making to its close."""
    buffer = memoryview(bytearray(100))
    source, sink = half != "sink", half != "source"
    if source:
        case.far.write(b"abcdef")
        case.until_readable()
        yield "read", case.end.has_bytes
        yield "read", lambda: case.end.read_into(buffer[:3])
        yield "read", lambda: case.end.read_into(buffer)
        yield "read", lambda: case.end.read_into(buffer)
    if sink:
        yield "write", lambda: case.end.write(b"abc")
        yield "write", lambda: case.end.write(b"def")
    if half == "both":
        yield "write", case.end.half_close
        yield "ask", case.end.failure
        yield "ask", case.end.queued
        yield "ask", case.end.undelivered
        yield "ask", case.end.abort


# Failures that are none: a terminal that is closed has ended, and one cannot end our side of, or
# reset, what the peer has reset before.
def is_none(name: str, use: str, code: int) -> bool:
    return use == "ask" or (name == "pty" and code == errno.EIO)


WORDS = {"source": "stdin", "sink": "stdout", "both": "there:1"}
HALVES = [
    *(pytest.param(name, "both", id=name) for name in ENDS if "memory" not in name),
    *(("pipe", half) for half in ("source", "sink")),
    *(("socketpair", half) for half in ("source", "sink")),
    *(("file", half) for half in ("source", "sink")),
    *(pytest.param("pty", half, marks=pytest.mark.process) for half in ("source", "sink")),
]


def use_up(case: Case, name: str, half: str, system: System, code: int) -> int:
    """Use it to its close; how many uses met an error of ours, each of them the one planned."""
    failed = 0
    for use, call in uses(case, half):
        before, error = system.raised, None
        try:
            with system.use():
                call()
        except BlockingIOError:
            continue
        except SockkitError as caught:
            error = caught
        if error:
            assert error.__cause__ is system.raised is not None
            assert WORDS[half] in str(error)
            failed += 1
        else:
            assert system.raised is before or is_none(name, use, code), f"{use} told of nothing"
    case.release()
    return failed


@pytest.mark.parametrize(("name", "half"), HALVES)
def test_each_call_that_fails_is_an_error_of_ours(
    name: str, half: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its descriptors are closed all the same, which the loop's fixture sees to."""

    def run(nth: int, code: int) -> tuple[System, int]:
        case = make(name, half="source" if half == "both" else half)
        with monkeypatch.context() as patch:
            system = System(patch, nth, code)
            return system, use_up(case, name, half, system, code)

    system, failed = run(0, 0)
    assert failed == 0
    assert system.calls >= 2
    for code in CODES:
        total = 0
        for nth in range(1, system.calls + 1):
            planned, failed = run(nth, code)
            assert planned.raised
            total += failed
        assert total > 0 or is_none(name, "read", code)


def test_a_sink_in_single_writes_fails_in_words(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be opened again asks whether it is ready, before each piece."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "no /proc here")

    for nth, code in [(1, errno.EBADF), (2, errno.EIO)]:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            case = make("pipe", half="sink")
            system = System(patch, nth, code)
            with pytest.raises(OutputError, match="stdout") as caught, system.use():
                case.end.write(b"x")
            assert caught.value.__cause__ is system.raised
            case.release()


OPENING: list[tuple[Any, str]] = [(os, "open"), (os, "dup")]


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("half", ["source", "sink"])
@pytest.mark.parametrize("name", ["pipe", "socketpair", net_kit.PTY])
def test_one_that_cannot_be_made_leaves_nothing_open(
    name: str, half: str, nth: int, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The OSError is told of where a command starts."""
    case = make(name, half=half)
    before = set(os.listdir("/proc/self/fd"))
    for owner, call in OPENING:
        calls = iter(range(1, 100))
        real = getattr(owner, call)

        def failing(*arguments: Any, _real: Any = real, _calls: Any = calls, **named: Any) -> Any:
            if next(_calls) == nth:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return _real(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, call, failing)
            try:
                made = type(case.bare)(case.loop, case.shared)
            except OSError:
                pass
            else:
                net_kit.close_stdio(made, case.shared)
        assert set(os.listdir("/proc/self/fd")) == before
