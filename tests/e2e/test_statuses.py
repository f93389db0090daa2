"""The exit statuses, and the one line that explains each."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import (
    HERE,
    ONCE,
    SERVER,
    SOCKKIT,
    Program,
    connect,
    conversation,
    gone,
    peer,
    read_all,
    run,
)

DEVNULL = subprocess.DEVNULL
CLOSED = {"0": "<&-", "1": ">&-", "2": "2>&-"}
PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE = 24, 10


def fails(status: int, *words: str, arguments: list[str], data: bytes = b"") -> None:
    """`sockkit ARGUMENTS` says nothing but one line with all `words`."""
    got, out, stderr = run(*arguments, data=data)
    assert (got, out) == (status, b""), stderr
    assert stderr.startswith("sockkit: ")
    assert stderr.count("\n") == 1
    for word in words:
        assert word in stderr


# What else is a usage error is in tests/cli/test_main.py.
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tcp-client", HERE, "65536"], "'65536' is not a port"),
        (["tcp-server", "-p", "٨٠"], "'٨٠' is not a port"),
        (["tcp-client", "--nosuch", HERE, "80"], "--nosuch"),
        (["tcp-server", "-p", "0", "--until", "stdin"], "--once"),
    ],
)
def test_usage(arguments: list[str], named: str) -> None:
    fails(2, named, arguments=arguments)


@pytest.mark.parametrize("form", ["{0} {1}", "localhost:{1}"])
def test_address_forms(form: str) -> None:
    with peer(lambda sock: sock.sendall(b"here")) as port:
        assert run("tcp-client", *form.format(HERE, port).split()) == (0, b"here", "")


@pytest.mark.parametrize("form", ["[::1]:{}", "-6 ::1 {}"])
def test_address_forms_of_ipv6(form: str) -> None:
    with peer(lambda sock: sock.sendall(b"here"), "::1", socket.AF_INET6) as port:
        assert run("tcp-client", *form.format(port).split()) == (0, b"here", "")


@pytest.mark.parametrize("name", ["nosuch.invalid", "\udcff"])
def test_a_name_that_has_no_address(name: str) -> None:
    """More of them are in tests/net/test_endpoint.py."""
    fails(6, "could not resolve", name.encode(errors="replace").decode().strip("?"),
          arguments=["tcp-client", name, "80"])  # fmt: skip


@contextlib.contextmanager
def taken() -> Iterator[str]:
    """A port that is bound, where nobody listens."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        yield str(sock.getsockname()[1])


def test_refused(tmp_path: Path) -> None:
    with taken() as port:
        fails(7, f"could not connect to {HERE} port {port}: connection refused: "
              "start the server first, or check the address\n",
              arguments=["tcp-client", HERE, port])  # fmt: skip
        fails(45, "--source", arguments=["tcp-client", "--source", "192.0.2.1", HERE, port])
        fails(45, "--source", arguments=["tcp-client", "--source", "::1", HERE, port])
    fails(7, f"unix:{tmp_path}/none", "start the server first",
          arguments=["tcp-client", f"unix:{tmp_path}/none"])  # fmt: skip
    (tmp_path / "file").touch()
    fails(7, f"unix:{tmp_path}/file", arguments=["tcp-client", f"unix:{tmp_path}/file"])


def test_connect_timeout() -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server((HERE, 0), backlog=0))
        for _ in range(4):  # more than it holds: the next one's SYN is dropped
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        port = str(full.getsockname()[1])
        fails(28, port, "0.3 s", arguments=["tcp-client", "-w", "300ms", HERE, port])


def test_port_in_use() -> None:
    with Program("tcp-server", "-p", "0") as first:
        port = str(first.port)
        fails(45, f"port {port} is in use", "-p 0", arguments=["tcp-server", "-p", port])
        with connect(first.port):  # and the first one serves on
            pass


def test_privileged_port() -> None:
    def unprivileged() -> None:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE, 0, 0, 0)

    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("no port is privileged here")
    with Program("tcp-server", "-p", "80", preexec_fn=unprivileged) as program:
        gone(program, 45, "port 80 needs root privileges", "try -p 8080")


def test_foreign_address() -> None:
    address = "192.0.2.1"
    fails(
        45, address, "use --bind 127.0.0.1", arguments=["tcp-server", "-p", "0", "--bind", address]
    )


def test_unix_address_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "file", tmp_path / "none" / "x"):
        fails(45, str(path), arguments=["tcp-server", "--bind", f"unix:{path}"])
    assert (tmp_path / "file").read_text() == "kept"


def test_port_file_that_cannot_be(tmp_path: Path) -> None:
    place = str(tmp_path / "none" / "port")
    fails(23, place, arguments=["tcp-server", "-p", "0", "--port-file", place])


