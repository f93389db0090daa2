from __future__ import annotations

import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.tcp_server import TcpServer, run
from sockkit.core.address import HostPort
from sockkit.core.ending import HalfClose, Until
from sockkit.core.text import TextOptions
from sockkit.errors import BindError, OutputError, Stopped, TextError, UsageError
from sockkit.events import Connected, Event, Listening
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions
from tests.net import kit
from tests.support import HERE, WAIT, connect, few_descriptors, read_all, read_exactly

CONVERSATION = ConversationOptions(TextOptions())
CONFIG = TcpServer(
    ListenOptions(HostPort(HERE, 0)),
    SocketOptions(reuse_address=True),
    CONVERSATION,
    slow_timeout=WAIT,
)
ONCE = CONFIG._replace(once=True)
Clients = Callable[[int], None]


class Server:
    """Runs a server; its standard streams are files in `path`."""

    def __init__(self, path: Path) -> None:
        self._input, self._output = path / "in", path / "out"
        self._input.touch()
        self.events: list[Event] = []
        self._failures: list[BaseException] = []

    def run(self, config: TcpServer, clients: Clients, data: bytes = b"") -> None:
        """`clients` gets the port in another thread; a server of many is stopped after it."""
        self._input.write_bytes(data)
        with self._input.open("rb") as given, self._output.open("wb") as got, Loop() as loop:
            loop.later(kit.WAIT, kit.too_late)

            def come(port: int) -> None:
                try:
                    clients(port)
                except BaseException as error:
                    self._failures.append(error)
                if not config.once:
                    loop.call_soon(stop)

            def emit(event: Event) -> None:
                self.events.append(event)
                if isinstance(event, Listening):
                    port = int(event.address.rpartition(":")[2])
                    thread.append(threading.Thread(target=come, args=(port,), daemon=True))
                    thread[0].start()

            thread: list[threading.Thread] = []
            stdio = Stdio(Input(loop, given.fileno()), Output(loop, got.fileno()), "utf-8")
            try:
                run(config, kit.context(loop, stdio, emit))
                assert config.once
            except Stopped:
                assert not config.once
            finally:
                for one in thread:
                    one.join(WAIT)
                if self._failures:
                    raise self._failures[0]

    @property
    def output(self) -> bytes:
        return self._output.read_bytes()


def stop() -> None:
    raise Stopped(signal.SIGTERM)


def nobody(_: int) -> None:
    raise AssertionError("nobody should come")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_once(server: Server) -> None:
    def client(port: int) -> None:
        with connect(port) as sock:
            assert read_exactly(sock, 5) == b"hello"
            with pytest.raises(ConnectionRefusedError):  # the one is served, nobody else
                connect(port)
            sock.sendall(b"answer")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""

    server.run(ONCE, client, data=b"hello")
    assert server.output == b"answer"


def test_once_with_all_that_is_said(server: Server) -> None:
    ports: list[int] = []

    def client(port: int) -> None:
        with connect(port) as sock:
            ports.append(sock.getsockname()[1])
            assert read_exactly(sock, 4) == "你好".encode("gbk")
            sock.sendall("在吗".encode("gbk"))
            assert read_all(sock) == "在".encode("gbk")

    conversation = ConversationOptions(TextOptions("gbk"), greet="你好", reply="在")
    server.run(ONCE._replace(conversation=conversation, label=True), client, data=b"not read")
    assert server.output.decode() == f"[1 {HERE}:{ports[0]}] 在吗\n"


def test_many_at_once(server: Server) -> None:
    def clients(port: int) -> None:
        with connect(port) as first, connect(port) as second:
            for sock in (second, first):
                assert read_exactly(sock, 2) == b"hi"
                sock.sendall(b"1\n")
                assert read_exactly(sock, 2) == b"ho"

    conversation = CONVERSATION._replace(greet="hi", reply="ho")
    server.run(CONFIG._replace(conversation=conversation), clients)
    assert server.output == b"1\n1\n"
    assert sum(isinstance(event, Connected) for event in server.events) == 2


def test_many_may_have_as_many_descriptors_as_the_system_allows(server: Server) -> None:
    def client(port: int) -> None:
        with connect(port) as sock:
            assert read_exactly(sock, 2) == b"hi"
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)

    with few_descriptors() as most:
        server.run(CONFIG._replace(conversation=CONVERSATION._replace(greet="hi")), client)


def test_standard_input_goes_to_who_is_there(server: Server) -> None:
    def clients(port: int) -> None:
        with connect(port) as sock:
            assert read_exactly(sock, 8) == "你好\r\n\r\n".encode("gbk")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""  # standard input has ended: this client may leave

    conversation = ConversationOptions(TextOptions("gbk", crlf=True))
    server.run(CONFIG._replace(conversation=conversation), clients, data="你好\n\n".encode())
    assert server.output == b""


def test_the_port_file_is_there_while_it_listens(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "port"

    def client(port: int) -> None:
        assert path.read_text() == f"{port}\n"
        connect(port).close()

    server.run(ONCE._replace(port_file=str(path)), client)
    assert not path.exists()


@pytest.mark.parametrize("until", [Until.STDIN, Until.EITHER])
def test_until_stdin_needs_once(until: Until, server: Server) -> None:
    with pytest.raises(UsageError, match=f"--until {until} needs --once, --exec or --shell"):
        server.run(CONFIG._replace(conversation=CONVERSATION._replace(until=until)), nobody)


@pytest.mark.parametrize("half_close", HalfClose)
def test_a_half_close_needs_once(half_close: HalfClose, server: Server) -> None:
    conversation = CONVERSATION._replace(half_close=half_close)
    with pytest.raises(UsageError, match="--half-close needs --once, --exec or --shell"):
        server.run(CONFIG._replace(conversation=conversation), nobody)


def test_what_cannot_be_said_is_told_before_it_listens(server: Server) -> None:
    conversation = ConversationOptions(TextOptions("gbk"), greet="👋")
    with pytest.raises(TextError, match="--greet"):
        server.run(ONCE._replace(conversation=conversation), nobody)
    assert server.events == []


def test_a_port_in_use(server: Server) -> None:
    with socket.create_server((HERE, 0)) as taken:
        listen = ListenOptions(HostPort(HERE, taken.getsockname()[1]))
        with pytest.raises(BindError, match="in use"):
            server.run(CONFIG._replace(listen=listen), nobody)


def test_a_port_file_that_cannot_be(server: Server, tmp_path: Path) -> None:
    config = CONFIG._replace(port_file=str(tmp_path / "none" / "port"))
    with pytest.raises(OutputError, match="none"):
        server.run(config, nobody)
    assert not any(isinstance(event, Listening) for event in server.events)
