"""What a member of a room over UDP says and hears; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sockkit.apps.chat_join import ChatJoin
from sockkit.apps.chat_join_udp import RoomMessages, run
from sockkit.apps.datagrams import DatagramOptions
from sockkit.core.address import HostPort
from sockkit.core.text import TextOptions
from sockkit.errors import SendError, SockkitError, UsageError
from sockkit.events import Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from tests.net import kit
from tests.net.kit import HERE

loop, stack = kit.loop, kit.stack
PEER = Peer(0, "there")
REFUSED = b"* too fast: your messages are dropped until you slow down"


class End(NamedTuple):
    terminal: bool = False


def messages(encoding: str = "utf-8", loop: Loop | None = None) -> RoomMessages:
    ends: Any = End(), End()
    on: Any = loop
    options = DatagramOptions(TextOptions(encoding), name="小雪")
    return RoomMessages(options, kit.context(on, Stdio(*ends, "utf-8")), many=False)


def test_first_and_last_words_are_signed() -> None:
    made = messages("gbk")
    assert (made.hello, made.good_bye) == ("小雪:".encode("gbk"), "小雪:/quit".encode("gbk"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([b"a", b"b"], [b"a", b"b"]),
        ([b"a", b"q", b"b"], [b"a"]),
        ([b"/quit"], []),
        ([b"a", b"/quit", b"q"], [b"a"]),
        ([b"a", b"q", b"/quit"], [b"a"]),
        ([b"q ", b"quit", b""], [b"q ", b"quit", b""]),
    ],
)
def test_a_quit_word_ends_the_input(lines: list[bytes], said: list[bytes]) -> None:
    assert messages().before_quit(lines) == said


def test_the_first_refusal_is_remembered(loop: Loop) -> None:
    made = messages(loop=loop)
    assert made.show(PEER, "b:* 小雪 is taken".encode()) == "b:* 小雪 is taken\n".encode()
    assert made.refused is None
    made.show(PEER, b"* the room is full\n")
    first = made.refused
    assert type(first) is SockkitError
    made.show(PEER, REFUSED)
    assert made.refused is first
    with pytest.raises(SockkitError, match="the room is full"):
        loop.run()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_refusal_is_an_error_where_nobody_saw_it(
    terminal: bool, loop: Loop, stack: contextlib.ExitStack
) -> None:
    room = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    room.bind((HERE, 0))
    room.settimeout(kit.WAIT)
    heard: list[bytes] = []

    def refuse() -> None:
        hello, address = room.recvfrom(100)
        room.sendto(REFUSED, address)
        heard.extend((hello, room.recv(100)))

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
    source.end.terminal = terminal
    source.far.give(b"q\nnot said\n")
    context = kit.context(loop, Stdio(source.end, sink.end, "utf-8"))
    address = HostPort(HERE, room.getsockname()[1])
    config = ChatJoin(address, ConnectOptions(), SocketOptions(), name="a", udp=True)
    with contextlib.nullcontext() if terminal else pytest.raises(SendError):
        run(config, context)
    thread.join(kit.WAIT)
    assert heard == [b"a:", b"a:/quit"]
    sink.release()
    assert sink.far.take() == REFUSED + b"\n"


@pytest.mark.parametrize(
    ("given", "option"), [({"password": "x"}, "--password"), ({"reconnect": True}, "--reconnect")]
)
def test_what_a_room_over_udp_has_not(given: dict[str, Any], option: str) -> None:
    nothing: Any = None
    config = ChatJoin(HostPort(HERE, 9), ConnectOptions(), SocketOptions(), udp=True, **given)
    with pytest.raises(UsageError, match=f"{option} cannot be used with --udp: remove one of them"):
        run(config, kit.context(nothing))


def test_nobody_signs_with_a_name_that_was_not_given() -> None:
    nothing: Any = None
    config = ChatJoin(HostPort(HERE, 9), ConnectOptions(), SocketOptions(), udp=True)
    with pytest.raises(UsageError, match="a room over UDP needs your name: give --name NAME"):
        run(config, kit.context(nothing))
