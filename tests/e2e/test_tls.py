"""TLS, with openssl, ncat, socat and Python's ssl at the other end."""

from __future__ import annotations

import datetime
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.e2e.test_half_close import nginx
from tests.e2e.test_interop import blocks, free_port, listening
from tests.support import HERE, WAIT, Program, connect, eventually, need, peer, run

PIPE = subprocess.PIPE
PAGE = b"<p>it works</p>\n" * 10_000


class Files(NamedTuple):
    """Certificates in PEM: `both` has the server's and its key. `other` signs somebody else's."""

    ca: str
    cert: str
    key: str
    both: str
    client: str
    other: str


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    ca, other = trustme.CA(), trustme.CA()
    server, client = ca.issue_cert("localhost", HERE), ca.issue_cert("somebody")
    made = Files(*(str(folder / name) for name in Files._fields))
    ca.cert_pem.write_to_path(made.ca)
    other.cert_pem.write_to_path(made.other)
    server.cert_chain_pems[0].write_to_path(made.cert)
    server.private_key_pem.write_to_path(made.key)
    server.private_key_and_cert_chain_pem.write_to_path(made.both)
    client.private_key_and_cert_chain_pem.write_to_path(made.client)
    return made


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blocks(tmp_path_factory.mktemp("small") / "sent", 4)


def ours(files: Files) -> list[str]:
    return ["--tls", "--tls-cert", files.cert, "--tls-key", files.key]


def trust(files: Files) -> list[str]:
    return ["--tls", "--tls-ca", files.ca]


# Other programs. {0} is the port, {1} the files.
SERVERS = {
    "ncat": "ncat --ssl --recv-only -l {0} --ssl-cert {1.cert} --ssl-key {1.key}",
    "socat": "socat -u OPENSSL-LISTEN:{0},bind=127.0.0.1,cert={1.both},verify=0 STDOUT",
    "openssl": "openssl s_server -quiet -naccept 1 -accept 127.0.0.1:{0} -cert {1.both}",
}
CLIENTS = {
    "socat": "socat -u STDIN OPENSSL:127.0.0.1:{0},cafile={1.ca},commonname=localhost",
    "openssl": "openssl s_client -quiet -verify_return_error -CAfile {1.ca} -connect 127.0.0.1:{0}",
}


def command(line: str, port: int, files: Files) -> list[str]:
    words = line.format(port, files).split()
    return [need(words[0]), *words[1:]]


@pytest.mark.parametrize("name", SERVERS)
def test_a_file_to_another_program(name: str, files: Files, small: Path, tmp_path: Path) -> None:
    port, received = free_port(), tmp_path / "received"
    with (
        received.open("wb") as out,
        Program(command=command(SERVERS[name], port, files), stdin=PIPE, stdout=out) as server,
    ):
        eventually(lambda: listening(port))
        status, answer, stderr = run(
            "tcp-client", *trust(files), "--half-close", "now", "localhost", str(port),
            data=small.read_bytes(),
        )  # fmt: skip
        assert answer == b""
        assert (status, stderr) == (0, "")
        eventually(lambda: received.stat().st_size == small.stat().st_size)
        server.end_input()
        server.process.wait(WAIT)
    assert received.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_file_from_another_program(name: str, files: Files, small: Path) -> None:
    with Program("tcp-server", "--once", "-p", "0", *ours(files)) as server:
        line = command(CLIENTS[name], server.port, files)
        with small.open("rb") as file, Program(command=line, stdin=file) as client:
            assert server.output() == small.read_bytes()
            assert client.status() == 0
        assert server.status() == 0, server.stderr


def test_a_file_from_ncat_which_ends_without_close_notify(files: Files, small: Path) -> None:
    with Program("tcp-server", "--once", "-p", "0", *ours(files)) as server:
        line = [need("ncat"), "--ssl", "--send-only", HERE, str(server.port)]
        with small.open("rb") as file, Program(command=line, stdin=file) as client:
            assert server.output() == small.read_bytes()
            client.status()
        assert server.status() == 56
        server.said("so data may be missing")


