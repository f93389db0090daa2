"""From names to endpoints, and back to words. No name leaves this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import ResolveError, Stopped, TimedOut
from sockkit.net import resolve as module
from sockkit.net.loop import Loop
from sockkit.net.resolve import (
    Endpoint,
    resolve,
    resolve_on,
    resolve_soon,
    service_port,
    show_address,
    unix_endpoint,
)
from tests.net import kit
from tests.net.kit import HERE, run_for

loop = kit.loop

Answer = list[Endpoint] | ResolveError
ANY = socket.AF_UNSPEC
V4, V6 = socket.AF_INET, socket.AF_INET6


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


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("127.0.0.1", Endpoint(V4, ("127.0.0.1", 80))),
        ("::1", Endpoint(V6, ("::1", 80, 0, 0))),
        ("::ffff:127.0.0.1", Endpoint(V6, ("::ffff:127.0.0.1", 80, 0, 0))),
    ],
)
def test_a_number_is_answered_at_once_without_a_thread(
    host: str, endpoint: Endpoint, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object, **__: object) -> None:
        raise AssertionError("a thread for a number")

    monkeypatch.setattr(threading, "Thread", no_thread)
    answers: list[Answer] = []
    resolve_soon(loop, HostPort(host, 80), ANY, answers.append)
    assert answers == [[endpoint]]


def test_a_name_is_asked_for_in_a_thread_and_answered_in_the_loops(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = book(monkeypatch, {"here": [(V4, ("127.0.0.1", 80))]})
    answers: list[tuple[Answer, int]] = []

    def done(answer: Answer) -> None:
        answers.append((answer, threading.get_ident()))
        loop.stop()

    resolve_soon(loop, HostPort("here", 80), ANY, done)
    assert answers == []
    loop.run()
    assert answers == [([Endpoint(V4, ("127.0.0.1", 80))], threading.get_ident())]
    assert len(asked) == 1
    assert threading.get_ident() not in asked


def test_the_bound_on_a_resolver_that_has_answered_is_no_bound_on_what_comes_next(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(monkeypatch, {"here": [(V4, (HERE, 80))]})
    assert resolve_on(loop, HostPort("here", 80), ANY, timeout=5.0) == [Endpoint(V4, (HERE, 80))]
    kit.skip_time(loop, monkeypatch)
    began = loop.now
    run_for(loop, 60.0)
    assert loop.now - began >= 60


def test_a_name_nobody_knows_is_an_answer_too(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    book(monkeypatch, {})
    answers: list[Answer] = []

    def done(answer: Answer) -> None:
        answers.append(answer)
        loop.stop()

    resolve_soon(loop, HostPort("nowhere.invalid", 80), ANY, done)
    loop.run()
    assert isinstance(answers[0], ResolveError)
    assert str(answers[0]) == "could not resolve nowhere.invalid: Name or service not known"


Asked = list[Callable[[Answer], None]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What a resolver is to call, whose answers a test gives."""
    asked: Asked = []
    monkeypatch.setattr(module, "resolve_soon", lambda _l, _a, _f, done, **_: asked.append(done))
    return asked


def goes_on(loop: Loop, seconds: float = 0.0) -> bool:
    """Whether nobody else ends the loop's next run."""
    ours: list[bool] = []

    def end() -> None:
        ours.append(True)
        loop.stop()

    loop.later(seconds, lambda: loop.call_soon(end))
    loop.run()
    return bool(ours)


@pytest.mark.parametrize("end", ["timeout", "signal"])
@pytest.mark.parametrize("answer", [[Endpoint(V4, ("127.0.0.1", 80))], ResolveError("none")])
def test_an_answer_that_comes_too_late_is_nobodys(
    answer: Answer, end: str, asked: Asked, loop: Loop
) -> None:
    def stop() -> None:
        raise Stopped(15)

    if end == "signal":
        loop.later(0.01, stop)
    with pytest.raises(Stopped if end == "signal" else TimedOut):
        resolve_on(loop, HostPort("slow", 80), ANY, timeout=1.0 if end == "signal" else 0.01)
    loop.call_soon(lambda: asked[0](answer))
    assert goes_on(loop)


def test_an_answer_in_time_leaves_no_timer(asked: Asked, loop: Loop) -> None:
    found = [Endpoint(V4, ("127.0.0.1", 80))]
    loop.call_soon(lambda: asked[0](found))
    assert resolve_on(loop, HostPort("slow", 80), ANY, timeout=0.03) == found
    assert goes_on(loop, 0.05)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300, "ü" * 300, "a..ü", "127.0.0.1.1"])
def test_what_has_no_address_is_a_resolve_error(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host.endswith("invalid") or host[0] in "x1":
        book(monkeypatch, {})
    with pytest.raises(ResolveError, match="could not resolve") as caught:
        resolve(HostPort(host, 80), ANY)
    assert caught.value.__cause__ is not None


def test_the_other_family_is_a_resolve_error() -> None:
    with pytest.raises(ResolveError):
        resolve(HostPort("127.0.0.1", 80), V6)


def test_each_address_comes_once_in_the_resolvers_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(V6, ("::1", 80, 0, 0)), (V4, ("127.0.0.1", 80)), (V6, ("::1", 80, 0, 0))]
    book(monkeypatch, {"twice": found})
    assert resolve(HostPort("twice", 80), ANY) == [Endpoint(*each) for each in found[:2]]


@pytest.mark.parametrize(
    ("path", "address", "shown"),
    [
        ("/tmp/here", "/tmp/here", "unix:/tmp/here"),
        ("relative", "relative", "unix:relative"),
        ("@name", b"\0name", "unix:@name"),
        ("@n\udcff", b"\0n\xff", "unix:@n\udcff"),
    ],
)
def test_unix_endpoints(path: str, address: object, shown: str) -> None:
    endpoint = unix_endpoint(UnixPath(path))
    assert endpoint == Endpoint(socket.AF_UNIX, address)
    assert str(endpoint) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("10.0.0.7", 51234), "10.0.0.7:51234"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("::ffff:10.0.0.7", 80, 0, 0), "10.0.0.7:80"),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1%eth0]:80"),
        (("64:ff9b::10.0.0.7", 80, 0, 0), "[64:ff9b::10.0.0.7]:80"),
    ],
)
def test_a_mapped_address_is_shown_as_ipv4(address: Any, shown: str) -> None:
    assert show_address(address) == shown


def test_services(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(name: str, protocol: str) -> int:
        if (name, protocol) != ("http", "tcp"):
            raise OSError("service/proto not found")
        return 80

    monkeypatch.setattr(socket, "getservbyname", known)
    assert (service_port("http"), service_port("htp")) == (80, None)
