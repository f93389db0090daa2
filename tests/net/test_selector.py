"""What a loop waits with: both ways tell the same."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from sockkit.net.selector import READ, WRITE, Epoll, Portable, Selector, make_selector
from tests.net import kit

loop, stack = kit.loop, kit.stack
WAYS: list[Callable[[], Selector]] = [Portable]
if hasattr(select, "epoll"):
    WAYS.append(Epoll)


@pytest.fixture(params=WAYS)
def selector(request: pytest.FixtureRequest) -> Iterator[Selector]:
    with contextlib.closing(request.param()) as made:
        yield made


@pytest.fixture
def pair(stack: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    first, second = socket.socketpair()
    stack.callback(first.close)
    stack.callback(second.close)
    return first, second


Pair = tuple[socket.socket, socket.socket]


def test_the_system_has_the_faster_way() -> None:
    assert type(make_selector()) is WAYS[-1]


def test_it_tells_what_is_ready_of_what_was_asked(selector: Selector, pair: Pair) -> None:
    mine, other = pair
    selector.register(mine.fileno(), READ)
    assert selector.select(0) == []
    other.send(b"x")
    assert selector.select(None) == [(mine.fileno(), READ)]
    selector.modify(mine.fileno(), WRITE)
    assert selector.select(None) == [(mine.fileno(), WRITE)]
    selector.modify(mine.fileno(), READ | WRITE)
    told = selector.select(None)
    assert [descriptor for descriptor, _ in told] == [mine.fileno()] * len(told)
    assert sum(events for _, events in told) == READ | WRITE  # one by one, or both at once
    selector.unregister(mine.fileno())
    assert selector.select(0) == []


@pytest.mark.parametrize("asked", [READ, WRITE])
def test_what_is_hung_up_is_ready_for_what_was_asked_and_no_more(
    selector: Selector, pair: Pair, stack: contextlib.ExitStack, asked: int
) -> None:
    """Beside another that is ready, which is told of as ever."""
    mine, other = pair
    out, free = os.pipe()
    stack.callback(os.close, out)
    stack.callback(os.close, free)
    selector.register(free, WRITE)
    selector.register(mine.fileno(), READ | WRITE)
    selector.modify(mine.fileno(), asked)
    other.close()
    assert sorted(selector.select(None)) == sorted([(free, WRITE), (mine.fileno(), asked)])


def test_a_closed_descriptor_can_be_unregistered(selector: Selector, pair: Pair) -> None:
    mine, _ = pair
    number = mine.fileno()
    selector.register(number, READ)
    mine.close()
    selector.unregister(number)
    out, into = os.pipe()
    os.dup2(out, number)
    selector.register(number, READ)  # somebody else's now
    os.write(into, b"x")
    assert selector.select(None) == [(number, READ)]
    for each in {out, into, number}:
        os.close(each)


def test_it_waits_no_longer_than_it_may(selector: Selector, pair: Pair) -> None:
    selector.register(pair[0].fileno(), READ)
    assert selector.select(0.001) == []
