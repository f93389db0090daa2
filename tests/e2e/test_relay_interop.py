"""Programs of others talk through a relay as they do without it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import ServerConnection, serve

from tests.e2e.test_half_close import nginx
from tests.e2e.test_proxy import running
from tests.e2e.test_replay import redis
from tests.support import HERE, SOCKKIT, WAIT, Program, need, noise

PIPE = subprocess.PIPE
PAGES = {f"page{number}": noise(10_000 * number + 1) for number in range(1, 6)}


@contextlib.contextmanager
def relay(*address: str) -> Iterator[Program]:
    """A relay to `address`, with all that -v says."""
    with Program("relay", "-v", "-p", "0", *address) as program:
        program.said("listening on ")
        yield program


def output(*command: str, data: bytes = b"") -> bytes:
    """What a program writes that must end well."""
    done = subprocess.run(command, input=data, stdout=PIPE, stderr=PIPE, timeout=3 * WAIT)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


# HTTP.


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    for name, data in PAGES.items():
        (tmp_path / name).write_bytes(data)
    with nginx(tmp_path, f"root {tmp_path};") as address:
        yield address


def test_http_that_keeps_its_connection(site: str) -> None:
    curl = [need("curl"), "-sS", "--fail", "-w", "%{num_connects} "]
    with relay(site) as program:
        names = [*PAGES, *PAGES]
        urls = [f"http://{HERE}:{program.port}/{name}" for name in names]
        got = output(*curl, *urls)
        expected = b"".join(
            PAGES[name] + (b"0 " if place else b"1 ") for place, name in enumerate(names)
        )
        assert got == expected
        assert program.stderr.count(f"* [1] {site} connected") == 1
        assert "[2]" not in program.stderr


def test_many_requests_at_once(site: str, tmp_path: Path) -> None:
    with relay(site) as program:
        url = f"http://{HERE}:{program.port}/page[1-5]?[1-10]"
        path = tmp_path / "got"
        path.mkdir()
        command = [need("curl"), "-sS", "--fail", "-Z", "-o", f"{path}/#1-#2", url]
        output(*command)
        for number in range(1, 6):
            for again in range(1, 11):
                assert (path / f"{number}-{again}").read_bytes() == PAGES[f"page{number}"]


# Redis.


def test_redis_benchmark(tmp_path: Path) -> None:
    with redis(tmp_path) as address, relay(address) as program:
        port = ["-h", HERE, "-p", str(program.port)]
        tests = ["-t", "ping,set,get,lpush,lrange_100", "-n", "2000", "-c", "20", "-P", "4"]
        got = output(need("redis-benchmark"), *port, *tests, "--csv").decode()
        names = {line.split(",")[0].strip('"') for line in got.splitlines()[1:]}
        assert {"PING_INLINE", "SET", "GET", "LPUSH"} <= names
        said = [need("redis-cli"), *port]
        assert output(*said, "set", "greeting", "你好") == b"OK\n"
        here = output(*said, "--no-raw", "get", "greeting")
        direct = [need("redis-cli"), "-s", address.removeprefix("unix:")]
        assert here == output(*direct, "--no-raw", "get", "greeting")


# WebSocket.


def repeat(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def test_a_websocket_echo() -> None:
    with serve(repeat, HERE, 0, max_size=None) as server:
        port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with relay(HERE, str(port)) as program:
            url = f"ws://{HERE}:{program.port}"
            with connect_websocket(url, open_timeout=WAIT, max_size=None) as client:
                for message in ("hello", "你好", b"", noise(3_000_000), noise(3)):
                    client.send(message)
                    assert client.recv(timeout=WAIT) == message
                assert client.ping().wait(WAIT)
            assert client.close_code == 1000
            program.said("closed (sent ")
        server.shutdown()
        thread.join(WAIT)


# SSH.


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[int]:
    """OpenSSH's server, for the user who runs the tests, with keys of its own."""
    server = need("sshd", f"{os.environ['PATH']}:/usr/sbin")
    for name in ("host", "user"):
        path = str(folder / name)
        output(need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    if os.geteuid() == 0:  # Debian's service makes it, where there are services
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    config = folder / "sshd_config"

    def command(port: int) -> list[str]:
        config.write_text(
            f"ListenAddress {HERE}:{port}\nHostKey {folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\n"
        )
        return [server, "-D", "-e", "-f", str(config)]

    with running(command) as port:
        yield port


def ssh(folder: Path, port: int, *words: str) -> list[str]:
    options = [
        f"IdentityFile={folder}/user",
        f"UserKnownHostsFile={folder}/known",
        "StrictHostKeyChecking=no",
        "BatchMode=yes",
        "LogLevel=ERROR",
        f"ProxyCommand={SOCKKIT} tcp-client -q %h %p",
    ]
    chosen = [word for option in options for word in ("-o", option)]
    return [need("ssh"), "-F", "none", *chosen, "-p", str(port), HERE, *words]


def test_ssh(tmp_path: Path) -> None:
    with sshd(tmp_path) as port, relay(HERE, str(port)) as program:
        data = noise(2_000_000)
        for where in (port, program.port):
            assert output(*ssh(tmp_path, where, "cat"), data=data) == data
            shell = 'read line; echo "got $line"; cat; exit 3'
            done = subprocess.run(
                ssh(tmp_path, where, shell), input=b"words\nmore", stdout=PIPE, timeout=3 * WAIT
            )
            assert (done.returncode, done.stdout) == (3, b"got words\nmore")
        program.said("closed (sent ")
