"""Hosts and ports: from names to endpoints. No name leaves this machine.

What a failed bind says is in tests/net/tcp/test_listen.py.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import ResolveError, SockkitError, TimedOut
from sockkit.net import internet as module
from sockkit.net.endpoint import Endpoint
from sockkit.net.internet import bind_error, look_up
from sockkit.net.loop import Loop
from sockkit.net.openers import resolve
from sockkit.net.waiting import Pending
from tests.net import kit
from tests.net.kit import HERE, run_until

loop = kit.loop

Answer = list[Endpoint] | SockkitError
ANY = socket.AF_UNSPEC
V4, V6 = socket.AF_INET, socket.AF_INET6
FOUND = [Endpoint(V4, (HERE, 80))]


def book(monkeypatch: pytest.MonkeyPatch, entries: dict[str, list[tuple[int, Any]]]) -> list[int]:
    """Answer names from `entries`; the list tells which thread asked."""
    asked: list[int] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: bytes | str, port: int, *more: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if more[3] & socket.AI_NUMERICHOST:
            return real(host, port, *more)
        asked.append(threading.get_ident())
        if name not in entries:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, socket.SOCK_STREAM, 6, "", found) for family, found in entries[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


class Asker:
    """Looks up hosts, and keeps what was told."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.told: list[Answer] = []
        self.threads: list[int] = []

    def asks(self, host: str, timeout: float | None = None) -> Pending:
        address = HostPort(host, 80)
        return resolve(kit.context(self.loop), address, ANY, self._done, timeout)

    def _done(self, answer: Answer) -> None:
        self.told.append(answer)
        self.threads.append(threading.get_ident())


@pytest.fixture
def asker(loop: Loop) -> Asker:
    return Asker(loop)


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("127.0.0.1", Endpoint(V4, ("127.0.0.1", 80))),
        ("::1", Endpoint(V6, ("::1", 80, 0, 0))),
        ("::ffff:127.0.0.1", Endpoint(V6, ("::ffff:127.0.0.1", 80, 0, 0))),
    ],
)
def test_a_number_is_answered_at_once_without_a_thread(
    host: str, endpoint: Endpoint, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object) -> None:
        raise AssertionError("a thread for a number")

    monkeypatch.setattr(module, "start_new_thread", no_thread)
    asker.asks(host, 1.0)
    assert asker.told == [[endpoint]]


