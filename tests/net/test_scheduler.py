"""Time is shared: a clock that a test sets says how long an answer took."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from sockkit.core.responder import MESSAGE_TIME
from sockkit.net.loop import Loop
from sockkit.net.scheduler import (
    COSTLY_SECONDS,
    MAX_SLICE_SECONDS,
    MAX_TURN_SECONDS,
    Scheduler,
    Task,
)
from tests.net import kit
from tests.net.kit import run_until

loop, stack = kit.loop, kit.stack


class Site:
    """A scheduler with a clock, and what was answered in which turn of the loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop, self.time = loop, 0.0
        self.scheduler = Scheduler(loop, MESSAGE_TIME, lambda: self.time)
        self.answered: list[tuple[float, str]] = []

    def peer(self, name: str, messages: int, seconds: float) -> Peer:
        return Peer(self, name, messages, seconds)

    def by_turn(self) -> list[str]:
        """The names in each turn."""
        turns: dict[float, str] = {}
        for now, name in self.answered:
            turns[now] = turns.get(now, "") + name
        return list(turns.values())


class Peer(Task):
    def __init__(self, site: Site, name: str, messages: int, seconds: float) -> None:
        self._site, self._name, self._seconds = site, name, seconds
        self.messages = messages

    def serve(self, should_yield: Callable[[], bool]) -> bool:
        while self.messages:
            self.messages -= 1
            self._site.time += self._seconds
            self._site.answered.append((self._site.loop.now, self._name))
            if should_yield():
                break
        return bool(self.messages)


@pytest.fixture
def site(loop: Loop, stack: contextlib.ExitStack) -> Site:
    return Site(loop)


def ask(site: Site, *peers: Peer) -> None:
    """In one turn of the loop, which then runs until all is answered."""
    site.loop.call_soon(lambda: [site.scheduler.schedule(peer) for peer in peers] and None)
    run_until(site.loop, lambda: not any(peer.messages for peer in peers))


def test_what_costs_nothing_is_answered_at_once(site: Site) -> None:
    ask(site, site.peer("a", 1000, 0.0), site.peer("b", 1000, 0.0))
    assert site.by_turn() == ["a" * 1000 + "b" * 1000]


def test_a_peers_remaining_messages_wait_for_the_next_turn(site: Site) -> None:
    ask(site, site.peer("a", 20, MAX_SLICE_SECONDS / 3.9))
    assert site.by_turn() == ["a" * 4] * 5


def test_all_peers_together_have_their_time_in_a_turn(site: Site) -> None:
    ask(site, *(site.peer(name, 3, MAX_SLICE_SECONDS * 1.01) for name in "abcdef"))
    assert all(len(turn) * MAX_SLICE_SECONDS < MAX_TURN_SECONDS for turn in site.by_turn())
    first = [name for _, name in site.answered[:8]]
    assert set(first) == set("abcdef")  # none has all before each has one


def test_a_costly_peer_comes_after_those_that_are_not(site: Site) -> None:
    peer, quick = site.peer("a", 1, MAX_TURN_SECONDS), site.peer("q", 1, 0.0)
    ask(site, peer)
    assert site.scheduler.is_costly(peer)
    peer.messages = 1
    ask(site, peer, quick)
    assert [name for _, name in site.answered] == ["a", "q", "a"]
    site.loop.now += COSTLY_SECONDS
    assert not site.scheduler.is_costly(peer)


def test_costly_peers_are_served_although_others_take_all_the_time(site: Site) -> None:
    costly = site.peer("c", 3, MAX_TURN_SECONDS)

    def others() -> None:
        if costly.messages:
            for _ in range(5):
                site.scheduler.schedule(site.peer("q", 1, MAX_TURN_SECONDS / 4))
            site.loop.call_soon(others)

    site.loop.call_soon(others)
    ask(site, costly)


def test_asking_twice_is_asking_once(site: Site) -> None:
    peer = site.peer("a", 2, MAX_TURN_SECONDS)
    ask(site, peer, peer, peer)
    assert site.by_turn() == ["a", "a"]
