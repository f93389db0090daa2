"""Through real proxies, and through ones of a few lines that behave badly."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import (
    HERE,
    WAIT,
    Program,
    connect,
    eventually,
    need,
    noise,
    patched,
    peer,
    read_all,
    read_exactly,
    run,
)

OK5 = b"\5\0\0\1\0\0\0\0\0\0"
# A head of HTTP that a terminal must not get.
NASTY = b"HTTP/1.1 500 \x1b]0;gone\x07\x9b2J\xe2\x80\xae\r\n\r\n"


def free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Callable[[int], list[str]], host: str = HERE) -> Iterator[int]:
    """A proxy that cannot say which port it has got: it is given one that was free just now."""
    for _ in range(5):
        port = free_port(host)
        with subprocess.Popen(
            command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                if accepts(process, host, port):
                    yield port
                    return
            finally:
                process.terminate()
                try:
                    process.wait(WAIT)
                except subprocess.TimeoutExpired:
                    process.kill()
    raise AssertionError("somebody else always took its port")


def accepts(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Whether it accepts connections; it has ended otherwise."""

    def there() -> bool:
        with contextlib.suppress(OSError):
            connect(port, host).close()
            return True
        return process.poll() is not None

    eventually(there)
    return process.poll() is None


def microsocks(host: str = HERE, user: tuple[str, str] | None = None) -> Any:
    login = ["-u", user[0], "-P", user[1]] if user else []
    path = need("microsocks")
    return running(lambda port: [path, "-i", host, "-p", str(port), *login], host)


def tinyproxy(place: Path, host: str = HERE, user: tuple[str, str] | None = None) -> Any:
    path, config = need("tinyproxy"), place / "tinyproxy.conf"

    def command(port: int) -> list[str]:
        lines = [f"Port {port}", f"Listen {host}", "Timeout 600", "MaxClients 100"]
        lines += [f"BasicAuth {' '.join(user)}"] if user else []
        config.write_text("\n".join([*lines, ""]))
        return [path, "-d", "-c", str(config)]

    return running(command, host)


def dante(place: Path) -> Any:
    path, config = need("danted", f"{os.environ['PATH']}:/usr/sbin"), place / "danted.conf"

    def command(port: int) -> list[str]:
        rule = "{ from: 127.0.0.0/8 to: 0.0.0.0/0 }"
        config.write_text(
            f"internal: {HERE} port = {port}\nexternal: lo\nlogoutput: {place}/log\n"
            "clientmethod: none\nsocksmethod: none\n"
            f"client pass {rule}\nsocks pass {rule}\n"
        )
        return [path, "-f", str(config), "-p", str(place / "pid")]

    return running(command)


@contextlib.contextmanager
def answerer(host: str = HERE, size: int = 1) -> Iterator[str]:
    """The port of a server that repeats what it receives, at least `size` bytes, and closes.

    It waits for no half-close, which `--half-close auto` sends a second later. It receives while it
    sends: microsocks waits for either side to take what it has, and takes nothing meanwhile.
    """

    def serve(sock: socket.socket) -> None:
        received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def send() -> None:
            while data := received.get():
                sock.sendall(data)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        missing = size
        while missing > 0 and (data := sock.recv(65536)):
            received.put(data)
            missing -= len(data)
        received.put(b"")
        sender.join(WAIT)

    with peer(serve, host, socket.AF_INET6 if ":" in host else socket.AF_INET) as port:
        yield str(port)


def client(url: str, *words: str, data: bytes = b"", **more: Any) -> tuple[int, bytes, str]:
    return run("tcp-client", "--proxy", url, *words, data=data, **more)


# Real ones.


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("host", [HERE, "localhost"])
def test_microsocks(scheme: str, host: str) -> None:
    with microsocks() as proxy, answerer() as port:
        got = client(f"{scheme}://{HERE}:{proxy}", host, port, data=b"hello")
    assert got == (0, b"hello", "")


