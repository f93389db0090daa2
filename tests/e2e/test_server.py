"""tcp-server for many: who gets what, whose lines stay whole, who is dropped and who is not."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support import (
    END,
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    connect,
    errors,
    eventually,
    gone,
    need,
    read_all,
    read_exactly,
    reset,
    run,
    state_of,
)

PIPE = subprocess.PIPE
MIB = 1024 * 1024


def server(*options: str, **more: object) -> Program:
    return Program("tcp-server", "-p", "0", *options, **more)  # type: ignore[arg-type]


def joined(program: Program, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
    """`count` clients in the order of their numbers; the server must run with -v."""
    clients = []
    for number in range(1, count + 1):
        clients.append(stack.enter_context(connect(program.port)))
        assert "connected" in program.said(f"[{number}] ")
    return clients


def heard(program: Program, size: int) -> bytes:
    """Exactly `size` bytes of its stdout."""
    assert program.process.stdout
    data = b""
    while len(data) < size:
        ready, _, _ = select.select([program.process.stdout], [], [], WAIT)
        assert ready, f"only {data!r}"
        chunk = os.read(program.process.stdout.fileno(), size - len(data))
        assert chunk, f"ended after {data!r}"
        data += chunk
    return data


def test_many_clients_and_one_input() -> None:
    with server("-v", stdin=PIPE) as program, contextlib.ExitStack() as stack:
        clients = joined(program, stack, 50)
        program.type(b"to all\n")
        for client in clients:
            assert read_exactly(client, 7) == b"to all\n"
        for client in clients:
            client.sendall(b"from one\n")
        assert heard(program, 9 * 50) == b"from one\n" * 50
        clients[7].close()
        program.said("[8] 127.0.0.1:", wait=WAIT)
        program.type(b"again\n")
        for client in clients[:7] + clients[8:]:
            assert read_exactly(client, 6) == b"again\n"


def test_large_input_reaches_each() -> None:
    data = bytes(range(256)) * 4096 * 4
    with server("-v", stdin=PIPE) as program, contextlib.ExitStack() as stack:
        clients = joined(program, stack, 4)
        got: list[bytes] = []
        readers = [
            threading.Thread(target=lambda c=c: got.append(read_exactly_fast(c, len(data))))
            for c in clients
        ]
        for reader in readers:
            reader.start()
        program.type(data)
        for reader in readers:
            reader.join(WAIT)
        assert got == [data] * 4


def read_exactly_fast(sock: socket.socket, size: int) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        view = view[sock.recv_into(view) :]
    return bytes(buffer)


def test_input_is_not_read_before_a_client() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stdin, os.fdopen(writer, "wb", 0) as feed:
        feed.write(b"early\n")
        with server("-v", "--linger", "100ms", stdin=stdin) as program:
            assert program.port
            # What is in the pipe is still there when the first client has come and gone.
            with connect(program.port) as first:
                assert read_exactly(first, 6) == b"early\n"
            program.said("closed (sent ")
            feed.write(b"for the next\n")
            with connect(program.port) as second:
                assert read_exactly(second, 13) == b"for the next\n"


def test_the_end_of_input_ends_nothing() -> None:
    with server("-v", stdin=PIPE) as program:
        with connect(program.port) as early:
            program.said("[1] ")
            program.type(b"last")
            program.end_input()
            assert read_exactly(early, 4) == b"last"
            program.said("* stdin has ended; clients stay connected (--once ends after the first)")
            early.sendall(b"still heard\n")
            assert heard(program, 12) == b"still heard\n"
            early.shutdown(socket.SHUT_WR)
            assert read_all(early) == b""  # both have ended: it is let go
        with connect(program.port) as late:
            late.sendall(b"served too\n")
            assert heard(program, 11) == b"served too\n"
        assert program.process.poll() is None


def test_a_slow_client_is_dropped_and_named() -> None:
    with server("-v", "--slow-timeout", "500ms", stdin=PIPE) as program:
        with connect(program.port) as slow, connect(program.port) as good:
            program.said("[2] ")
            number = next(
                label for label in re.findall(r"\[(\d)\] [^:]+:(\d+) connected", program.stderr)
                if int(label[1]) == slow.getsockname()[1]
            )[0]  # fmt: skip
            data = b"x" * (8 * MIB)
            feeder = threading.Thread(target=program.type, args=[data], daemon=True)
            feeder.start()
            assert read_exactly_fast(good, len(data)) == data
            feeder.join(WAIT)
            line = program.said("--slow-timeout")
            assert f"[{number}] {HERE}:{slow.getsockname()[1]} " in line
            assert line.startswith("sockkit: ")
            assert "bytes not sent" in line
            good.sendall(b"here\n")
            assert heard(program, 5) == b"here\n"
        assert len(errors(program)) == 1


def test_a_client_that_reads_again_in_time_is_kept() -> None:
    data = b"x" * (16 * MIB)
    with server("-v", stdin=PIPE) as program, connect(program.port) as slow:
        program.said("[1] ")
        feeder = threading.Thread(target=program.type, args=[data], daemon=True)
        feeder.start()
        feeder.join(0.5)
        assert feeder.is_alive()  # held back
        assert read_exactly_fast(slow, len(data)) == data
        feeder.join(WAIT)
        assert errors(program) == []


def test_labels_and_whole_lines() -> None:
    with server("-v", "--label") as program, contextlib.ExitStack() as stack:
        clients = joined(program, stack, 2)
        one, two = (f"[{n} {HERE}:{c.getsockname()[1]}] ".encode()
                    for n, c in enumerate(clients, 1))  # fmt: skip
        clients[0].sendall(b"first ha")
        clients[1].sendall(b"whole\nun")
        expected = two + b"whole\n"
        assert heard(program, len(expected)) == expected
        clients[0].sendall(b"lf\n")
        expected = one + b"first half\n"
        assert heard(program, len(expected)) == expected
        clients[1].close()  # an unfinished line is ended, with its label
        expected = two + b"un\n"
        assert heard(program, len(expected)) == expected


@pytest.mark.parametrize("options", [[], ["--label"]], ids=["plain", "labelled"])
def test_lines_of_many_are_never_mixed(options: list[str]) -> None:
    lines = 300

    def talk(sock: socket.socket, word: bytes) -> None:
        view = memoryview(b"".join(word * 20 + b" %d\n" % n for n in range(lines)))
        while view:  # cut wherever 97 bytes end
            sock.sendall(view[:97])
            view = view[97:]

    with server("-v", *options) as program, contextlib.ExitStack() as stack:
        clients = joined(program, stack, 8)
        talkers = [
            threading.Thread(target=talk, args=[client, b"<%d>" % number])
            for number, client in enumerate(clients, 1)
        ]
        for talker in talkers:
            talker.start()
        got: dict[int, list[int]] = {}
        assert program.process.stdout
        for _ in range(lines * len(clients)):
            line = program.process.stdout.readline()
            match = re.fullmatch(rb"(?:\[(\d) [\d.:]+\] )?((?:<(\d)>){20}) (\d+)\n", line)
            assert match, line
            assert bool(options) == bool(match[1])
            assert match[2] == b"<%s>" % match[3] * 20
            assert match[1] in (None, match[3])
            got.setdefault(int(match[3]), []).append(int(match[4]))
        for talker in talkers:
            talker.join(WAIT)
        assert got == {number: list(range(lines)) for number in range(1, 9)}


def test_greet_and_reply() -> None:
    with server("--greet", "欢迎!", "--reply", "谢谢", "-E", "gbk") as program:
        for _ in range(3):
            with connect(program.port) as sock:
                assert read_exactly(sock, 5) == "欢迎!".encode("gbk")
                for _ in range(2):
                    sock.sendall("你好\n".encode("gbk"))
                    assert read_exactly(sock, 4) == "谢谢".encode("gbk")
        assert heard(program, 7 * 6) == "你好\n".encode() * 6


def test_port_file(tmp_path: Path) -> None:
    place = tmp_path / "port"
    with server("--port-file", str(place), "-q") as program:
        eventually(place.exists)
        assert place.read_text().endswith("\n")  # whole as soon as it is there
        with connect(int(place.read_text())):
            os.kill(program.process.pid, signal.SIGTERM)
            assert program.status(END) == 143
        assert os.listdir(tmp_path) == []
        assert program.stderr.count("\n") <= 1  # -q: no more than why it ended


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_recipe_for_scripts(shell: str, tmp_path: Path) -> None:
    recipes = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    recipe = re.search(r"\$ mkfifo port\n(?:\$ .*\n)+", recipes)
    assert recipe
    (tmp_path / "sent.bin").write_bytes(b"hello" * 100)
    script = re.sub(r"^\$ ", "", recipe[0], flags=re.MULTILINE)
    path = f"{Path(SOCKKIT).parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        [need(shell), "-e", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path},
        stderr=PIPE, start_new_session=True,
    ) as program:  # fmt: skip
        try:
            _, stderr = program.communicate(timeout=WAIT)
            assert (program.returncode, b"sockkit: " in stderr) == (0, False)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)  # the server, too
    assert (tmp_path / "got.bin").read_bytes() == b"hello" * 100


@pytest.mark.parametrize(
    "command", ["tcp-server", "udp-server", "echo", "echo --workers 2", "chat serve --udp"]
)
def test_a_port_file_is_one_servers(tmp_path: Path, command: str) -> None:
    place = tmp_path / "port"
    arguments = [*command.split(), "-p", "0", "--port-file", str(place)]
    with Program(*arguments, stdin=PIPE) as first:
        port = first.port
        status, _, stderr = run("tcp-server", "-p", "0", "--port-file", str(place))
        assert (status, stderr.count("\n")) == (45, 1)
        assert f"another server uses --port-file {place}" in stderr
        assert place.read_text() == f"{port}\n"
        place.unlink()
        with Program("tcp-server", "-p", "0", "--port-file", str(place)) as second:
            assert second.port
            first.process.terminate()
            assert first.status(END) in (143, -signal.SIGTERM)
            assert place.read_text() == f"{second.port}\n"  # the first has left it alone


@pytest.mark.parametrize("kind", ["link", "else"])
def test_a_port_file_that_is_not_ours_stays(tmp_path: Path, kind: str) -> None:
    place, other = tmp_path / "port", tmp_path / "other"
    other.write_text("80\n")
    if kind == "link":
        place.symlink_to(other)
    else:
        place.write_text("precious\n")
    before = state_of(place)
    status, _, stderr = run("echo", "-p", "0", "--port-file", str(place))
    assert (status, stderr.count("\n")) == (23, 1)
    assert f"could not write {place}: it" in stderr
    assert state_of(place) == before
    assert other.read_text() == "80\n"
    assert sorted(os.listdir(tmp_path)) == ["other", "port"]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("tcp-server", []), ("udp-server", []), ("chat serve", []), ("echo", ["--nosuch"])],
)
def test_a_server_that_fails_lets_nobody_wait_for_its_port(
    tmp_path: Path, command: str, wrong: list[str]
) -> None:
    fifo = tmp_path / "port"
    os.mkfifo(fifo)
    with subprocess.Popen(["sh", "-c", 'read p < "$0"', str(fifo)]) as reader:
        foreign = ["--bind", "192.0.2.1", "-p", "7", *wrong, "--port-file", str(fifo)]
        state = Path(f"/proc/{reader.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "S")
        try:
            assert run(*command.split(), *foreign)[0] == (2 if wrong else 45)
            assert reader.wait(WAIT) == 1
        finally:
            reader.kill()


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "talk"
    with Program("tcp-server", "--bind", f"unix:{path}", "--label", "-v", stdin=PIPE) as program:
        assert str(path) in program.said("listening on ")
        with Program("tcp-client", f"unix:{path}", stdin=PIPE) as client:
            client.type(b"hello\n")
            assert heard(program, 15) == b"[1 unix] hello\n"
            program.type(b"back\n")
            assert heard(client, 5) == b"back\n"
            client.end_input()
            program.end_input()
            assert client.status() == 0
        status, _, stderr = run("tcp-server", "--bind", f"unix:{path}")
        assert (status, "in use" in stderr) == (45, True)
        os.kill(program.process.pid, signal.SIGINT)
        assert program.status(END) == 130
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "talk")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with Program("tcp-server", "--bind", f"unix:{path}", "--greet", "hi") as program:
        program.said("listening on ")
        assert run("tcp-client", f"unix:{path}") == (0, b"hi", "")


def test_both_families() -> None:
    with server("--bind", "::", "--label", "-v") as program:
        for number, host in enumerate((HERE, "::1"), 1):
            with connect(program.port, host) as sock:
                sock.sendall(b"x\n")
                port = sock.getsockname()[1]
                shown = f"{host}:{port}" if host == HERE else f"[{host}]:{port}"
                expected = f"[{number} {shown}] x\n".encode()
                assert heard(program, len(expected)) == expected


def test_ipv6_only() -> None:
    with server("--bind", "::", "-6", "--greet", "hi") as program:
        with connect(program.port, "::1") as sock:
            assert read_exactly(sock, 2) == b"hi"
        with pytest.raises(ConnectionRefusedError):
            connect(program.port)


def test_a_reset_client_leaves_the_others() -> None:
    with server("-v", stdin=PIPE) as program, contextlib.ExitStack() as stack:
        clients = joined(program, stack, 3)
        before = program.descriptors()
        clients[1].sendall(b"unfinished")
        reset(clients[1])
        assert "[2] " in program.said("reset by peer")
        assert heard(program, 10) == b"unfinished"
        program.type(b"on\n")
        for client in (clients[0], clients[2]):
            assert read_exactly(client, 3) == b"on\n"
            client.sendall(b"yes\n")
        assert heard(program, 8) == b"yes\nyes\n"
        eventually(lambda: program.descriptors() == before - 1)
        assert len(errors(program)) == 1


def test_it_closes_the_listener_first() -> None:
    with server("-vv") as program, connect(program.port) as sock:
        program.said("[1] ")
        os.kill(program.process.pid, signal.SIGTERM)
        gone(program, 143, "terminated")
        assert read_all(sock) == b""
        closing = [line for line in program.stderr.splitlines() if "close: " in line]
        assert "listener" in closing[0]
        assert "connection" in closing[1]


def test_what_cannot_be_encoded_is_placed_in_the_input_once_for_all_clients() -> None:
    with (
        Program("tcp-server", "-p", "0", "-E", "gbk", "--reply", "a\nb\n", stdin=PIPE) as server,
        connect(server.port) as early,
    ):
        server.type(b"one\ntwo\n")
        assert read_exactly(early, 8) == b"one\ntwo\n"
        with connect(server.port) as late:
            late.sendall(b"hello\n")
            assert read_exactly(late, 4) == b"a\nb\n"
            server.type("three\n你\U0001f600\n".encode())
            assert read_exactly(late, 8) == "three\n你".encode("gbk")
            told = server.said("was not sent")
            assert "at line 4, character 2 of stdin is not in gbk" in told
        server.process.terminate()
        assert server.status() == 143
        assert server.stderr.count("was not sent") == 1
