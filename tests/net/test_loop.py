"""The loop over real pipes, sockets and files."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.net import loop as module
from sockkit.net.loop import Loop
from sockkit.net.selector import Portable, make_selector
from tests.net import kit
from tests.net.kit import run_for

loop, stack = kit.loop, kit.stack


@pytest.fixture(autouse=True, params=[make_selector, Portable], ids=["best", "portable"])
def selector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the loop waits: each in turn."""
    monkeypatch.setattr(module, "make_selector", request.param)


def ends(kind: str, stack: contextlib.ExitStack) -> tuple[int, int]:
    """Two connected descriptors: what is written to the second is read from the first."""
    if kind == "pipe":
        out, into = os.pipe()
    else:
        first, second = socket.socketpair() if kind == "unix" else kit.tcp_pair()
        out, into = first.detach(), second.detach()
    stack.callback(os.close, out)
    stack.callback(os.close, into)
    return out, into


def a_file(directory: Path, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(directory / "file", os.O_RDWR | os.O_CREAT)
    stack.callback(os.close, descriptor)
    return descriptor


def counter(seen: list[str], name: str) -> Callable[[], None]:
    return lambda: seen.append(name)


@pytest.mark.parametrize("kind", ["pipe", "unix", "tcp"])
def test_readable_when_there_are_bytes_and_not_before(
    kind: str, loop: Loop, stack: contextlib.ExitStack
) -> None:
    out, into = ends(kind, stack)
    got: list[bytes] = []

    def read() -> None:
        got.append(os.read(out, 100))
        loop.stop()

    loop.when_readable(out, read)
    run_for(loop, 0.02)
    assert got == []
    os.write(into, b"here")
    loop.run()
    assert got == [b"here"]


@pytest.mark.parametrize("kind", ["pipe", "unix", "tcp"])
def test_writable_until_full(kind: str, loop: Loop, stack: contextlib.ExitStack) -> None:
    out, into = ends(kind, stack)
    os.set_blocking(into, False)
    seen: list[str] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(into, bytes(65536))
    loop.when_writable(into, counter(seen, "writable"))
    run_for(loop, 0.02)
    assert seen == []
    loop.when_readable(out, lambda: os.read(out, 65536) and None)
    loop.when_writable(into, loop.stop)
    loop.run()


def test_a_level_calls_again_until_it_is_served(loop: Loop, stack: contextlib.ExitStack) -> None:
    out, into = ends("pipe", stack)
    os.write(into, b"abc")
    got = b""

    def one() -> None:
        nonlocal got
        got += os.read(out, 1)
        if len(got) == 3:
            loop.stop()

    loop.when_readable(out, one)
    loop.run()
    assert got == b"abc"


@pytest.mark.parametrize("side", ["when_readable", "when_writable"])
def test_a_regular_file_is_always_ready(
    side: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    file = a_file(tmp_path, stack)
    seen: list[str] = []

    def ready() -> None:
        seen.append("ready")
        if len(seen) == 3:
            getattr(loop, side)(file, None)
            loop.later(0.01, loop.stop)

    getattr(loop, side)(file, ready)
    loop.later(0.5, kit.too_late)  # it is not waited for
    loop.run()
    assert len(seen) == 3


def test_a_file_holds_nobody_else_up(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    file = a_file(tmp_path, stack)
    out, into = ends("pipe", stack)
    seen: list[str] = []
    loop.when_readable(file, counter(seen, "file"))
    loop.later(0.01, lambda: os.write(into, b"x") and None)
    loop.when_readable(out, loop.stop)
    loop.run()
    assert seen


def test_timers_come_in_order_of_time(loop: Loop) -> None:
    seen: list[str] = []
    loop.later(0.03, loop.stop)
    for delay in (0.02, 0.0, 0.01):
        loop.later(delay, counter(seen, f"{delay}"))
    loop.run()
    assert seen == ["0.0", "0.01", "0.02"]


def test_timers_of_one_time_come_in_the_order_they_were_set(loop: Loop) -> None:
    seen: list[str] = []
    when = loop.now
    for number in range(100):
        loop.at(when, counter(seen, f"{number}"))
    run_for(loop, 0.01)
    assert seen == [f"{number}" for number in range(100)]


def test_a_timer_is_not_early(loop: Loop) -> None:
    when = loop.now + 0.02
    at: list[float] = []
    loop.at(when, lambda: at.append(loop.now))
    run_for(loop, 0.05)
    assert len(at) == 1
    assert at[0] >= when


def test_a_cancelled_timer_is_forgotten(loop: Loop) -> None:
    seen: list[str] = []
    first = loop.later(0, counter(seen, "first"))
    second = loop.later(0.01, counter(seen, "second"))
    loop.later(0, second.cancel)
    first.cancel()
    run_for(loop, 0.03)
    second.cancel()
    assert seen == []


def test_cancelled_timers_are_not_kept_until_their_time(loop: Loop) -> None:
    class Big:
        def ready(self) -> None: ...

    kept = loop.later(3600, Big().ready)
    gone = []
    for _ in range(1000):
        big = Big()
        gone.append(weakref.ref(big))
        loop.later(3600, big.ready).cancel()
        del big
    assert not any(ref() for ref in gone)
    assert len(loop._timers) < 200
    seen: list[str] = []
    timers = [loop.later(0, counter(seen, f"{number}")) for number in range(300)]
    for timer in timers[:299]:
        timer.cancel()
        timer.cancel()
    run_for(loop, 0.01)
    assert seen == ["299"]
    timers[-1].cancel()  # it has been called
    kept.cancel()
    assert loop._cancelled <= len(loop._timers)


@pytest.mark.parametrize("way", ["stop", "raise"])
def test_timers_due_together_survive_the_end_of_a_run(way: str, loop: Loop) -> None:
    """The first of them ends the run; the second comes with the next."""

    def end() -> None:
        loop.stop()
        if way == "raise":
            raise LookupError("here")

    seen: list[str] = []
    when = loop.now
    loop.at(when, end)
    loop.at(when, counter(seen, "second"))
    with pytest.raises(LookupError) if way == "raise" else contextlib.nullcontext():
        loop.run()
    assert seen == []
    run_for(loop, 0.01)
    assert seen == ["second"]


def test_a_timer_can_cancel_another_of_the_same_turn(loop: Loop) -> None:
    seen: list[str] = []
    when = loop.now
    loop.at(when, lambda: second.cancel())
    second = loop.at(when, counter(seen, "second"))
    run_for(loop, 0.01)
    assert seen == []


@pytest.mark.parametrize("way", ["later", "call_soon"])
def test_a_call_that_asks_for_itself_again_leaves_turns_to_others(
    way: str, loop: Loop, stack: contextlib.ExitStack
) -> None:
    out, into = ends("pipe", stack)
    left = 100_000
    ask = loop.call_soon if way == "call_soon" else lambda call: loop.later(0, call)
    loop.later(0, lambda: os.write(into, b"x") and None)

    def again() -> None:
        nonlocal left
        left -= 1
        assert left, "the descriptor got no turn"
        ask(again)

    loop.when_readable(out, loop.stop)
    ask(again)
    loop.run()


def test_another_thread_wakes_it(loop: Loop) -> None:
    seen: list[int] = []

    def mine() -> None:
        seen.append(threading.get_ident())
        loop.stop()

    thread = threading.Timer(0.05, lambda: loop.call_soon(mine))  # by then the loop waits
    thread.start()
    began = loop.now
    loop.run()
    thread.join()
    assert seen == [threading.get_ident()]
    assert loop.now - began < kit.WAIT / 2  # not by the deadline


def test_calls_from_many_threads_all_arrive_in_each_ones_order(loop: Loop) -> None:
    seen: list[tuple[int, int]] = []

    def call(thread: int) -> None:
        for number in range(1000):
            loop.call_soon(lambda number=number: seen.append((thread, number)))  # type: ignore[misc]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    kit.run_until(loop, lambda: len(seen) == 4000)
    for thread in threads:
        thread.join()
    for number in range(4):
        assert [order for thread, order in seen if thread == number] == list(range(1000))


def test_a_call_that_stop_leaves_behind_comes_with_the_next_run(loop: Loop) -> None:
    seen: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(counter(seen, "late"))
    loop.run()
    assert seen == []
    run_for(loop, 0.01)
    assert seen == ["late"]


@pytest.mark.parametrize("way", ["timer", "soon", "readable", "file"])
def test_an_exception_leaves_run_and_the_loop_goes_on(
    way: str, loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    def fail() -> None:
        raise LookupError("here")

    out, into = ends("pipe", stack)
    file = a_file(tmp_path, stack)
    os.write(into, b"x")
    match way:
        case "timer":
            loop.later(0, fail)
        case "soon":
            loop.call_soon(fail)
        case "readable":
            loop.when_readable(out, fail)
        case "file":
            loop.when_readable(file, fail)
    with pytest.raises(LookupError, match="here"):
        loop.run()
    loop.when_readable(out, None)
    loop.when_readable(file, None)
    run_for(loop, 0.01)


def test_interest_taken_back_in_a_callback_is_honoured_at_once(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    pairs = [ends("unix", stack) for _ in range(2)]
    seen: list[int] = []

    def only(mine: int, other: int) -> Callable[[], None]:
        def ready() -> None:
            seen.append(mine)
            loop.when_readable(mine, None)
            loop.when_readable(other, None)

        return ready

    (first, into_first), (second, into_second) = pairs
    os.write(into_first, b"x")
    os.write(into_second, b"x")
    loop.when_readable(first, only(first, second))
    loop.when_readable(second, only(second, first))
    run_for(loop, 0.02)
    assert len(seen) == 1


def test_who_takes_the_number_of_a_failed_descriptor_is_not_ready_with_it(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    mine, gone = ends("unix", stack)
    full, reader = ends("unix", stack)
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, bytes(65536))
    seen: list[str] = []

    def replace() -> None:
        loop.when_readable(mine, None)
        os.dup2(full, mine)
        loop.when_writable(mine, counter(seen, "writable"))

    loop.when_readable(mine, replace)
    os.dup2(reader, gone)  # hangs up
    run_for(loop, 0.02)
    assert seen == []


def test_both_sides_of_a_descriptor_are_separate(loop: Loop, stack: contextlib.ExitStack) -> None:
    mine, other = ends("unix", stack)
    seen: list[str] = []

    def once(name: str, side: Callable[..., None]) -> Callable[[], None]:
        def ready() -> None:
            seen.append(name)
            side(mine, None)

        return ready

    os.write(other, b"x")
    loop.when_readable(mine, once("read", loop.when_readable))
    loop.when_writable(mine, once("write", loop.when_writable))
    run_for(loop, 0.02)
    assert sorted(seen) == ["read", "write"]


@pytest.mark.parametrize("kind", ["pipe", "unix", "tcp"])
def test_a_hang_up_nobody_asked_about_does_not_spin(
    kind: str, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, into = ends(kind, stack)
    loop.when_readable(out, counter([], ""))
    loop.when_readable(out, None)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, into)  # hangs up, and keeps the number for the stack to close
    os.close(null)
    turns: list[str] = []
    real = loop._turn
    monkeypatch.setattr(loop, "_turn", lambda: (turns.append(""), real()))
    run_for(loop, 0.05)
    assert 0 < len(turns) < 10


def test_a_call_wakes_the_loop_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    real = loop._turn
    monkeypatch.setattr(loop, "_turn", lambda: (turns.append(""), real()))
    loop.call_soon(lambda: None)
    run_for(loop, 0.05)
    assert 0 < len(turns) < 10


def test_taking_back_what_was_never_asked_is_allowed(
    loop: Loop, stack: contextlib.ExitStack
) -> None:
    out, _ = ends("pipe", stack)
    loop.when_readable(out, None)
    loop.when_writable(out, None)
    loop.when_readable(out, None)


def test_what_is_held_is_let_be(loop: Loop) -> None:
    """Whatever is asked for meanwhile."""
    reader, writer = os.pipe()
    calls: list[str] = []
    os.write(writer, b"x")
    loop.when_readable(reader, lambda: calls.append("early"))
    loop.hold(reader, True)
    loop.hold(reader, True)
    loop.later(0.01, loop.stop)
    loop.run()
    assert calls == []
    loop.when_readable(reader, lambda: (calls.append("late"), loop.stop()))  # type: ignore[func-returns-value]
    loop.later(0.01, loop.stop)
    loop.run()
    assert calls == []
    loop.hold(reader, False)
    loop.run()
    assert calls == ["late"]
    loop.hold(reader, True)
    loop.when_readable(reader, None)
    loop.hold(reader, False)
    loop.later(0.01, loop.stop)
    loop.run()
    assert calls == ["late"]
    os.close(reader)
    os.close(writer)


def test_a_call_after_the_end_is_for_nobody(loop: Loop, stack: contextlib.ExitStack) -> None:
    """By then somebody else may have the number of the descriptor that woke the loop."""
    with Loop() as ended:
        wakes = ended.alarm
    pairs = [ends("unix", stack) for _ in range(4)]
    assert any(wakes in pair for pair in pairs)
    ended.call_soon(lambda: None)
    for pair in pairs:
        for descriptor in pair:
            os.set_blocking(descriptor, False)
            with pytest.raises(BlockingIOError):
                os.read(descriptor, 1)