def test_a_name_is_asked_for_in_a_thread_and_answered_in_the_loops(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = book(monkeypatch, {"here": [(V4, (HERE, 80))]})
    asker.asks("here")
    assert asker.told == []
    run_until(asker.loop, lambda: bool(asker.told))
    assert (asker.told, asker.threads) == ([FOUND], [threading.get_ident()])
    assert len(asked) == 1
    assert threading.get_ident() not in asked


def test_many_names_are_asked_for_side_by_side(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"host-{number}" for number in range(50)]
    together = threading.Barrier(len(names), timeout=kit.WAIT)
    number = socket.getaddrinfo

    def getaddrinfo(host: bytes, port: int, *more: Any) -> Any:
        if more[3]:
            return number(host, port, *more)
        together.wait()  # nobody goes on until all of them are asked for
        return number(f"127.0.0.{host.decode().partition('-')[2]}", port, *more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in names:
        asker.asks(name)
    run_until(asker.loop, lambda: len(asker.told) == len(names))
    found = {str(answer[0]) for answer in asker.told if isinstance(answer, list)}
    assert found == {f"127.0.0.{number}:80" for number in range(50)}


def test_a_name_nobody_knows_is_an_answer_too(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(monkeypatch, {})
    asker.asks("nowhere.invalid")
    run_until(asker.loop, lambda: bool(asker.told))
    (answer,) = asker.told
    assert isinstance(answer, ResolveError)
    assert str(answer) == (
        "could not resolve nowhere.invalid: Name or service not known: "
        "check the name, or give an IP address"
    )


def test_a_number_of_an_address_that_is_too_large_is_named(asker: Asker) -> None:
    asker.asks("192.168.1.300")
    run_until(asker.loop, lambda: bool(asker.told))
    why = "it is not an IPv4 address: give four numbers of 0 to 255"
    assert str(asker.told[0]) == f"could not resolve 192.168.1.300: {why}"


def test_a_system_without_another_thread_is_an_answer_too(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    book(monkeypatch, {})
    monkeypatch.setattr(module, "start_new_thread", none)
    asker.asks("slow", 1.0)
    assert [type(answer) for answer in asker.told] == [ResolveError]


Late = list[Callable[[], None]]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Late:
    """What a resolver's threads would do, for a test to do it: the answer is FOUND."""
    late: Late = []
    book(monkeypatch, {"slow": [(V4, (HERE, 80))]})
    monkeypatch.setattr(
        module, "start_new_thread", lambda ask, given: late.append(lambda: ask(*given))
    )
    return late


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("end", ["timeout", "cancel"])
def test_an_answer_that_comes_too_late_is_nobodys(
    end: str, known: bool, asker: Asker, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(asker.loop, monkeypatch)
    search = asker.asks("slow" if known else "nowhere.invalid", 5.0)
    if end == "cancel":
        search.cancel()
    kit.run_for(asker.loop, 6.0)
    told = list(map(str, asker.told))
    name = "slow" if known else "nowhere.invalid"
    expected = [f"could not resolve {name}: no answer within 5 s"] if end == "timeout" else []
    assert told == expected
    kinds = [(type(answer), answer.kind) for answer in asker.told]
    assert kinds == ([(TimedOut, "not resolved: no answer")] if expected else [])
    late[0]()
    kit.settle(asker.loop)
    assert list(map(str, asker.told)) == told


def test_an_answer_on_its_way_is_not_told_after_a_cancel(asker: Asker, late: Late) -> None:
    search = asker.asks("slow", 5.0)
    late[0]()
    search.cancel()
    search.cancel()
    kit.settle(asker.loop)
    assert asker.told == []


def test_an_answer_in_time_is_told_once_and_leaves_no_timer(
    asker: Asker, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(asker.loop, monkeypatch)
    asker.asks("slow", 5.0)
    late[0]()
    kit.run_for(asker.loop, 1.0)
    callbacks = [timer.callback for timer in asker.loop._timers if timer.callback]
    assert not [each for each in callbacks if each.__module__ == module.__name__]
    kit.run_for(asker.loop, 60.0)
    assert asker.told == [FOUND]


@pytest.mark.parametrize("told", ["at once", "later"])
def test_an_error_of_who_is_told_is_no_answer(
    told: str, loop: Loop, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised to the loop, and nobody is asked or told again."""
    answers: list[Answer] = []

    def done(answer: Answer) -> None:
        answers.append(answer)
        raise ResolveError("of its own")

    host = HERE if told == "at once" else "slow"

    def ask() -> None:
        resolve(kit.context(loop), HostPort(host, 80), ANY, done)
        late[0]()
        loop.run()

    with pytest.raises(ResolveError, match="of its own"):
        ask()
    assert answers == [FOUND]
    assert len(late) == (told == "later")


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300, "ü" * 300, "a..ü", "127.0.0.1.1"])
def test_what_has_no_address_is_a_resolve_error(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host.endswith("invalid") or host[0] in "x1":
        book(monkeypatch, {})
    with pytest.raises(ResolveError, match="could not resolve") as caught:
        look_up(HostPort(host, 80), ANY)
    assert caught.value.__cause__ is not None


def test_the_other_family_is_a_resolve_error() -> None:
    with pytest.raises(ResolveError, match="it is not an IPv6 address: leave out -6"):
        look_up(HostPort("127.0.0.1", 80), V6)


def test_each_address_comes_once_in_the_resolvers_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(V6, ("::1", 80, 0, 0)), (V4, ("127.0.0.1", 80)), (V6, ("::1", 80, 0, 0))]
    book(monkeypatch, {"twice": found})
    assert look_up(HostPort("twice", 80), ANY) == [Endpoint(*each) for each in found[:2]]


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("COM3", "serial lines are not supported, use socat or picocom"),
        ("com12", "serial lines are not supported, use socat or picocom"),
        ("com", "check the name, or give an IP address"),
        ("192.168.1", "give four numbers of 0 to 255"),
    ],
)
def test_what_to_do_about_a_name(host: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ResolveError) as caught:
        look_up(HostPort(host, 80), socket.AF_UNSPEC)
    assert caught.value.hint == hint


def test_a_link_local_address_needs_its_interface() -> None:
    error = bind_error(OSError(errno.EINVAL, "x"), HostPort("fe80::1", 80), "tcp")
    assert error.hint == "add its interface, as in fe80::1%eth0"
