"""--buffer-size, from the command line to what one receive reads, in every command."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockkit.cli.main import status
from sockkit.errors import ReceiveError, SockkitError, Stopped
from sockkit.events import Event, Listening
from sockkit.net import kernel
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.udp.datagrams import DatagramSocket
from tests.net import kit
from tests.support import HERE, WAIT, eventually, peer

DATA = b"* 0123456789abcdefgh\n"
MIB = 1024 * 1024
Client = Callable[[int], None]


@pytest.fixture
def receives(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each receive of the program's sockets has read."""
    sizes: list[int] = []
    read, splice, receive = SocketEnd.read_into, kernel._splice, DatagramSocket.receive

    def read_into(end: SocketEnd, buffer: memoryview) -> int:
        sizes.append(read(end, buffer))
        return sizes[-1]

    def spliced(source: int, sink: int, size: int) -> int:
        count = splice(source, sink, size)
        if stat.S_ISSOCK(os.fstat(source).st_mode):
            sizes.append(count)
        return count

    def received(sock: DatagramSocket) -> Any:
        got = receive(sock)
        sizes.append(len(got.data))
        return got

    monkeypatch.setattr(SocketEnd, "read_into", read_into)
    monkeypatch.setattr(kernel, "_splice", spliced)
    monkeypatch.setattr(DatagramSocket, "receive", received)
    return sizes


class Command:
    """Runs a command line in this process, with files as its standard streams."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self._patch = path, monkeypatch

    def run(self, words: list[str], client: Client | None = None) -> BaseException | None:
        """How it ended. A server is stopped after `client`, which gets the port in a thread."""
        calls: list[Any] = []
        self._patch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
        assert status(words) == 0, words
        ((_, run, config, _),) = calls
        (self._path / "in").write_bytes(b"x\n")
        threads: list[threading.Thread] = []
        with (
            (self._path / "in").open("rb") as given,
            (self._path / "out").open("wb") as got,
            Loop() as loop,
        ):
            loop.later(kit.WAIT, kit.too_late)

            def stop() -> None:
                raise Stopped(15)

            def come(port: int) -> None:
                assert client
                try:
                    client(port)
                finally:
                    loop.call_soon(stop)

            def emit(event: Event) -> None:
                if isinstance(event, Listening):
                    port = int(event.address.rpartition(":")[2])
                    threads.append(threading.Thread(target=come, args=(port,), daemon=True))
                    threads[-1].start()

            stdio = Stdio(Input(loop, given.fileno()), Output(loop, got.fileno()), "utf-8")
            try:
                run(config, kit.context(loop, stdio, emit, environment={"USER": "me"}))
            except SockkitError as error:
                return error
            finally:
                for thread in threads:
                    thread.join(WAIT)
        return None


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


each_size = pytest.mark.parametrize(
    ("option", "sizes"), [([], [21]), (["--buffer-size", "7"], [7, 7, 7])], ids=["default", "7"]
)


@each_size
@pytest.mark.parametrize("words", ["tcp-client", "tcp-client -E gbk", "chat join"])
def test_a_client(
    words: str, option: list[str], sizes: list[int], command: Command, receives: list[int]
) -> None:
    with peer(lambda sock: sock.sendall(DATA)) as port:
        command.run([*words.split(), *option, HERE, str(port)])
    assert [size for size in receives if size] == sizes


@each_size
@pytest.mark.parametrize(
    "words",
    [
        "tcp-server --once",
        "tcp-server --once -E gbk",
        "tcp-server",
        "echo --tcp",
        "echo --tcp --upper",
        "chat serve",
    ],
)
def test_a_server(
    words: str, option: list[str], sizes: list[int], command: Command, receives: list[int]
) -> None:
    def client(port: int) -> None:
        with socket.create_connection((HERE, port), WAIT) as sock:
            sock.sendall(DATA)
            eventually(lambda: sum(receives) >= len(DATA))

    command.run([*words.split(), "-p", "0", *option], client)
    assert [size for size in receives if size] == sizes


@pytest.mark.parametrize(
    ("option", "sizes"), [([], [21]), (["--buffer-size", "7"], [7])], ids=["default", "7"]
)
@pytest.mark.parametrize("words", ["udp-server", "echo --udp", "chat serve --udp"])
def test_a_server_of_datagrams(
    words: str, option: list[str], sizes: list[int], command: Command, receives: list[int]
) -> None:
    def client(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(DATA, (HERE, port))
            eventually(lambda: bool(receives))

    command.run([*words.split(), "-p", "0", *option], client)
    assert receives == sizes


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of somebody who answers the first datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.settimeout(WAIT)

        def answer() -> None:
            sock.sendto(DATA, sock.recvfrom(100)[1])

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield sock.getsockname()[1]
        thread.join(WAIT)


@pytest.mark.parametrize("words", ["udp-client --expect 1", "chat join --udp --name a"])
def test_a_client_of_datagrams(
    words: str, command: Command, receives: list[int], answering: int
) -> None:
    error = command.run([*words.split(), "--buffer-size", "7", HERE, str(answering)])
    assert receives == [7]
    assert type(error) is ReceiveError  # it came in part


def test_a_server_of_many_reads_as_much_as_it_may(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is, a receive that has that much gives it to the server at once."""
    read = SocketEnd.read_into

    def read_all_there_is_space_for(end: SocketEnd, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer):
            with contextlib.suppress(BlockingIOError):
                count = read(end, buffer[filled:])
                filled += count
                if not count:
                    break
                continue
            select.select([end.descriptor], [], [], WAIT)
        whole.append(filled)
        return filled

    whole: list[int] = []
    monkeypatch.setattr(SocketEnd, "read_into", read_all_there_is_space_for)
    data = kit.noise(MIB + 7)

    def client(port: int) -> None:
        with socket.create_connection((HERE, port), WAIT) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            eventually(lambda: sum(whole) == len(data))
            eventually(lambda: (tmp_path / "out").stat().st_size == len(data))

    command.run(["tcp-server", "-p", "0", "--buffer-size", "1M"], client)
    assert [size for size in whole if size] == [MIB, 7]
    assert (tmp_path / "out").read_bytes() == data