def test_microsocks_with_a_user() -> None:
    with microsocks(user=("bob", "p w:@/")) as proxy, answerer() as port:
        url = f"{HERE}:{proxy}"
        assert client(f"socks5://bob:p%20w%3A%40/@{url}", HERE, port, data=b"hi")[:2] == (0, b"hi")
        told = f"sockkit: the proxy {HERE} port {proxy}"
        hint = f"add the user, as in socks5://USER@{url}"
        wants = f"{told} requires a user and a password: {hint}\n"
        assert client(f"socks5://{url}", HERE, port) == (97, b"", wants)
        hint = "check the user in --proxy, and SOCKKIT_PROXY_PASSWORD"
        refused = f"{told} rejected the user or the password: {hint}\n"
        assert client(f"socks5://bob:no@{url}", HERE, port) == (97, b"", refused)
        env = {"SOCKKIT_PROXY_PASSWORD": "p w:@/"}
        assert client(f"socks5://bob@{url}", HERE, port, data=b"hi", env=env)[:2] == (0, b"hi")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_proxy_and_a_target_at_ipv6(scheme: str) -> None:
    with microsocks("::1") as proxy, answerer("::1") as port:
        got = client(f"{scheme}://[::1]:{proxy}", "::1", port, data=b"hello")
    assert got == (0, b"hello", "")


