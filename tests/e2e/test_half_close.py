"""When the end of stdin is told to the peer, and what is said if an answer is missing."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import (
    HERE,
    ONCE,
    SERVER,
    WAIT,
    Program,
    both,
    connect,
    conversation,
    eventually,
    gone,
    need,
    patched,
    peer,
    read_all,
    read_exactly,
    run,
)

PIPE = subprocess.PIPE
REQUEST = b"GET /slow HTTP/1.0\r\n\r\n"
PAGE = b"slow, but whole\n" * 10_000
NO_ANSWER = "no answer after our half-close"
NEVER = "--half-close never"
TLS_PORT = "this port expects TLS, try --tls"
SOON = patched(
    "import sockkit.core.ending as ending\n"
    "ending.ANSWERED_SILENCE = 0.2; ending.UNANSWERED_SILENCE = 0.4"
)


class SlowServer:
    """A web server. Its answer waits until `released`, or the connection is dropped."""

    def __init__(self) -> None:
        self.dropped, self.released = threading.Event(), threading.Event()

    def serve(self, sock: socket.socket) -> None:
        sock.settimeout(0.05)
        while not self.released.is_set():
            with contextlib.suppress(TimeoutError):
                if not sock.recv(65536):
                    self.dropped.set()
                    return
        sock.settimeout(WAIT)
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(PAGE)}\r\n\r\n"
        sock.sendall(head.encode() + PAGE)


CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/socket{options};
        {server}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, server: str, options: str = "") -> Iterator[str]:
    """nginx with what is said of its one `server`; gives its address."""
    program = need("nginx", f"{os.environ['PATH']}:/usr/sbin")
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=folder, server=server, options=options))
    command = [program, "-e", "stderr", "-p", str(folder), "-c", str(path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=PIPE) as process:
        try:
            eventually(lambda: answers(folder / "socket") or process.poll() is not None)
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield f"unix:{folder}/socket"
        finally:
            process.terminate()
            process.wait(WAIT)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


@pytest.fixture
def slow() -> SlowServer:
    return SlowServer()


@pytest.fixture
def proxy(slow: SlowServer, tmp_path: Path) -> Iterator[str]:
    with (
        peer(slow.serve) as port,
        nginx(tmp_path, f"location / {{ proxy_pass http://{HERE}:{port}; }}") as address,
    ):
        yield address


def test_a_proxy_gives_up_a_slow_request_and_that_is_told(proxy: str) -> None:
    status, out, stderr = run("tcp-client", proxy, data=REQUEST)
    assert (status, out) == (0, b"")
    assert stderr.count("\n") == 1
    assert NO_ANSWER in stderr
    assert NEVER in stderr


@pytest.mark.parametrize("when", ["never", "auto"])
def test_the_whole_answer_of_a_slow_proxy(when: str, slow: SlowServer, proxy: str) -> None:
    with Program("tcp-client", "-v", "--half-close", when, proxy, stdin=PIPE) as client:
        client.type(REQUEST)
        client.end_input()
        client.said(f"input ended ({len(REQUEST)} bytes sent)")
        assert not slow.dropped.wait(0.3)
        slow.released.set()
        head, _, page = client.output().partition(b"\r\n\r\n")
        gone(client, 0)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert page == PAGE
    assert "never" not in client.stderr


@both
def test_an_automatic_half_close_follows_the_answer(kind: str) -> None:
    options = ["-v", "--half-close", "auto"]
    with conversation(kind, *options, stdin=PIPE, command=SOON) as (program, sock):
        program.type(b"question")
        program.end_input()
        assert read_exactly(sock, 8) == b"question"
        sock.sendall(b"answer")
        program.said("answered and is silent: half-closed")
        assert read_all(sock) == b""
        sock.sendall(b", and more")
        sock.close()
        assert program.output() == b"answer, and more"
        gone(program, 0)
        assert NO_ANSWER not in program.stderr


@both
def test_an_automatic_half_close_that_is_not_answered(kind: str) -> None:
    with conversation(kind, "--half-close", "auto", command=SOON) as (program, sock):
        assert read_all(sock) == b""
        sock.close()
        gone(program, 0)
        assert NO_ANSWER in program.stderr
        assert NEVER in program.stderr


@both
def test_never_leaves_the_end_to_the_peer(kind: str) -> None:
    with conversation(kind, "-v", "--half-close", "never", command=SOON) as (program, sock):
        program.said("input ended (0 bytes sent)")
        sock.settimeout(1.0)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.shutdown(socket.SHUT_WR)
        gone(program, 0)
        assert read_all(sock) == b""


@both
@pytest.mark.parametrize("when", ["auto", "never"])
def test_linger_ends_the_silence_of_a_peer_that_was_not_half_closed(kind: str, when: str) -> None:
    with conversation(kind, "--half-close", when, "--linger", "300ms") as (program, sock):
        gone(program, 0)
        assert read_all(sock) == b""


@both
def test_until_stdin_ends_closes_whatever_is_never_half_closed(kind: str) -> None:
    data = bytes(range(256)) * 4096
    options = ["--half-close", "never", "--until", "stdin"]
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        threading.Thread(target=lambda: (program.type(data), program.end_input())).start()
        assert read_all(sock) == data
        gone(program, 0)


def test_a_server_of_many_has_no_half_close() -> None:
    status, _, stderr = run(SERVER, "-p", "0", "--half-close", "never")
    assert status == 2
    assert "--half-close needs --once, --exec or --shell" in stderr


@both
@pytest.mark.parametrize(
    ("options", "data", "told"),
    [([], b"a line\n", False), (["-v"], b"a line\n", True), ([], REQUEST, True)],
    ids=["one way", "verbose", "request"],
)
def test_who_expects_an_answer_is_told_that_none_came(
    kind: str, options: list[str], data: bytes, told: bool
) -> None:
    with conversation(kind, *options, stdin=PIPE) as (program, sock):
        program.type(data)
        program.end_input()
        assert read_all(sock) == data
        sock.close()
        gone(program, 0)
        assert program.stderr.count(NO_ANSWER) == told
        assert program.stderr.count(NEVER) == told
        # TLS is expected by a port, not by who comes to ours.
        assert program.stderr.count("--tls") == (told and kind != ONCE)


@pytest.mark.parametrize("given_by", ["file", "pipe"])
def test_the_kernel_moves_all_but_the_first_bytes(given_by: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(REQUEST + bytes(3_000_000))
    source = ["cat", f"{tmp_path}/data"]
    with (
        Program("tcp-server", "--once", "-p", "0", stdin=subprocess.DEVNULL) as server,
        (tmp_path / "data").open("rb") as file,
        subprocess.Popen(source, stdout=PIPE) as cat,
    ):
        stdin = file if given_by == "file" else cat.stdout
        client = Program("tcp-client", "-v", HERE, str(server.port), stdin=stdin)
        with client:
            assert server.output() == REQUEST + bytes(3_000_000)
            gone(client, 0)
        cat.kill()
    lane = "sendfile" if given_by == "file" else "splice"
    assert f"sent 3,000,022 bytes by {lane}" in client.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of openssl for a certificate of no worth."""
    folder = tmp_path_factory.mktemp("certificate")
    files = ["-keyout", f"{folder}/key", "-out", f"{folder}/certificate"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = [need("openssl"), "req", "-x509", *curve, "-nodes", "-subj", "/CN=here", *files]
    subprocess.run(command, check=True, capture_output=True)
    return ["-cert", f"{folder}/certificate", "-key", f"{folder}/key"]


@pytest.fixture
def tls_port(certificate: list[str]) -> Iterator[str]:
    """Of openssl s_server, for one connection after the other."""
    command = [need("openssl"), "s_server", "-accept", f"{HERE}:0", *certificate]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        try:
            lines = (line.decode() for line in process.stdout)
            ready = next(line for line in lines if line.startswith("ACCEPT"))
            yield ready.rpartition(":")[2].strip()
        finally:
            process.terminate()
            process.wait(WAIT)


def test_a_plain_client_at_a_tls_port_is_told_so(tls_port: str) -> None:
    """And gets every byte of the alert."""
    status, out, stderr = run("tcp-client", HERE, tls_port)
    assert status == 0
    assert (out[:2], out[3:6], len(out)) == (b"\x15\x03", b"\0\2\2", 7)
    assert stderr.count("\n") == 1
    assert TLS_PORT in stderr


def test_a_plain_request_at_a_tls_port_is_told_of_tls(tls_port: str) -> None:
    """openssl closes without an alert when it sees one."""
    status, out, stderr = run("tcp-client", HERE, tls_port, data=REQUEST)
    assert (status, out) == (0, b"")
    assert stderr.count("\n") == 1
    assert "--tls if the port expects TLS" in stderr


def test_a_tls_port_that_resets_is_told_of_tls() -> None:
    def serve(sock: socket.socket) -> None:
        """Closes at once, with bytes that it has not read."""
        assert sock.recv(1)

    with peer(serve) as port:
        status, out, stderr = run("tcp-client", HERE, str(port), data=b"hello\n")
    assert (status, out) == (56, b"")
    assert "does it expect TLS (try --tls)" in stderr


def test_an_alert_from_a_client_is_only_bytes() -> None:
    with Program("tcp-server", "--once", "-p", "0") as server, connect(server.port) as sock:
        sock.sendall(b"\x15\x03\x03\0\2\2\x32")
        sock.close()
        assert server.output() == b"\x15\x03\x03\0\2\2\x32"
        gone(server, 0)
        assert "TLS" not in server.stderr