@pytest.mark.parametrize("kind", ["echo", "tcp-server", "chat serve"])
def test_a_server_and_a_client_of_ours(kind: str, files: Files) -> None:
    options = ["--reply", "thank you !"] if kind == "tcp-server" else []
    with Program(*kind.split(), "-p", "0", *ours(files), *options) as server:
        join = ["chat", "join"] if kind == "chat serve" else ["tcp-client"]
        status, out, stderr = run(
            *join, *trust(files), "localhost", str(server.port), data=b"hello\n"
        )
        assert (status, stderr) == (0, "")
        said = {"echo": b"hello\n", "tcp-server": b"thank you !", "chat serve": b"* you are"}
        assert said[kind] in out


def test_much_goes_both_ways_at_once(files: Files, small: Path) -> None:
    with (
        Program("echo", "-p", "0", *ours(files)) as server,
        small.open("rb") as file,
        Program("tcp-client", *trust(files), "localhost", str(server.port), stdin=file) as client,
    ):
        assert client.output() == small.read_bytes()
        assert client.status() == 0, client.stderr


# Trust.


def fails(status: int, *words: str, files: Files, arguments: list[str], server: list[str]) -> None:
    """A client with `arguments` ends before a byte of its input has been sent."""
    with Program("tcp-server", "-p", "0", *server) as program:
        got, out, stderr = run("tcp-client", *arguments, str(program.port), data=b"secret")
        assert (got, out) == (status, b""), stderr
        for word in words:
            assert word in stderr
        assert stderr.startswith("sockkit: ")
        assert stderr.count("\n") == 1
        program.process.terminate()
        assert program.output() == b""


def test_a_certificate_that_nobody_known_has_signed(files: Files) -> None:
    arguments = ["--tls", "--tls-ca", files.other, "localhost"]
    fails(60, "not trusted", "--tls-ca", files=files, arguments=arguments, server=ours(files))
    arguments = ["--tls", "localhost"]  # by the system's
    fails(60, "not trusted", "--tls-ca", files=files, arguments=arguments, server=ours(files))


def test_a_certificate_for_another_name(files: Files) -> None:
    arguments = [*trust(files), "--tls-name", "other.example", HERE]
    fails(60, "other.example", "--tls-name", files=files, arguments=arguments, server=ours(files))


def test_a_certificate_that_has_expired(files: Files, tmp_path: Path) -> None:
    ca = trustme.CA()
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    ca.cert_pem.write_to_path(str(tmp_path / "ca"))
    leaf = ca.issue_cert("localhost", not_after=past)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "leaf"))
    server = ["--tls", "--tls-cert", str(tmp_path / "leaf")]
    arguments = ["--tls", "--tls-ca", str(tmp_path / "ca"), "localhost"]
    fails(60, "expired", files=files, arguments=arguments, server=server)


def test_an_insecure_client_is_warned(files: Files) -> None:
    with Program("echo", "-p", "0", *ours(files)) as server:
        status, out, stderr = run(
            "tcp-client", "--tls", "--tls-insecure", HERE, str(server.port), data=b"hi"
        )
        assert (status, out) == (0, b"hi")
        assert "--tls-insecure" in stderr


def test_a_certificate_for_one_run_and_its_fingerprint(files: Files) -> None:
    with Program("echo", "-p", "0", "--tls") as server:
        line = server.said("--tls-fingerprint").split("sockkit ")[1].split()
        assert run(*line, data=b"hi") == (0, b"hi", "")
        line[line.index("--tls-fingerprint") + 1] = "00" * 32
        status, out, stderr = run(*line, data=b"hi")
        assert (status, out) == (60, b"")
        assert "its fingerprint is" in stderr