def test_tinyproxy(tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as proxy, answerer() as port:
        for host in (HERE, "localhost"):
            assert client(f"http://{HERE}:{proxy}", host, port, data=b"hi") == (0, b"hi", "")


def test_tinyproxy_at_ipv6(tmp_path: Path) -> None:
    with tinyproxy(tmp_path, "::1") as proxy, answerer("::1") as port:
        assert client(f"http://[::1]:{proxy}", "::1", port, data=b"hi") == (0, b"hi", "")


def test_tinyproxy_with_a_user(tmp_path: Path) -> None:
    with tinyproxy(tmp_path, user=("bob", "pw")) as proxy, answerer() as port:
        url = f"{HERE}:{proxy}"
        assert client(f"http://bob:pw@{url}", HERE, port, data=b"hi") == (0, b"hi", "")
        status, _, stderr = client(f"http://{url}", HERE, port)
        assert (status, "requires a user and a password" in stderr) == (97, True)
        status, _, stderr = client(f"http://bob:no@{url}", HERE, port)
        assert (status, "rejected the user or the password" in stderr) == (97, True)


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
def test_dante(scheme: str, tmp_path: Path) -> None:
    """SOCKS4A is left out: Dante takes the address that stands for a name for the target's."""
    with dante(tmp_path) as proxy, answerer() as port:
        url = f"{scheme}://{HERE}:{proxy}"
        assert client(url, "localhost", port, data=b"hello") == (0, b"hello", "")
        assert client(url, "--half-close", "now", HERE, port, data=b"hello")[:2] == (0, b"hello")


def test_ncat_as_a_proxy() -> None:
    path = need("ncat")

    def command(port: int) -> list[str]:
        return [path, "-l", "-k", "--proxy-type", "http", HERE, str(port)]

    with running(command) as proxy, answerer() as port:
        assert client(f"http://{HERE}:{proxy}", HERE, port, data=b"hello") == (0, b"hello", "")


def test_a_target_that_refuses() -> None:
    with microsocks() as proxy:
        port = str(free_port(HERE))
        status, out, stderr = client(f"socks5h://{HERE}:{proxy}", HERE, port)
    told = f"the proxy {HERE} port {proxy} refused the connection to {HERE} port {port}"
    told += ": connection refused: check the target's address, or the proxy's log"
    assert (status, out, stderr) == (97, b"", f"sockkit: {told}\n")


@pytest.mark.parametrize("kind", ["socks5h", "http"])
def test_a_large_transfer(kind: str, tmp_path: Path) -> None:
    """From a file to a file, both ways at once, in the kernel."""
    data = noise(8 * 1024 * 1024)
    (tmp_path / "sent").write_bytes(data)
    made = microsocks() if kind == "socks5h" else tinyproxy(tmp_path)
    server = answerer(size=len(data))
    with made as proxy, server as port, (tmp_path / "sent").open("rb") as sent:
        words = ["-v", "--proxy", f"{kind}://{HERE}:{proxy}", HERE, port]
        with Program("tcp-client", *words, stdin=sent) as program:
            assert program.output() == data
            assert program.status() == 0
    assert "by sendfile" in program.stderr
    assert f"* connected to {HERE}:{port} through {kind}://{HERE}:{proxy}\n" in program.stderr


def test_tls_through_a_proxy(tmp_path: Path) -> None:
    """The name that is checked is the target's, and not the proxy's."""
    ca, both = trustme.CA(), tmp_path / "both.pem"
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(both)
    server = Program("echo", "--tcp", "-p", "0", "--tls", "--tls-cert", str(both))
    with server, tinyproxy(tmp_path) as proxy:
        words = ["-v", "--tls", "--tls-ca", str(tmp_path / "ca.pem")]
        there, port = f"http://{HERE}:{proxy}", str(server.port)
        status, out, stderr = client(there, *words, "localhost", port, data=b"hello")
        assert (status, out) == (0, b"hello"), stderr
        assert "encrypted with TLS" in stderr
        there = f"http://localhost:{proxy}"
        status, out, stderr = client(there, *words, HERE, port, data=b"hello")
        assert (status, out, "it is not for 127.0.0.1" in stderr) == (60, b"", True)


# What goes over the wire.


class Scripted:
    """A SOCKS5 proxy that connects nobody, but answers in the place of the target."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.asked: list[bytes] = []
        self.got: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            assert read_exactly(sock, 3) == b"\5\1\0"
            sock.sendall(b"\5\0")
            head = read_exactly(sock, 4)
            size = 4 if head[3] == 1 else read_exactly(sock, 1)[0]
            self.asked.append(read_exactly(sock, size + 2))
            for answer in self._answers:
                sock.sendall(answer)
            sock.shutdown(socket.SHUT_WR)
            self.got.append(read_all(sock))


def test_a_name_that_only_the_proxy_knows() -> None:
    """And a server that speaks first, in the segment of the proxy's answer."""
    proxy = Scripted(OK5 + b"SSH-2.0-x\r\n")
    with peer(proxy) as port:
        got = client(f"socks5h://{HERE}:{port}", "db.internal.invalid", "22", data=b"hi")
    assert got == (0, b"SSH-2.0-x\r\n", "")
    assert proxy.asked == [b"db.internal.invalid\0\x16"]
    assert proxy.got == [b"hi"]


def test_the_environment() -> None:
    proxy = Scripted(OK5 + b"here")
    with peer(proxy) as port:
        env = {"ALL_PROXY": f"socks5h://{HERE}:{port}", "NO_PROXY": "127.0.0.0/8"}
        assert client("env", "a.invalid", "1", env=env) == (0, b"here", "")
        with answerer() as direct:
            assert client("env", HERE, direct, data=b"hi", env=env) == (0, b"hi", "")
            assert run("tcp-client", HERE, direct, data=b"hi", env=env) == (0, b"hi", "")
    assert proxy.asked == [b"a.invalid\0\1"]


def test_each_new_connection_to_a_room_goes_through_it() -> None:
    proxy = Scripted(OK5 + b"* you are guest-1; hi\n")
    with peer(proxy) as port:
        url = f"socks5h://{HERE}:{port}"
        with Program("chat", "join", "--reconnect", "--proxy", url, "room.invalid", "9",
                     stdin=subprocess.PIPE) as program:  # fmt: skip
            eventually(lambda: len(proxy.asked) == 2)
            program.process.terminate()
            assert program.status() == 143
    assert set(proxy.asked) == {b"room.invalid\0\x09"}


def test_a_room_is_not_asked_for_again_with_a_wrong_password() -> None:
    count = 0

    def serve(sock: socket.socket) -> None:
        nonlocal count
        count += 1
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 407 No\r\n\r\n")

    with peer(serve) as port:
        words = ["--reconnect", "--proxy", f"http://bob:no@{HERE}:{port}", "room.invalid", "9"]
        status, _, stderr = run("chat", "join", *words)
    assert (status, count) == (97, 1)
    assert "rejected the user or the password" in stderr


# Ones that behave badly.


def ends(serve: Callable[[socket.socket], None], scheme: str = "http") -> tuple[int, str]:
    """The status, and what is said of the proxy, which is one line without its address."""
    with peer(serve) as port:
        status, out, stderr = client(f"{scheme}://bob:s3cr3t@{HERE}:{port}", "h.invalid", "1")
    assert out == b""
    assert stderr.startswith("sockkit: ")
    assert stderr.count("\n") == 1
    assert stderr.rstrip("\n").isprintable()
    assert "s3cr3t" not in stderr
    return status, stderr.replace(f"{HERE} port {port}", "X").removeprefix("sockkit: ").rstrip("\n")


@pytest.mark.parametrize(
    ("scheme", "data", "told"),
    [
        ("http", NASTY, "the proxy X refused the connection to h.invalid port 1: 500 "),
        ("http", noise(2000), "X is not an HTTP proxy"),
        ("http", b"HTTP/" + noise(200_000).replace(b"\n", b""), "the proxy X sends an endless"),
        ("http", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, "the proxy X sends an endless"),
        ("http", b"HTTP/1.1 200 OK\r\n", "the proxy X closed the connection: does it speak HTTP?"),
        ("http", b"", "the proxy X closed the connection"),
        ("socks5h", noise(2000), "X is not a SOCKS5 proxy: try another scheme, such as http://"),
        ("socks5h", b"\5", "the proxy X closed the connection: does it speak SOCKS5?"),
        ("socks5h", b"HTTP/1.1 400 Bad\r\n\r\n", "X is not a SOCKS5 proxy: it answers like"),
    ],
)  # fmt: skip
def test_nonsense(scheme: str, data: bytes, told: str) -> None:
    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.recv(1000)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)

    status, line = ends(serve, scheme)
    assert (status, line[: len(told)]) == (97, told)


