from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from sockkit.core.address import HostPort
from sockkit.core.chat_udp import SignedRoom
from sockkit.events import Event
from sockkit.net.chat_udp import UdpChatServer
from sockkit.net.listen import ListenOptions
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.stdio import Stdio
from sockkit.net.udp import UdpOptions, bind_datagrams
from tests.net import kit
from tests.net.kit import HERE

loop, stack = kit.loop, kit.stack


def test_datagrams_go_to_all_but_their_sender(loop: Loop, stack: contextlib.ExitStack) -> None:
    events: list[Event] = []
    source, sink = kit.source("pipe", stack, Path()), kit.sink("pipe", stack, Path())
    options = ListenOptions(HostPort(HERE, 0))
    sock = bind_datagrams(loop, options, SocketOptions(), UdpOptions(), None, events.append)
    stack.callback(sock.close)
    stdio = Stdio(source.end, sink.end, "utf-8")
    shown = lambda line: f"{line}\n".encode()  # noqa: E731
    server = UdpChatServer(loop, sock, SignedRoom(), stdio, "gbk", shown, events.append)
    one, two = (
        stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
    )
    for member in (one, two):
        member.connect((HERE, sock.port))
        member.setblocking(False)
    wanted = [(one, b"a:"), (two, "小雪:你好".encode("gbk")), (one, b"a:q")]
    got: list[bytes] = []

    def look() -> None:
        if wanted:
            member, data = wanted.pop(0)
            member.send(data)
        with contextlib.suppress(BlockingIOError):
            got.append(one.recv(100))
        if len(got) < 2:
            loop.later(0.01, look)
        else:
            source.far.give(b"enough")

    loop.call_soon(look)
    server.run(lambda _: server.quit())
    sink.release()
    assert got == ["* 小雪 joined".encode("gbk"), "小雪:你好".encode("gbk")]
    assert sink.far.take().decode().startswith("* a joined\n* 小雪 joined\n小雪:你好\n")