def test_clients_with_a_certificate_alone(files: Files) -> None:
    server = [*ours(files), "--tls-client-ca", files.ca]
    fails(35, "certificate", files=files, arguments=[*trust(files), "localhost"], server=server)
    with Program("echo", "-p", "0", *server) as program:
        status, out, stderr = run(
            "tcp-client", *trust(files), "--tls-cert", files.client, "localhost",
            str(program.port), data=b"hi",
        )  # fmt: skip
        assert (status, out, stderr) == (0, b"hi", "")


def test_openssl_refuses_a_client_without_a_certificate(files: Files) -> None:
    port = free_port()
    line = f"{SERVERS['openssl']} -Verify 1 -verify_return_error -CAfile {{1.ca}}"
    with Program(command=command(line, port, files), stdin=PIPE) as server:
        eventually(lambda: listening(port))
        status, _, stderr = run("tcp-client", *trust(files), "localhost", str(port), data=b"hi")
        assert status == 35, stderr
        assert "certificate" in stderr
        server.process.kill()


# Who does not speak TLS.


def test_a_plain_server(files: Files) -> None:
    def refuse(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"400 what is that?\r\n")

    with peer(refuse) as port:
        status, _, stderr = run("tcp-client", *trust(files), "localhost", str(port), data=b"hi")
        assert status == 35
        assert "does not speak TLS" in stderr


def test_a_plain_client(files: Files) -> None:
    with Program("tcp-server", "-p", "0", *ours(files)) as server:
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"hello\n"):
            status, out, stderr = run("tcp-client", HERE, str(server.port), data=data)
            assert (status, len(out)) == (0, 7)
            assert "this port expects TLS, try --tls" in stderr
        server.said("does not speak TLS")


def test_one_that_says_nothing_delays_nobody(files: Files) -> None:
    with Program("echo", "-p", "0", *ours(files)) as server:
        silent = [connect(server.port) for _ in range(20)]
        status, out, _ = run("tcp-client", *trust(files), "localhost", str(server.port), data=b"hi")
        assert (status, out) == (0, b"hi")
        for sock in silent:
            sock.close()


# HTTPS.


Serve = Callable[[ssl.SSLSocket], None]


@pytest.fixture
def web(files: Files, tmp_path: Path) -> Iterator[int]:
    """Python's own web server under TLS, which ends without close_notify; gives its port."""
    (tmp_path / "index.html").write_bytes(PAGE)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.both)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(WAIT)


def test_a_page_from_a_server_that_sends_no_close_notify(web: int, files: Files) -> None:
    status, out, stderr = run(
        "tcp-client", *trust(files), "localhost", str(web), data=b"GET / HTTP/1.0\r\n\r\n"
    )
    assert out.partition(b"\r\n\r\n")[2] == PAGE
    assert status == 56
    assert "so data may be missing" in stderr


def test_a_page_from_nginx(files: Files, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    server = f"ssl_certificate {files.both}; ssl_certificate_key {files.key}; root {tmp_path};"
    with nginx(tmp_path, server, " ssl") as address:
        status, out, stderr = run(
            "tcp-client", *trust(files), "--tls-name", "localhost", address,
            data=b"GET / HTTP/1.0\r\n\r\n",
        )  # fmt: skip
    assert (status, stderr) == (0, "")
    assert out.partition(b"\r\n\r\n")[2] == PAGE


def test_an_answer_that_comes_late_is_not_lost(files: Files) -> None:
    """Of a server that drops its answer when it gets close_notify, as openssl's does."""
    port = free_port()
    with Program(command=command(SERVERS["openssl"], port, files), stdin=PIPE) as server:
        eventually(lambda: listening(port))
        with Program("tcp-client", *trust(files), "localhost", str(port), stdin=PIPE) as client:
            client.type(b"a question\n")
            client.end_input()
            assert server.process.stdout
            assert server.process.stdout.readline() == b"a question\n"
            server.type(b"an answer\n")
            assert client.output() == b"an answer\n"
            assert client.status() == 0, client.stderr
