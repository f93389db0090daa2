"""One lookup of a host, whoever asks for it and however often."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import ResolveError, SockkitError, TimedOut
from sockkit.net import lookups as module
from sockkit.net.endpoint import Endpoint
from sockkit.net.lookups import Lookups
from sockkit.net.loop import Loop
from sockkit.net.waiting import Done, Pending, wait_for
from tests.net import kit

loop = kit.loop

V4 = socket.AF_INET
ANSWER = [Endpoint(V4, ("10.0.0.7", 1)), Endpoint(socket.AF_INET6, ("fe80::7", 1, 0, 3))]


class Resolver:
    """Answers in place of the system, when it is told to."""

    def __init__(self, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        self._loop = loop
        self.context = kit.context(loop)
        monkeypatch.setattr(module, "resolve", self._resolve)

    def _resolve(self, _: object, address: Address, __: int, on_done: Any, *___: Any) -> Pending:
        self.asked.append((address, on_done))
        return Done()

    def answer(self, outcome: list[Endpoint] | SockkitError) -> None:
        self.asked[-1][1](outcome)


@pytest.fixture
def resolver(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(loop, monkeypatch)


def ask(
    lookups: Lookups, resolver: Resolver, address: Address, timeout: float | None = None
) -> tuple[list[Any], Pending]:
    got: list[Any] = []
    work = lookups.resolve(resolver.context, address, V4, got.append, timeout)
    return got, work


def test_all_ports_of_a_host_share_a_lookup(resolver: Resolver) -> None:
    lookups = Lookups(10)
    waiting = [ask(lookups, resolver, HostPort(name, port))[0] for name, port in
               [("db", 1), ("DB", 2)]]  # fmt: skip
    assert len(resolver.asked) == 1
    resolver.answer(ANSWER)
    for port, got in enumerate(waiting, 1):
        assert got == [[Endpoint(V4, ("10.0.0.7", port)),
                        Endpoint(socket.AF_INET6, ("fe80::7", port, 0, 3))]]  # fmt: skip
    assert ask(lookups, resolver, HostPort("db", 9))[0][0][0].address == ("10.0.0.7", 9)
    assert len(resolver.asked) == 1
    ask(lookups, resolver, HostPort("other", 1))
    lookups.resolve(resolver.context, HostPort("db", 1), socket.AF_INET6, print, None)
    assert len(resolver.asked) == 3


def test_a_failure_is_remembered_too(resolver: Resolver, loop: Loop) -> None:
    lookups, error = Lookups(10), ResolveError("no such name")
    first, _ = ask(lookups, resolver, HostPort("db", 1))
    assert not lookups.knows(loop, HostPort("db", 2), V4)
    resolver.answer(error)
    assert first == ask(lookups, resolver, HostPort("db", 2))[0] == [error]
    assert lookups.knows(loop, HostPort("db", 2), V4)


def test_an_answer_is_forgotten_after_its_lifetime(
    resolver: Resolver, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = Lookups(0.5)
    ask(lookups, resolver, HostPort("db", 1))
    resolver.answer(ResolveError("no such name"))
    kit.skip_time(loop, monkeypatch)
    kit.run_for(loop, 0.6)
    got, _ = ask(lookups, resolver, HostPort("db", 1))
    assert (got, len(resolver.asked)) == ([], 2)
    resolver.answer(ANSWER)
    assert len(got) == 1


def test_a_resolver_that_hangs_costs_one_lookup(
    resolver: Resolver, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(loop, monkeypatch)
    lookups = Lookups(0.5)
    first, _ = ask(lookups, resolver, HostPort("db", 1), 3)
    second, _ = ask(lookups, resolver, HostPort("db", 2), 9)
    kit.run_for(loop, 3)
    assert [type(got[0]) for got in (first, second)] == [TimedOut, TimedOut]
    assert str(first[0]) == "could not resolve db: no answer within 3 s"
    assert first[0].kind == "not resolved: no answer"
    assert ask(lookups, resolver, HostPort("db", 3))[0] == first  # without waiting as long
    kit.run_for(loop, 1)
    late, _ = ask(lookups, resolver, HostPort("db", 4), 9)
    assert (late, len(resolver.asked)) == ([], 1)
    resolver.answer(ANSWER)
    assert late[0][0].address == ("10.0.0.7", 4)
    kit.run_for(loop, 10)
    assert len(late) == 1


def test_who_has_cancelled_is_told_nothing(resolver: Resolver, loop: Loop) -> None:
    lookups = Lookups(10)
    first, work = ask(lookups, resolver, HostPort("db", 1), 0.01)
    second, _ = ask(lookups, resolver, HostPort("db", 2))
    work.cancel()
    kit.run_for(loop, 0.05)
    resolver.answer(ANSWER)
    assert (len(first), len(second)) == (0, 1)


def test_real_names_numbers_and_paths(loop: Loop) -> None:
    lookups, run = Lookups(10), kit.context(loop)
    for host in ("127.0.0.1", "localhost"):
        for port in (80, 81):
            finding = partial(lookups.resolve, run, HostPort(host, port), V4)
            assert wait_for(loop, finding) == [Endpoint(V4, ("127.0.0.1", port))]
    assert lookups.knows(loop, UnixPath("/x"), V4)
    finding = partial(lookups.resolve, run, UnixPath("/x"), V4)
    assert wait_for(loop, finding) == [Endpoint(socket.AF_UNIX, "/x")]
