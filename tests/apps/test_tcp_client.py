from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from queue import SimpleQueue

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.tcp_client import TcpClient, run
from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.core.text import TextOptions
from sockkit.errors import ConnectError, ReceiveError, TextError, TimedOut
from sockkit.events import Connected, Event, InputEnded, PeerEnded, StreamTotal, Waiting
from sockkit.net import waiting
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from tests.net import kit
from tests.support import HERE, WAIT, peer, read_all, reset

BYTES = TextOptions()


class Client:
    """Runs a client; its standard streams are files in `path`."""

    def __init__(self, path: Path) -> None:
        self._input, self._output = path / "in", path / "out"
        self.events: list[Event] = []

    def run(
        self, address: Address, data: bytes, text: TextOptions = BYTES, timeout: float = 10.0
    ) -> None:
        self._input.write_bytes(data)
        connect, conversation = ConnectOptions(timeout), ConversationOptions(text)
        config = TcpClient(address, connect, SocketOptions(), conversation)
        with self._input.open("rb") as given, self._output.open("wb") as got, Loop() as loop:
            loop.later(kit.WAIT, kit.too_late)
            stdio = Stdio(Input(loop, given.fileno()), Output(loop, got.fileno()), "utf-8")
            run(config, kit.context(loop, stdio, self.events.append))

    @property
    def output(self) -> bytes:
        return self._output.read_bytes()

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_a_conversation(client: Client) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(read_all(sock).upper())

    with peer(serve) as port:
        client.run(HostPort(HERE, port), b"hello")
    assert client.output == b"HELLO"
    kinds = client.kinds()
    assert kinds.index(Connected) < kinds.index(InputEnded) < kinds.index(PeerEnded)
    moved = [event for event in client.events if isinstance(event, StreamTotal)]
    assert [(event.direction, event.size) for event in moved] == [("sent", 5), ("received", 5)]


def test_text(client: Client) -> None:
    def serve(sock: socket.socket) -> None:
        assert read_all(sock) == "你好\r\n".encode("gbk")
        sock.sendall("谢谢".encode("gbk"))

    with peer(serve) as port:
        client.run(HostPort(HERE, port), "你好\n".encode(), TextOptions("gbk", crlf=True))
    assert client.output.decode() == "谢谢"


def test_a_long_wait_for_a_connection_is_explained(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WONDER_SECONDS", 0.01)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HERE, 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):  # more than its backlog holds
            each = stack.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(address)
        with pytest.raises(TimedOut):
            client.run(HostPort(*address), b"", timeout=0.5)
    told = f"still connecting to 127.0.0.1 port {address[1]} (-w SECONDS gives up sooner)"
    assert [event for event in client.events if isinstance(event, Waiting)] == [Waiting(told)]


def test_nobody_answers(client: Client) -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match=f"port {port}: connection refused"):
        client.run(HostPort(HERE, port), b"")
    assert client.output == b""


def test_no_such_socket(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=str(tmp_path)):
        client.run(UnixPath(str(tmp_path / "none")), b"")


def test_a_reset(client: Client) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"abc")
        assert read_all(sock) == b""
        reset(sock)

    with peer(serve) as port, pytest.raises(ReceiveError, match="received 3 bytes"):
        client.run(HostPort(HERE, port), b"")
    assert client.output == b"abc"


def test_text_that_cannot_be_sent(client: Client) -> None:
    heard: SimpleQueue[bytes] = SimpleQueue()
    with peer(lambda sock: heard.put(read_all(sock))) as port:
        with pytest.raises(TextError, match=r"U\+1F44B"):
            client.run(HostPort(HERE, port), "好👋".encode(), TextOptions("gbk"))
        assert heard.get(timeout=WAIT) == "好".encode("gbk")  # and the end: it was closed
