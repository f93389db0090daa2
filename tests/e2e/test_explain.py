"""--explain: a true story, on stderr only, bounded whatever peers do."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from sockkit.cli.explain import en, zh
from sockkit.cli.explain.telling import TOLD_PER_SECOND
from tests.support import (
    HERE,
    Program,
    connect,
    datagrams,
    errors,
    eventually,
    noise,
    peer,
    read_all,
    reset,
    run,
)

TIME_WAIT = "06"  # include/net/tcp_states.h
BURST = int(TOLD_PER_SECOND * 5)
CHINESE = {"LC_ALL": "zh_CN.UTF-8"}


def code(stderr: str) -> list[str]:
    """The Python lines."""
    return [line.removeprefix(">>> ") for line in stderr.splitlines() if line.startswith(">>> ")]


def in_time_wait(port: int) -> bool:
    """Whether the side of `port` of a connection is in TIME_WAIT, proc(5)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == TIME_WAIT for row in rows)


def test_stdout_is_the_same() -> None:
    data = noise(3_000_000)

    def serve(sock: socket.socket) -> None:
        sock.sendall(data)

    with peer(serve) as port:
        status, out, stderr = run("tcp-client", "--explain", HERE, str(port))
    assert (status, out == data) == (0, True)
    assert code(stderr)[:2] == [
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        f"s.connect(('{HERE}', {port}))",
    ]
    assert "In all: sent 0 bytes, received 3,000,000 bytes." in stderr
    assert "* connected to" not in stderr  # as -v says it


def test_what_is_sent_is_the_same() -> None:
    data, got = noise(3_000_000), []
    with peer(lambda sock: got.append(read_all(sock))) as port:
        status, _, stderr = run("tcp-client", "--explain", HERE, str(port), data=data)
    assert (status, got == [data]) == (0, True)
    assert stderr.count("s.sendall(data)") <= BURST


@pytest.mark.parametrize("first", ["server", "client"])
def test_time_wait_is_where_it_says(first: str) -> None:
    with (
        Program("tcp-server", "--once", "--reply", "hi", "-p", "0", "--explain") as server,
        connect(server.port) as sock,
    ):
        port = server.port
        sock.sendall(b"hello")
        if first == "client":
            sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"hi"
        sock.close()
        assert server.status() == 0
        assert ("We closed first" in server.stderr) == (first == "server")
        assert ("The peer closed first" in server.stderr) == (first == "client")
        eventually(lambda: in_time_wait(port) == (first == "server"))


def test_a_fin_that_is_not_read_yet_was_the_first() -> None:
    """Both were there before the server read anything."""
    with Program("tcp-server", "--once", "--reply", "hi", "-p", "0", "--explain") as server:
        with connect(server.port) as sock:
            server.process.send_signal(signal.SIGSTOP)
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            server.process.send_signal(signal.SIGCONT)
            assert read_all(sock) == b"hi"
        assert server.status() == 0
        assert en.SENTENCES["end.late"].splitlines()[1] in server.stderr
        assert "The peer closed first" in server.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lang", "zh"], "--lang needs --explain"),
        (["--explain", "-v"], "--explain cannot be used with -v"),
        (["--explain", "-q"], "--explain cannot be used with -q"),
        (["--explain", "--lang", "de"], "'de' is not one of en, zh"),
    ],
)
def test_what_it_excludes(arguments: list[str], told: str) -> None:
    with Program("tcp-server", "-p", "0", *arguments) as server:
        assert server.status() == 2
        assert told in server.stderr
        assert ">>>" not in server.stderr


def test_it_has_one_process() -> None:
    with Program("echo", "-p", "0", "--workers", "2", "--explain") as server:
        assert server.status() == 2
        assert errors(server) == [
            "sockkit: --explain cannot be used with --workers: remove one of them"
        ]


@pytest.mark.parametrize(
    ("arguments", "env", "table"),
    [
        ([], CHINESE, zh),
        (["--lang", "en"], CHINESE, en),
        (["--lang", "zh"], {"LC_ALL": "C.UTF-8"}, zh),
        ([], {"LC_ALL": "C.UTF-8"}, en),
    ],
)
def test_the_language(arguments: list[str], env: dict[str, str], table: object) -> None:
    with Program("tcp-server", "-p", "0", "--explain", *arguments, env=env) as server:
        server.said(table.SENTENCES["wait.stream"])  # type: ignore[attr-defined]
        assert server.stderr.startswith(table.SENTENCES["begin"])  # type: ignore[attr-defined]
        assert "listening on" in server.stderr  # all other messages are English


def test_bytes_of_a_peer_cannot_drive_the_terminal() -> None:
    with (
        Program("tcp-server", "-p", "0", "--explain") as server,
        connect(server.port) as sock,
    ):
        sock.sendall(b"\x1b[2J\r\xe2\x80\xae\n")
        server.said(r"data = b'\x1b[2J\r\xe2\x80\xae\n' (9 bytes)")
        assert all(line.isprintable() for line in server.stderr.splitlines())


def test_a_thousand_clients_are_counted() -> None:
    with Program("echo", "-p", "0", "--explain") as server, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(server.port)) for _ in range(1000)]
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks:
            assert sock.recv(1) == b"x"
        for sock in socks:
            sock.close()
        server.process.terminate()
        assert server.status() == 143
        assert 0 < server.stderr.count("s.accept()") <= BURST + 1  # one is that which waits
        assert f"{en.SENTENCES['kind.accept']}" in server.stderr
        assert len(server.stderr.splitlines()) < 400