def test_a_reset() -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    status, line = ends(serve)
    assert status == 97
    assert line.startswith("receiving from the proxy ")
    assert line.endswith(" failed: connection reset by peer")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_it_accepts_and_says_no_more(part: bytes) -> None:
    over = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(part)
        over.wait(WAIT)

    with peer(serve) as port:
        words = ["-w", "1s", "h.invalid", "1"]
        status, out, stderr = client(f"http://{HERE}:{port}", *words)
        over.set()
    told = f"the proxy {HERE} port {port} did not connect to h.invalid port 1 within 1 s"
    assert (status, out) == (28, b"")
    doubt = "" if part else "does it speak HTTP? If so, "
    assert stderr == f"sockkit: {told}: {doubt}allow more time with --connect-timeout\n"


def test_a_byte_at_a_time() -> None:
    """A head that never ends is read no longer than the time to connect."""

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 200 OK\r\n")
            end = time.monotonic() + WAIT
            while time.monotonic() < end:
                sock.sendall(b"x")
                time.sleep(0.01)

    with peer(serve) as port:
        words = ["-w", "500ms", "h.invalid", "1"]
        status, _, stderr = client(f"http://{HERE}:{port}", *words)
    assert (status, "within 0.5 s" in stderr) == (28, True)


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_while_it_waits(number: int) -> None:
    waits, over = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.recv(1000)
        waits.set()
        over.wait(WAIT)

    with peer(serve) as port:
        with Program("tcp-client", "--proxy", f"http://{HERE}:{port}", "h.invalid", "1") as program:
            assert waits.wait(WAIT)
            program.process.send_signal(number)
            assert program.status() == 128 + number
        over.set()


def test_a_proxy_that_is_not_there() -> None:
    port = free_port(HERE)
    told = f"could not connect to the proxy {HERE} port {port}: connection refused"
    told += ": start the proxy first, or check --proxy"
    assert client(f"http://{HERE}:{port}", "h", "1") == (97, b"", f"sockkit: {told}\n")
    status, _, stderr = client("http://nosuch.invalid", "h", "1")
    told = "could not connect to the proxy nosuch.invalid port 1080: could not resolve"
    assert (status, told in stderr) == (97, True)


# What is loaded.

TELL = """
import os, sys
import sockkit.cli.stopping
def leave(code, end=os._exit):
    print("loaded", *sys.modules, file=sys.stderr, flush=True)
    end(code)
os._exit = leave
"""


@pytest.mark.parametrize("proxy", [[], ["--proxy", "http://127.0.0.1:1"], ["--proxy", "env"]])
def test_the_library_is_loaded_only_for_a_proxy(proxy: list[str]) -> None:
    with Program("tcp-client", *proxy, HERE, "1", command=patched(TELL)) as program:
        loaded = program.said("loaded ").split()[1:]
    assert ("python_socks" in loaded) == (proxy[1:] == ["http://127.0.0.1:1"])
    assert ("sockkit.net.proxy.tunnel" in loaded) == ("python_socks" in loaded)
    assert not {"asyncio", "ssl"} & {*loaded}
