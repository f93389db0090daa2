from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from sockkit.errors import BindError, SockkitError
from sockkit.net.loop import Loop
from sockkit.net.probe import pool as module
from sockkit.net.probe.pool import MAX_AT_ONCE, SPARE_DESCRIPTORS, Pool, most_at_once
from tests.net import kit
from tests.net.probe.site import REFUSED, Attempts, host, no_socket

loop = kit.loop


class Filled:
    """A pool of the ports in `ports`, after the loop has settled."""

    def __init__(self, loop: Loop, ports: Iterable[int], at_once: Any = None) -> None:
        self.loop, self.attempts = loop, Attempts(at_once)
        self.outcomes: dict[int, Any] = {}
        self.failed: list[SockkitError] = []
        self._ports: Iterator[int] = iter(ports)
        self.pool = Pool(
            loop, self.attempts, self._next, self.outcomes.__setitem__, self.failed.append
        )
        self.settle()

    def _next(self) -> Any:
        port = next(self._ports, None)
        return (port, host(port)) if port else None

    def settle(self) -> None:
        self.pool.fill()
        kit.settle(self.loop)

    def end(self, port: int, outcome: float | SockkitError = 0.0) -> None:
        self.attempts.end(port, outcome)
        self.settle()


def test_only_so_many_are_made_at_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AT_ONCE", 3)
    filled = Filled(loop, range(1, 10))
    for port in range(1, 10):
        assert filled.attempts.begun == [*range(1, min(port + 3, 10))]
        filled.end(port, REFUSED if port % 2 else 0.5)
    assert filled.outcomes == {port: REFUSED if port % 2 else 0.5 for port in range(1, 10)}
    assert filled.attempts.most == 3
    assert filled.pool.idle


def test_attempts_that_end_as_they_begin(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand of them are no recursion, and do not keep the loop from anything else."""
    monkeypatch.setattr(module, "MAX_STARTS_PER_TURN", 5)
    ports = range(1, 2001)
    filled = Filled(loop, ports, dict.fromkeys(ports, 0.5))
    assert len(filled.outcomes) < 200  # in twenty turns of the loop
    kit.run_until(loop, lambda: len(filled.outcomes) == 2000)


def test_without_a_socket_it_is_tried_again_with_fewer_at_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_AT_ONCE", 4)
    filled = Filled(loop, range(1, 9))
    filled.end(4, no_socket())
    assert filled.attempts.begun == [1, 2, 3, 4]
    filled.end(3, no_socket())
    filled.end(1)
    assert [*filled.attempts.under_way] == [2, 3]
    for port in (2, 3, 4, 5, 6, 7, 8):
        filled.end(port)
    assert sorted(filled.outcomes) == [*range(1, 9)]
    assert set(filled.outcomes.values()) == {0.0}
    assert filled.failed == []


def test_without_a_socket_for_even_one_it_fails(loop: Loop) -> None:
    filled, error = Filled(loop, [1]), no_socket()
    filled.end(1, error)
    assert (filled.failed, filled.outcomes) == ([error], {})


def test_what_every_attempt_would_meet_ends_all(loop: Loop) -> None:
    filled, error = Filled(loop, [1, 2, 3]), BindError("not our address")
    filled.end(2, error)
    assert (filled.failed, filled.outcomes) == ([error], {})
    assert filled.attempts.cancelled == [1, 3]


def test_after_cancel_nothing_is_called(loop: Loop) -> None:
    filled = Filled(loop, [1, 2])
    on_done = filled.attempts.under_way[1]
    filled.pool.cancel()
    on_done(0.0)
    filled.settle()
    assert filled.outcomes == {}
    assert filled.attempts.cancelled == [1, 2]


def test_an_error_that_is_kept_keeps_nothing_else(loop: Loop) -> None:
    try:
        try:
            raise OSError
        except OSError as cause:
            raise SockkitError("x") from cause
    except SockkitError as error:
        kept = error
    Filled(loop, [1], {1: kept})
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)


def test_how_many_the_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def allowed(limit: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
        return most_at_once()

    opened = len(os.listdir("/proc/self/fd"))
    assert allowed(10_000) == allowed(resource.RLIM_INFINITY) == MAX_AT_ONCE
    assert abs(allowed(128) - (128 - opened - SPARE_DESCRIPTORS)) <= 1
    assert allowed(8) == 1
    monkeypatch.setattr(os, "listdir", lambda _: os.stat("/none"))
    assert allowed(8) == MAX_AT_ONCE  # a system that does not say
