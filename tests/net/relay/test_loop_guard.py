from __future__ import annotations

from typing import Any

import pytest

from sockkit.net.loop import Loop
from sockkit.net.relay import loop_guard as module
from sockkit.net.relay.loop_guard import LoopGuard, host
from sockkit.net.udp.datagrams import Received
from tests.net import kit
from tests.support import HERE

loop = kit.loop

BURST = 100
FIRST = (HERE, 2)  # who has sent it before


def got(data: bytes, size: int = 0, address: Any = (HERE, 1)) -> Received:
    return Received(memoryview(data), size or max(len(data), 1), address, len(data))


@pytest.fixture
def guard(loop: Loop) -> LoopGuard:
    return LoopGuard(loop)


def test_what_a_peer_repeats_itself_is_not_suspect(guard: LoopGuard) -> None:
    guard.heard(got(b"x", address=FIRST))
    assert not guard.suspects(got(b"x", address=FIRST))
    assert guard.suspects(got(b"x"))


def test_only_what_was_heard_before_is_suspect(guard: LoopGuard) -> None:
    assert not guard.suspects(got(b"x"))
    guard.heard(got(b"x", address=FIRST))
    assert guard.suspects(got(b"x"))
    assert not guard.suspects(got(b"y"))
    assert not guard.suspects(got(b"xx"))


def test_an_empty_datagram_is_one_as_well(guard: LoopGuard) -> None:
    guard.heard(got(b"", address=FIRST))
    assert guard.suspects(got(b""))
    assert not guard.suspects(got(b"x"))


def test_of_datagrams_that_came_together_the_first_counts(guard: LoopGuard) -> None:
    guard.heard(got(b"aabbc", 2, address=FIRST))
    assert guard.suspects(got(b"aa"))
    assert guard.suspects(got(b"aaxx", 2))
    assert not guard.suspects(got(b"bb"))


def test_a_long_one_is_known_by_its_size_and_its_head(guard: LoopGuard) -> None:
    head = b"h" * module.HEAD_BYTES
    guard.heard(got(head + b"1", address=FIRST))
    assert guard.suspects(got(head + b"2"))
    assert not guard.suspects(got(head + b"12"))


def test_a_late_copy_is_not_suspect(guard: LoopGuard, loop: Loop) -> None:
    guard.heard(got(b"x", address=FIRST))
    loop.now += module.RECENT_SECONDS - 0.1
    assert guard.suspects(got(b"x"))
    loop.now += 0.2
    assert not guard.suspects(got(b"x"))


def test_nothing_is_suspect_while_the_target_answers(guard: LoopGuard, loop: Loop) -> None:
    guard.answered()
    guard.heard(got(b"x", address=FIRST))
    assert not guard.suspects(got(b"x"))
    loop.now += module.ANSWERED_SECONDS
    guard.heard(got(b"x", address=FIRST))
    assert guard.suspects(got(b"x"))


def test_suspect_peers_of_a_host_may_send_some_copies(guard: LoopGuard, loop: Loop) -> None:
    burst = int(5 * module.COPIES_PER_SECOND)
    train = got(b"x" * (burst - 1), 1)
    assert guard.admits_copies(train)
    assert guard.admits_copies(got(b""))
    assert not guard.admits_copies(got(b"x"))
    assert guard.admits_copies(got(b"x", address=("127.0.0.2", 1)))
    assert guard.admits(got(b"x"))  # another peer
    loop.now += 1.0
    assert not guard.admits_copies(train)


def test_each_host_may_send_some_suspects(guard: LoopGuard, loop: Loop) -> None:
    assert [guard.admits(got(b"x", address=(HERE, port))) for port in range(BURST)] == [True] * 100
    assert not guard.admits(got(b"x"))
    assert guard.admits(got(b"x", address=("127.0.0.2", 1)))
    loop.now += 1.0
    admitted = [guard.admits(got(b"x")) for _ in range(BURST)]
    assert sum(admitted) == module.SUSPECTS_PER_SECOND


def test_all_unix_sockets_are_one_host() -> None:
    assert host("/tmp/x") == host(b"\0name")
    assert host((HERE, 1)) == host((HERE, 2)) != host("/tmp/x")


def test_what_is_remembered_is_bounded(guard: LoopGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECENT", 2)
    monkeypatch.setattr(module, "MAX_HOSTS", 2)
    for data in (b"a", b"b", b"a", b"c"):
        guard.heard(got(data, address=FIRST))
    assert [guard.suspects(got(data)) for data in (b"a", b"b", b"c")] == [True, False, True]
    for number in range(10):
        assert guard.admits(got(b"x", address=(f"127.0.0.{number}", 1)))
    assert len(guard._hosts) == 2
