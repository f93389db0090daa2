from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockkit.apps import echo as module
from sockkit.apps.echo import Echo, _TimeoutReporter, run
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.responder import parse_rule
from sockkit.errors import BindError, OutputError, SockkitError, Stopped, UsageError
from sockkit.events import Event, Failure, Listening
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.waiting import Done, Pending
from tests.net import kit
from tests.support import HERE, WAIT, connect, datagrams, few_descriptors, read_exactly

CONFIG = Echo(ListenOptions(HostPort(HERE, 0)), SocketOptions(reuse_address=True))
Clients = Callable[[int], None]


def serve(config: Echo, clients: Clients) -> list[Event]:
    """Run until `clients`, who get the port in another thread, have done; what was said."""
    events: list[Event] = []
    failures: list[BaseException] = []
    threads: list[threading.Thread] = []
    with Loop() as loop, open(os.devnull, "r+b") as null:
        loop.later(kit.WAIT, kit.too_late)

        def come(port: int) -> None:
            try:
                clients(port)
            except BaseException as error:
                failures.append(error)
            loop.call_soon(stop)

        def emit(event: Event) -> None:
            events.append(event)
            if isinstance(event, Listening):
                port = int(event.address.rpartition(":")[2])
                threads.append(threading.Thread(target=come, args=(port,), daemon=True))
                threads[0].start()

        try:
            stdio = Stdio(Input(loop, null.fileno()), Output(loop, null.fileno()), "utf-8")
            with pytest.raises(Stopped):
                run(config, kit.context(loop, stdio, emit))
        finally:
            for thread in threads:
                thread.join(WAIT)
            if failures:
                raise failures[0]
    return events


def stop() -> None:
    raise Stopped(signal.SIGTERM)


def nobody(_: int) -> None:
    raise AssertionError("nobody should come")


def by_tcp(port: int, data: bytes, size: int) -> bytes:
    with connect(port) as sock:
        sock.sendall(data)
        return read_exactly(sock, size)


def by_udp(port: int, data: bytes) -> bytes:
    with datagrams(port) as sock:
        sock.send(data)
        return sock.recv(65536)


def refused(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except ConnectionRefusedError:
        return True
    return False


def test_it_may_have_as_many_descriptors_as_the_system_allows() -> None:
    def client(port: int) -> None:
        assert by_tcp(port, b"x", 1) == b"x"
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)

    with few_descriptors() as most:
        serve(CONFIG, client)


@pytest.mark.parametrize(
    ("tcp", "udp", "expected"),
    [
        (False, False, (True, True)),
        (True, True, (True, True)),
        (True, False, (True, False)),
        (False, True, (False, True)),
    ],
)
def test_tcp_and_udp_on_one_number(tcp: bool, udp: bool, expected: tuple[bool, bool]) -> None:
    served = []

    def clients(port: int) -> None:
        served.append(not refused(lambda: by_tcp(port, b"x", 1)))
        served.append(not refused(lambda: by_udp(port, b"x")))

    events = serve(CONFIG._replace(tcp=tcp, udp=udp), clients)
    assert tuple(served) == expected
    assert sum(isinstance(event, Listening) for event in events) == 1


@pytest.mark.parametrize("upper", [False, True])
def test_rules_then_capitals(upper: bool, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("# later\nsleep=zzz\nre:^(.)$=\\1\\1\n*ing=never\n")
    rules = (parse_rule("p?ng=pong", regex=False), parse_rule("^p=other", regex=True))
    config = CONFIG._replace(rules=rules, rules_file=str(tmp_path / "rules"), upper=upper)

    def clients(port: int) -> None:
        assert by_tcp(port, b"ping\nsleep\n", 9) == b"pong\nzzz\n"
        assert by_udp(port, b"put") == b"other"
        assert by_udp(port, "é".encode()).decode() == "éé"
        assert by_udp(port, b"else") == (b"ELSE" if upper else b"else")

    serve(config, clients)


def test_a_pattern_that_takes_too_long_is_named_once() -> None:
    events: list[Event] = []
    rules = [parse_rule(text, regex=True) for text in ("(a+)+$=1", "(b+)+$=2")]
    timed_out = _TimeoutReporter(rules, events.append)
    for rule in (*rules, *rules):
        timed_out.tell(rule)
    assert [event.text.split(" ")[0] for event in kit.of_kind(events, Failure)] == [
        "'(a+)+$'",
        "'(b+)+$'",
    ]


def test_an_encoding() -> None:
    rules = (parse_rule("你好=谢谢", regex=False),)
    config = CONFIG._replace(encoding="gbk", rules=rules, greet="在")

    def clients(port: int) -> None:
        assert by_tcp(port, "你好\n".encode("gbk"), 7) == "在谢谢\n".encode("gbk")
        assert by_udp(port, "你好".encode("gbk")) == "谢谢".encode("gbk")

    serve(config, clients)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG._replace(encoding="gbk", greet="👋"),
        CONFIG._replace(encoding="gbk", rules=(parse_rule("hi=👋", regex=False),)),
    ],
    ids=["greet", "reply"],
)
def test_what_cannot_be_said_is_told_before_it_listens(config: Echo) -> None:
    with pytest.raises(SockkitError, match="gbk"):
        serve(config, nobody)


def test_the_port_file_is_there_while_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "port"

    def clients(port: int) -> None:
        assert path.read_text() == f"{port}\n"

    serve(CONFIG._replace(port_file=str(path)), clients)
    assert not path.exists()


def test_a_port_file_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="none"):
        serve(CONFIG._replace(port_file=str(tmp_path / "none" / "port")), nobody)


@pytest.mark.parametrize(("busy", "other"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_number_that_one_of_both_cannot_have(busy: str, other: str) -> None:
    with socket.create_server((HERE, 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind((HERE, port))
        (udp if busy == "tcp" else tcp).close()
        config = CONFIG._replace(listen=ListenOptions(HostPort(HERE, port)))
        with pytest.raises(BindError, match="in use"):
            serve(config, nobody)
        serve(config._replace(**{other: True}), lambda _: None)  # it was let go


def test_any_number_is_one_that_both_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system chooses for TCP; the first choices are taken for UDP."""
    real, calls = module.bind_datagrams, []

    def bind(*arguments: Any) -> Pending:
        calls.append(arguments)
        if len(calls) <= 3:
            arguments[-1](BindError("taken"))
            return Done()
        return real(*arguments)

    monkeypatch.setattr(module, "bind_datagrams", bind)
    before = len(os.listdir("/proc/self/fd"))
    serve(CONFIG, lambda port: None if by_udp(port, b"x") == b"x" else pytest.fail("no echo"))
    assert len(calls) == 4
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_unix_address(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    config = CONFIG._replace(listen=ListenOptions(UnixPath(path)))
    with pytest.raises(UsageError, match="UDP"):
        serve(config, nobody)
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a=b\nno rule\n", "line 2: 'no rule'"),
        (b"\xff=x\n", "not UTF-8"),
        (None, "could not read"),
    ],
)
def test_a_file_of_rules_that_cannot_be(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rules"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        serve(CONFIG._replace(rules_file=str(path)), nobody)
    assert str(path) in str(caught.value)