def test_a_flood_is_counted() -> None:
    data = noise(16_000_000)
    with Program("echo", "-p", "0", "--explain") as server, connect(server.port) as sock:
        feed = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=sock.fileno())
        assert feed.stdin
        got = 0
        with contextlib.closing(feed.stdin):
            for start in range(0, len(data), 65536):
                feed.stdin.write(data[start : start + 65536])
                feed.stdin.flush()
                got += len(sock.recv(1 << 20))
        sock.shutdown(socket.SHUT_WR)
        got += len(read_all(sock))
        feed.wait()
        assert got == len(data)
        server.said("received 16,000,000 bytes.")
        server.process.terminate()
        assert server.status() == 143
        assert server.stderr.count("conn.recv(n)") <= 2 * BURST
        assert "more: recv()" in server.stderr
        assert len(server.stderr.splitlines()) < 200


def test_a_reset() -> None:
    with Program("tcp-server", "-p", "0", "--explain") as server:
        with connect(server.port) as sock:
            server.said("conn is a new socket")
            reset(sock)
        server.said("In all: sent 0 bytes")
        assert "ConnectionResetError" in server.stderr
        assert "TIME_WAIT for a minute" not in server.stderr


def test_a_port_in_use() -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = str(taken.getsockname()[1])
        with Program("tcp-server", "-p", port, "--explain") as server:
            assert server.status() == 45
            assert code(server.stderr)[-1] == f"s.bind(({HERE!r}, {port}))"
            assert en.SENTENCES["failed.in_use"] in server.stderr


def test_a_datagram_server() -> None:
    with (
        Program("udp-server", "-p", "0", "--explain") as server,
        datagrams(server.port) as sock,
    ):
        sock.send(b"hi")
        local = sock.getsockname()
        server.said(f"addr = {local!r}")
        assert code(server.stderr)[-1] == "data, addr = s.recvfrom(n)"


def test_a_refused_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as nobody:
        nobody.bind((HERE, 0))
        port = str(nobody.getsockname()[1])
    status, _, stderr = run("udp-client", "--explain", HERE, port, data=b"hi\n")
    assert status == 7
    assert "s.send(b'hi\\n')" in code(stderr)
    told = stderr.splitlines()
    assert told.index(">>> s.close()") > told.index(
        f"    The kernel at {HERE}:{port} has answered with ICMP,"
    )


def test_a_program_has_the_connection() -> None:
    with Program("tcp-server", "-p", "0", "--explain", "--exec", "cat") as server:
        with connect(server.port) as sock:
            sock.sendall(b"hi")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"hi"
        server.said("cat has exited with 0.")
        assert "conn.sendall(b'hi')" in code(server.stderr)


def test_a_relay() -> None:
    with (
        Program("echo", "-p", "0") as target,
        Program("relay", "-p", "0", "--explain", HERE, str(target.port)) as relay,
    ):
        with connect(relay.port) as sock:
            sock.sendall(b"hi")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"hi"
        relay.said("In all: sent 2 bytes, received 2 bytes.")
        assert "data = conn.recv(n); out.sendall(data)" in code(relay.stderr)
        assert "data = out.recv(n); conn.sendall(data)" in code(relay.stderr)


def test_a_probe() -> None:
    with Program("echo", "-p", "0") as target:
        status, out, stderr = run("probe", "--explain", f"{HERE}:{target.port}")
    assert status == 0
    assert b"open" in out
    assert code(stderr)[-1] == "s.close()"
    assert "We closed first" in stderr


def test_a_recording_is_explained_as_it_is_played(tmp_path: Path) -> None:
    recording = str(tmp_path / "it.rec")
    with Program("echo", "-p", "0") as target:
        here = [HERE, str(target.port)]
        assert run("tcp-client", "--record", recording, *here, data=b"hi")[0] == 0
        status, _, stderr = run("replay", recording, *here, "--explain")
    assert status == 0
    assert "s.sendall(b'hi')" in code(stderr)


def test_a_chat_room_and_a_member() -> None:
    with Program("chat", "serve", "-p", "0", "--explain") as room:
        words = ["chat", "join", "--explain", "--name", "alex", HERE, str(room.port)]
        status, _, stderr = run(*words, data=b"hello\n")
        assert status == 0
        room.said("conn.close()")
        assert "s.sendall(b'hello\\n')" in code(stderr)


def test_unix_sockets(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    with Program("tcp-server", "--once", "--explain", "--bind", f"unix:{path}") as server:
        server.said(en.SENTENCES["wait.stream"])
        with Program("tcp-client", "--explain", f"unix:{path}") as client:
            assert client.status() == 0
            assert f"s.connect('{path}')" in code(client.stderr)
            for program in (server, client):
                program.status()
                assert "SYN" not in program.stderr
                assert "TIME_WAIT" not in program.stderr


def test_tls() -> None:
    with Program(
        "tcp-server", "--once", "--reply", "hi", "-p", "0", "--tls", "--explain"
    ) as server:
        words = ["tcp-client", "--tls", "--tls-insecure", "--explain", HERE, str(server.port)]
        status, out, stderr = run(*words, data=b"hello")
        assert (status, out, server.status()) == (0, b"hi", 0)
    assert "s = context.wrap_socket(s, server_hostname=host)" in code(stderr)
    assert "s.sendall(b'hello')" in code(stderr)  # what the program sends, not what the wire has
    assert "has proved" not in stderr
    assert "conn = context.wrap_socket(conn, server_side=True)" in code(server.stderr)
