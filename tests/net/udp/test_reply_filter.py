from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.address import HostPort, UnixPath
from sockkit.events import Event, Notice, Unanswered
from sockkit.net.loop import Loop
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.udp.datagrams import DatagramSocket
from sockkit.net.udp.open import UdpOptions
from sockkit.net.udp.reply_filter import NAMELESS, ReplyFilter
from tests.net import kit
from tests.net.kit import HERE

loop, stack = kit.loop, kit.stack
OTHER = 40_000  # a port that is not ours


def bound(loop: Loop, stack: contextlib.ExitStack, host: str) -> DatagramSocket:
    options = ListenOptions(HostPort(host, 0))
    sock = kit.bound(loop, options)
    stack.callback(sock.close)
    return sock


def answers(sock: DatagramSocket, host: str, port: int | None, *more: int) -> bool:
    """What is asked, with what is told of it held against the answer."""
    events: list[Event] = []
    answerable = ReplyFilter(sock, events.append).answerable((host, port, *more))
    assert [type(event) for event in events] == ([] if answerable else [Unanswered])
    return answerable


@pytest.mark.parametrize("port", [0, 7, 13, 17, 19, 37])
def test_services_that_answer_everything(
    port: int, loop: Loop, stack: contextlib.ExitStack
) -> None:
    sock = bound(loop, stack, HERE)
    assert not answers(sock, "192.0.2.77", port)
    assert answers(sock, "192.0.2.77", port + 1)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255"]
)
def test_where_nothing_can_be_sent(host: str, loop: Loop, stack: contextlib.ExitStack) -> None:
    assert not answers(bound(loop, stack, HERE), host, OTHER)
    wide = bound(loop, stack, "::")
    assert not answers(wide, f"::ffff:{host}", OTHER, 0, 0)
    assert not answers(wide, "ff02::1", OTHER, 0, 0)
    assert not answers(wide, "::", OTHER, 0, 0)


def test_ourselves_at_one_address(loop: Loop, stack: contextlib.ExitStack) -> None:
    sock = bound(loop, stack, HERE)
    assert not answers(sock, HERE, sock.port)
    assert answers(sock, HERE, OTHER)
    assert answers(sock, "192.0.2.77", sock.port)
    six = bound(loop, stack, "::1")
    assert not answers(six, "::1", six.port, 0, 0)
    assert not answers(six, "::1", six.port, 5, 0)  # whatever its flow label
    assert answers(six, "fe80::1", six.port, 0, 3)


def test_ourselves_at_every_address(loop: Loop, stack: contextlib.ExitStack) -> None:
    sock = bound(loop, stack, "0.0.0.0")
    for host in (HERE, "127.1.2.3"):
        assert not answers(sock, host, sock.port)
        assert answers(sock, host, OTHER)
    assert answers(sock, "192.0.2.77", sock.port)
    wide = bound(loop, stack, "::")
    for host in ("::1", f"::ffff:{HERE}", "::ffff:127.1.2.3"):
        assert not answers(wide, host, wide.port, 0, 0)
        assert answers(wide, host, OTHER, 0, 0)
    assert answers(wide, "2001:db8::77", wide.port, 0, 0)
    assert answers(wide, "::ffff:192.0.2.77", wide.port, 0, 0)


def test_every_address_that_this_machine_has(loop: Loop, stack: contextlib.ExitStack) -> None:
    """Also those of a link, with their scope."""
    wide = bound(loop, stack, "::")
    with open("/proc/net/if_inet6") as file:
        lines = [line.split() for line in file]
    assert lines
    for digits, index, *_ in lines:
        host = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
        scope = int(index, 16) if host.startswith("fe80") else 0
        assert not answers(wide, host, wide.port, 0, scope)


def test_a_group_is_heard_at_every_address(loop: Loop, stack: contextlib.ExitStack) -> None:
    options = ListenOptions(HostPort(HERE, 0))
    group = UdpOptions(join="239.1.2.3")
    sock = kit.bound(loop, options, udp=group)
    stack.callback(sock.close)
    assert not answers(sock, HERE, sock.port)
    assert answers(sock, HERE, OTHER)


def test_where_it_is_not_known_nothing_is_answered(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = bound(loop, stack, "0.0.0.0")

    def full(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", full)
    assert not answers(sock, "192.0.2.77", sock.port)


def test_a_unix_socket_is_not_answered_by_itself(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    sock = kit.bound(loop, ListenOptions(UnixPath(f"@{tmp_path}")))
    stack.callback(sock.close)
    events: list[Event] = []
    reply_filter = ReplyFilter(sock, events.append)
    assert reply_filter.answerable(b"\0other")
    assert reply_filter.answerable("/a/path")
    assert not reply_filter.answerable(sock.bound_to)
    assert events == [Unanswered(sock.address, "it seems to come from this program")]


def test_that_a_sender_has_no_address_is_told_once(
    loop: Loop, stack: contextlib.ExitStack, tmp_path: Path
) -> None:
    sock = kit.bound(loop, ListenOptions(UnixPath(f"@{tmp_path}")))
    stack.callback(sock.close)
    events: list[Event] = []
    reply_filter = ReplyFilter(sock, events.append)
    assert [reply_filter.answerable("") for _ in range(3)] == [False] * 3
    assert events == [Notice(NAMELESS)]