@pytest.mark.parametrize(
    ("options", "data", "sent", "words"),
    [
        (["-E", "gbk"], "好\n你👋!", "好\n你".encode("gbk"), ["U+1F44B", "line 2, character 2"]),
        (["-E", "ascii", "-C"], "a\nb\né", b"a\r\nb\r\n", ["'é'", "line 3, character 1"]),
        (["-E", "gbk"], b"ok\xff\xfe", b"ok", ["0xff", "byte 3"]),
        (["-E", "gbk"], "cut你".encode()[:-1], b"cut", ["0xe4", "byte 4"]),
    ],
)
def test_input_that_cannot_be_encoded(
    options: list[str], data: str | bytes, sent: bytes, words: list[str]
) -> None:
    got: list[bytes] = []
    with peer(lambda sock: got.append(read_all(sock))) as port:
        data = data if isinstance(data, bytes) else data.encode()
        fails(65, *words, arguments=["tcp-client", *options, HERE, str(port)], data=data)
    assert got == [sent]


@pytest.mark.parametrize(("kind", "option"), [(ONCE, "--greet"), (SERVER, "--reply")])
def test_an_answer_that_cannot_be_encoded(kind: str, option: str) -> None:
    fails(65, option, "'👋'", arguments=[*kind.split(), "-p", "0", "-E", "gbk", option, "hi 👋"])


def test_what_arrives_cannot_be_decoded() -> None:
    with conversation(ONCE, "-E", "gbk", "--errors", "strict") as (program, sock):
        sock.sendall(b"good\xff\xffbad")
        sock.close()
        gone(program, 65, "0xff", "byte 5")
        assert program.output() == b"good"


@pytest.mark.parametrize("arguments", [["--version"], ["tcp-client", "-h"]])
def test_help_is_output(arguments: list[str]) -> None:
    status, out, stderr = run(*arguments)
    assert (status, stderr) == (0, "")
    assert b"sockkit" in out
    with open("/dev/full", "wb") as full, Program(*arguments, stdout=full) as program:
        gone(program, 23, "no space left on device")
    reader, writer = os.pipe()
    os.close(reader)  # what `| head` does, without the race
    with os.fdopen(writer, "wb") as file, Program(*arguments, stdout=file) as program:
        gone(program, 141)


def test_nothing_to_do_is_help_on_stderr() -> None:
    status, out, stderr = run()
    assert (status, out) == (2, b"")
    assert "Usage:" in stderr


def closed(which: str, *arguments: str, **more: object) -> Program:
    shell = f'exec "$0" "$@" {" ".join(CLOSED[number] for number in which)}'
    return Program(*arguments, command=("sh", "-c", shell, SOCKKIT), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("which", "status"), [("0", 0), ("2", 0), ("1", 23), ("012", 23)])
def test_closed_standard_streams(which: str, status: int) -> None:
    got: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"answer")
        with contextlib.suppress(ConnectionResetError):  # if the answer cannot be written
            got.append(read_all(sock))

    with (
        peer(serve) as port,
        closed(which, "tcp-client", HERE, str(port), stdin=subprocess.PIPE) as program,
    ):
        if "0" not in which:
            program.end_input()
        assert program.status() == status
        assert program.output() == (b"" if "1" in which else b"answer")
    assert got == [b""] or (not got and "1" in which)


def test_help_without_an_output() -> None:
    with closed("12", "--help") as program:
        assert program.status() == 23


def test_an_error_without_stderr() -> None:
    with taken() as port, closed("2", "tcp-client", HERE, port) as program:
        assert program.status() == 7
        assert program.output() == b""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_help_in_an_encoding_that_lacks_some_of_it(encoding: str) -> None:
    status, out, stderr = run("chat", "join", "--help", env={"PYTHONIOENCODING": encoding})
    assert (status, stderr) == (0, "")
    assert b"sockkit" in out


@pytest.mark.parametrize("arguments", [["tcp-client", HERE, "9"], ["udp-server", "-p", "0"]])
def test_a_buffer_that_does_not_fit_the_memory(arguments: list[str]) -> None:
    """As a usage error, and before anybody is spoken to."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))

    status, out, stderr = run(*arguments, "--buffer-size", "1900M", preexec_fn=limit)
    assert (status, out) == (2, b"")
    assert stderr.startswith("sockkit: not enough memory for --buffer-size 1,992,294,400 bytes")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("most", range(5, 15))
def test_a_limit_of_open_files_is_told_in_one_line(most: int, tmp_path: Path) -> None:
    """Whatever meets it, and most often an import does."""
    line = ["tcp-client", "-x", "--record", str(tmp_path / "a.rec"), HERE, "9"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # noqa: E731
    done = subprocess.run(
        [SOCKKIT, *line], capture_output=True, check=False, preexec_fn=limit, stdin=DEVNULL
    )
    told = done.stderr.decode()
    assert told.startswith("sockkit: ")
    assert told.count("\n") == 1
    assert ("too many open files" in told) == (done.returncode == 1)
    assert done.returncode in (1, 7)
