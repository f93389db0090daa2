"""Each example of the help is run, on this machine.

An example has a case here, which names what it replaces in the command line: the hosts and ports,
and programs that are not there. All else of the line is run as the help shows it, by a shell.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from sockkit.cli.chat import command as chat
from sockkit.cli.commands import group
from sockkit.cli.help import command as help_command
from tests.support import (
    HERE,
    SOCKKIT,
    WAIT,
    Program,
    Terminal,
    connect,
    datagrams,
    need,
    noise,
    peer,
    read_all,
    read_exactly,
    run,
)
from tests.test_docs import commands

PIPE = subprocess.PIPE
Case = Callable[[str, Path], None]
CASES: dict[str, Case] = {}


def examples() -> list[str]:
    """The command lines of every page, which are indented."""
    pages = [group, chat, help_command, *commands().values()]
    lines = [line for page in pages for line in (page.epilog or "").splitlines()]
    return list(dict.fromkeys(line.strip() for line in lines if line.startswith("  ")))


def example(line: str) -> Callable[[Case], Case]:
    """The decorated function is the case of `line`."""

    def case(function: Case) -> Case:
        CASES[line] = function
        return function

    return case


def test_every_example_has_a_case() -> None:
    assert sorted(CASES) == sorted(examples())


@pytest.mark.parametrize("line", CASES)
def test_an_example_does_what_it_says(line: str, tmp_path: Path) -> None:
    CASES[line](line, tmp_path)


def replaced(line: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert line.count(old) == 1, f"{line!r} has no {old!r}, or several"
        line = line.replace(old, new)
    return line


PIPES = {"stdin": PIPE, "stdout": PIPE}


def shell(line: str, folder: Path, streams: dict[str, int] = PIPES, **env: str) -> Program:
    """A shell that runs `line` in `folder`; a line that is one command becomes that command."""
    path = {"PATH": f"{Path(SOCKKIT).parent}:/usr/bin:/bin", "TERM": "dumb", **env}
    alone = line if "|" in line or ";" in line else f"exec {line}"
    command = (need("bash"), "-c", alone)
    return Program(
        command=command, stdin=streams["stdin"], stdout=streams["stdout"], cwd=folder, env=path
    )


@contextlib.contextmanager
def serving(
    line: str,
    folder: Path,
    changes: dict[str, str],
    streams: dict[str, int] = PIPES,
    **env: str,
) -> Iterator[Program]:
    """The server of an example, while it listens; then it is stopped, as by Ctrl-C."""
    with shell(replaced(line, changes), folder, streams, **env) as program:
        program.said("listening on ")
        yield program
        if program.process.poll() is None:
            program.process.send_signal(signal.SIGINT)
            assert program.status() == 130


def ran(line: str, folder: Path, changes: dict[str, str], data: bytes = b"", **env: str) -> bytes:
    """What an example prints that is run to its end, with `data` on stdin; it does not fail."""
    with shell(replaced(line, changes), folder, **env) as program:
        with contextlib.suppress(BrokenPipeError):  # a line may have an input of its own
            program.type(data)
            program.end_input()
        out = program.output()
        assert program.status() == 0, program.stderr
        return out


def told(program: Program, count: int) -> bytes:
    """The next `count` bytes of the program's output."""
    assert program.process.stdout
    return program.process.stdout.read(count)


def shows(program: Program, text: bytes) -> bytes:
    """The program's output up to where `text` has come."""
    assert program.process.stdout
    shown = b""
    while text not in shown:
        byte = program.process.stdout.read(1)
        assert byte, shown
        shown += byte
    return shown


def asked(program: Program, text: bytes, answer: bytes) -> None:
    """A client that sends `text` to a server gets `answer`."""
    with connect(program.port) as sock:
        sock.sendall(text)
        assert read_exactly(sock, len(answer)) == answer


def udp_asked(program: Program, text: bytes, answer: bytes) -> None:
    with datagrams(program.port) as sock:
        sock.send(text)
        assert sock.recv(65536) == answer


def answers(text: bytes, heard: list[bytes]) -> Callable[[socket.socket], None]:
    """A server that answers with `text` when the client has ended its side."""

    def serve(sock: socket.socket) -> None:
        heard.append(read_all(sock))
        sock.sendall(text)

    return serve


@contextlib.contextmanager
def udp_peer(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A service on UDP; gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))

        def loop() -> None:
            while True:
                text, sender = sock.recvfrom(65536)
                if text == b"end of the test":
                    return
                sock.sendto(answer(text), sender)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with datagrams(sock.getsockname()[1]) as last:
                last.send(b"end of the test")
            thread.join(WAIT)


@contextlib.contextmanager
def tls_peer(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A server with a certificate: its port, and the environment that trusts it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as secure:
            heard = secure.recv(65536)
            secure.sendall(heard.upper())
            secure.unwrap()

    with peer(serve) as port:
        yield port, {"SSL_CERT_FILE": str(folder / "ca.pem")}


# The first page.


@example("sockkit tcp-server -p 8080")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"8080": "0"}) as server, connect(server.port) as sock:
        sock.sendall(b"hello\n")
        assert told(server, 6) == b"hello\n"
        server.type(b"welcome\n")
        assert read_exactly(sock, 8) == b"welcome\n"


@example("sockkit tcp-client 127.0.0.1 8080")
def _(line: str, folder: Path) -> None:
    heard: list[bytes] = []
    with peer(answers(b"hi\n", heard)) as port:
        assert ran(line, folder, {"8080": str(port)}, b"hello\n") == b"hi\n"
    assert heard == [b"hello\n"]


@example("sockkit help")
@example("sockkit help tcp-client")
@example("sockkit help chat join")
def _(line: str, folder: Path) -> None:
    usage = line.replace(" help", "", 1)
    assert ran(line, folder, {}).decode().startswith(f"Usage: {usage} ")


# tcp-client and tcp-server


@example(r"printf 'GET / HTTP/1.0\r\n\r\n' | sockkit tcp-client 127.0.0.1 8000")
def _(line: str, folder: Path) -> None:
    heard: list[bytes] = []
    with peer(answers(b"HTTP/1.0 200 OK\r\n\r\n", heard)) as port:
        assert ran(line, folder, {"8000": str(port)}) == b"HTTP/1.0 200 OK\r\n\r\n"
    assert heard == [b"GET / HTTP/1.0\r\n\r\n"]


@example("sockkit tcp-client 192.168.1.20 9000 < firmware.bin")
def _(line: str, folder: Path) -> None:
    heard: list[bytes] = []
    (folder / "firmware.bin").write_bytes(noise(100_000))
    with peer(answers(b"", heard)) as port:
        assert ran(line, folder, {"192.168.1.20 9000": f"{HERE} {port}"}) == b""
    assert heard == [noise(100_000)]


@example("sockkit tcp-client --tls www.example.org 443")
def _(line: str, folder: Path) -> None:
    with tls_peer(folder) as (port, trust):
        here = {"www.example.org 443": f"localhost {port}"}
        assert ran(line, folder, here, b"hello", **trust) == b"HELLO"


@example("sockkit tcp-client -E gbk -C 192.168.1.30 7788")
def _(line: str, folder: Path) -> None:
    heard: list[bytes] = []
    with peer(answers("好\n".encode("gbk"), heard)) as port:
        here = {"192.168.1.30 7788": f"{HERE} {port}"}
        assert ran(line, folder, here, "你好\n".encode()).decode() == "好\n"
    assert heard == ["你好\r\n".encode("gbk")]


@example("sockkit tcp-server -p 9000 --once > received.tar")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"9000": "0"}) as server:
        server.end_input()
        with connect(server.port) as sock:
            sock.sendall(noise(100_000))
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
        assert server.status() == 0
    assert (folder / "received.tar").read_bytes() == noise(100_000)


@example("sockkit tcp-server -p 8443 --tls")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"8443": "0"}) as server:
        shown = server.said("connect with ").split("connect with ")[1]
        with shell(shown.strip(), folder) as client:
            client.type(b"hello\n")
            assert told(server, 6) == b"hello\n"


@example("sockkit tcp-server --bind 0.0.0.0 -p 8080 --allow 192.168.1.0/24")
def _(line: str, folder: Path) -> None:
    changes = {"0.0.0.0": HERE, "8080": "0", "192.168.1.0/24": "127.0.0.0/31"}
    with serving(line, folder, changes) as server:
        with connect(server.port) as sock:
            sock.sendall(b"hello\n")
            assert told(server, 6) == b"hello\n"
        with socket.socket() as other:
            other.settimeout(WAIT)
            other.bind(("127.0.0.2", 0))
            other.connect((HERE, server.port))
            assert refused(other)


def refused(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@example("sockkit tcp-server --bind 0.0.0.0 -p 7788 -E gbk --reply 'thank you !'")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"0.0.0.0": HERE, "7788": "0"}) as server:
        asked(server, "你好\n".encode("gbk"), b"thank you !")
        assert told(server, 7).decode() == "你好\n"


# udp-client and udp-server


@example("sockkit udp-client 127.0.0.1 8008")
def _(line: str, folder: Path) -> None:
    with udp_peer(bytes.upper) as port:
        assert ran(line, folder, {"8008": str(port)}, b"hello") == b"HELLO"


@example("sockkit udp-client --name 小雪 127.0.0.1 8008")
def _(line: str, folder: Path) -> None:
    with udp_peer(bytes) as port:
        assert ran(line, folder, {"8008": str(port)}, b"hello\n").decode() == "小雪:hello\n"


@example("echo STATUS | sockkit udp-client --lines --expect 1 -w 2 192.168.1.30 7788")
def _(line: str, folder: Path) -> None:
    with udp_peer(lambda text: b"%s is fine" % text) as port:
        here = {"192.168.1.30 7788": f"{HERE} {port}", "-w 2": f"-w {WAIT:.0f}"}
        assert ran(line, folder, here) == b"STATUS is fine\n"


@example("sockkit udp-server -p 8008")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"8008": "0"}) as server, datagrams(server.port) as sock:
        sock.send(b"hello\n")
        assert told(server, 6) == b"hello\n"
        server.type(b"welcome\n")
        assert sock.recv(100) == b"welcome\n"


@example("sockkit udp-server -p 8008 --color alex=green --color 小雪=magenta")
def _(line: str, folder: Path) -> None:
    with Terminal() as terminal:
        screen = {"stdin": terminal.child, "stdout": terminal.child}
        changes = {"8008": "0"}
        with (
            serving(line, folder, changes, screen, FORCE_COLOR="1") as server,
            datagrams(server.port) as sock,
        ):
            for name, color in (("alex", 32), ("小雪", 35)):
                sock.send(f"{name}:hi\n".encode())
                terminal.shows(f"\x1b[{color}m{name}:\x1b[39mhi".encode())


@example("sockkit udp-server --bind 0.0.0.0 -p 5000 --reply ok")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"0.0.0.0": HERE, "5000": "0"}) as server:
        udp_asked(server, b"hello", b"ok")


@example("sockkit udp-server -p 1300 --exec date")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"1300": "0"}) as server, datagrams(server.port) as sock:
        sock.send(b"?")
        assert b":" in sock.recv(100)


@example("sockkit udp-server --bind unix:/tmp/log.sock --unix-mode 660 --lines")
def _(line: str, folder: Path) -> None:
    path = folder / "log.sock"
    with (
        serving(line, folder, {"/tmp/log.sock": str(path)}) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        assert path.stat().st_mode & 0o777 == 0o660
        sock.connect(str(path))
        sock.send(b"one")
        assert told(server, 4) == b"one\n"
    assert not path.exists()


# echo


@example("sockkit echo -p 7007")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"7007": "0"}) as server:
        asked(server, b"hello\n", b"hello\n")
        udp_asked(server, b"hello", b"hello")


@example("sockkit echo --upper --tcp -p 8080 --backlog 5")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"8080": "0"}) as server:
        asked(server, b"hello\n", b"HELLO\n")


@example(r"sockkit echo -p 7007 --reply 'PING*=PONG' --reply-re '^ADD (\d+)=OK \1'")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"7007": "0"}) as server:
        asked(server, b"PING 1\nADD 22\nhello\n", b"PONG\nOK 22\nhello\n")


@example("sockkit echo --udp -p 7007 --drop 5% --delay 200ms")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"7007": "0"}) as server, datagrams(server.port) as sock:
        for _ in range(100):  # some of them may be dropped
            sock.send(b"hello")
        assert sock.recv(100) == b"hello"


# probe


@example("sockkit probe 192.168.1.1:22,80,8000-8100")
def _(line: str, folder: Path) -> None:
    with peer(hang_up) as one, peer(hang_up) as two, peer(hang_up) as three:
        ports = f"{one},{two},{three}-{three}"
        shown = ran(line, folder, {"192.168.1.1:22,80,8000-8100": f"{HERE}:{ports}"}).decode()
    lines = [line.split()[:2] for line in shown.splitlines()]
    assert lines == [[f"{HERE}:{port}", "open"] for port in (one, two, three)]


def hang_up(sock: socket.socket) -> None:
    """Serve nothing."""


@example("sockkit probe --wait 30s db:5432 cache:6379 -- ./serve --port 8000")
def _(line: str, folder: Path) -> None:
    script = folder / "serve"
    script.write_text('#!/bin/sh\necho "serving $*"\n')
    script.chmod(0o755)
    with peer(hang_up) as one, peer(hang_up) as two:
        here = {"db:5432": f"{HERE}:{one}", "cache:6379": f"{HERE}:{two}"}
        assert ran(line, folder, here) == b"serving --port 8000\n"


@example(r"sockkit probe --send $'GET / HTTP/1.0\r\n\r\n' --match HTTP 127.0.0.1 8000")
def _(line: str, folder: Path) -> None:
    heard = []

    def serve(sock: socket.socket) -> None:
        heard.append(read_exactly(sock, 18))
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with peer(serve) as port:
        shown = ran(line, folder, {"127.0.0.1 8000": f"{HERE} {port}"}).decode()
    assert shown.split()[:2] == [f"{HERE}:{port}", "open"]
    assert heard == [b"GET / HTTP/1.0\r\n\r\n"]


@example("sockkit probe --tls www.example.org:443")
def _(line: str, folder: Path) -> None:
    with tls_peer(folder) as (port, trust):
        here = {"www.example.org:443": f"localhost:{port}"}
        shown = ran(line, folder, here, **trust).decode()
    assert shown.split()[:2] == [f"localhost:{port}", "open"]


# relay


def upper(sock: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):  # a relay that is stopped before the end
        while text := sock.recv(65536):
            sock.sendall(text.upper())


@example("sockkit relay -p 8080 -x 192.168.1.20 80")
def _(line: str, folder: Path) -> None:
    with peer(upper) as port:
        changes = {"-p 8080": "-p 0", "192.168.1.20 80": f"{HERE} {port}"}
        with serving(line, folder, changes) as relay:
            asked(relay, b"hello\n", b"HELLO\n")
            shown = shows(relay, b"HELLO.").decode().splitlines()
    dumps = [text.split()[:3] for text in shown if text[2:10] == "00000000"]
    assert dumps == [[">", "00000000", "68"], ["<", "00000000", "48"]]


@example("sockkit relay -p 8080 --record session.rec 192.168.1.20 80")
def _(line: str, folder: Path) -> None:
    with peer(upper) as port:
        changes = {"-p 8080": "-p 0", "192.168.1.20 80": f"{HERE} {port}"}
        with serving(line, folder, changes) as relay:
            asked(relay, b"hello\n", b"HELLO\n")
    shown = run("show", str(folder / "session.rec"))[1].splitlines()
    assert [text[:1] + text[-6:] for text in shown if text.lower().endswith(b" hello")] == [
        b"> hello",
        b"< HELLO",
    ]


@example("sockkit relay -p 8080 --to-tls www.example.org 443")
def _(line: str, folder: Path) -> None:
    with tls_peer(folder) as (port, trust):
        changes = {"-p 8080": "-p 0", "www.example.org 443": f"localhost {port}"}
        with serving(line, folder, changes, **trust) as relay:
            asked(relay, b"hello", b"HELLO")


@example("sockkit relay --udp -p 5353 --drop 10% 192.168.1.1 53")
def _(line: str, folder: Path) -> None:
    with udp_peer(bytes.upper) as port:
        changes = {"-p 5353": "-p 0", "192.168.1.1 53": f"{HERE} {port}"}
        with serving(line, folder, changes) as relay, datagrams(relay.port) as sock:
            for _ in range(100):  # some of them are dropped
                sock.send(b"hello")
            assert sock.recv(100) == b"HELLO"


@example("sockkit relay -p 7788 -E gbk 192.168.1.30 7788")
def _(line: str, folder: Path) -> None:
    heard = []

    def serve(sock: socket.socket) -> None:
        heard.append(sock.recv(100))
        sock.sendall(heard[0])

    with peer(serve) as port:
        changes = {"-p 7788": "-p 0", "192.168.1.30 7788": f"{HERE} {port}"}
        with serving(line, folder, changes) as relay:
            asked(relay, "你好\n".encode(), "你好\n".encode())
    assert heard == ["你好\n".encode("gbk")]


@example("sockkit relay -p 7007 -x --exec 'tr a-z A-Z'")
def _(line: str, folder: Path) -> None:
    with serving(line, folder, {"7007": "0"}) as relay, connect(relay.port) as sock:
        sock.sendall(b"hello\n")
        sock.shutdown(socket.SHUT_WR)  # tr keeps what it writes until its input ends
        assert read_all(sock) == b"HELLO\n"


# replay and show


@contextlib.contextmanager
def recorded_client(folder: Path) -> Iterator[int]:
    """A service, and the recording session.rec of a client that has asked it."""
    with peer(upper) as port:
        record = ["--record", str(folder / "session.rec")]
        status, out, _ = run("tcp-client", *record, HERE, str(port), data=b"hello\n")
        assert (status, out) == (0, b"HELLO\n")
        yield port


@example("sockkit replay --verify session.rec 127.0.0.1 6379")
@example("sockkit replay --speed max session.rec 127.0.0.1 6379")
def _(line: str, folder: Path) -> None:
    with recorded_client(folder) as port:
        shown = ran(line, folder, {"6379": str(port)})
    assert shown == (b"" if "--verify" in line else b"HELLO\n")


@example("sockkit replay --serve -p 8080 session.rec")
def _(line: str, folder: Path) -> None:
    with recorded_client(folder), serving(line, folder, {"8080": "0"}) as server:
        asked(server, b"hello\n", b"HELLO\n")


def recorded_server(folder: Path) -> None:
    """The recording session.rec of a server with two clients."""
    path = str(folder / "session.rec")
    with Program("tcp-server", "-p", "0", "--record", path, "--reply", "ok\n") as server:
        for text in (b"one\n", b"two\n"):
            asked(server, text, b"ok\n")
        server.process.send_signal(signal.SIGINT)
        assert server.status() == 130


@example("sockkit show session.rec")
@example("sockkit show --hex --timestamps --peer 2 session.rec")
@example("sockkit show --json --received session.rec | jq -r .text")
def _(line: str, folder: Path) -> None:
    recorded_server(folder)
    need("jq")
    shown = ran(line, folder, {}).decode()
    assert ("one" in shown) == ("--peer 2" not in line)
    assert "two" in shown
    assert ("ok" in shown) == ("--received" not in line)


@example("sockkit show --pcap session.pcapng session.rec; wireshark session.pcapng")
def _(line: str, folder: Path) -> None:
    recorded_server(folder)
    need("tshark")
    shown = ran(line, folder, {"wireshark ": "tshark -T fields -e data -r "}).decode()
    assert {b"one\n".hex(), b"two\n".hex()} <= {*shown.split()}


@example("sockkit show --follow session.rec")
def _(line: str, folder: Path) -> None:
    recorded_server(folder)
    with shell(line, folder) as program:
        shows(program, b"two\n")
        recorded = (folder / "session.rec").read_bytes()
        with (folder / "session.rec").open("ab") as file:
            file.write(recorded)
        shows(program, b"two\n")
        program.process.send_signal(signal.SIGINT)
        assert program.status() == 130


# chat


def heard_by(sock: socket.socket, text: bytes) -> None:
    seen = b""
    while text not in seen:
        chunk = sock.recv(4096)
        assert chunk, seen
        seen += chunk


@example("sockkit chat serve -p 9000")
@example("sockkit chat serve --bind 0.0.0.0 -p 9000 --history 20 --history-file log.db")
@example("sockkit chat serve -p 9000 -E gbk --motd 'be kind'")
def _(line: str, folder: Path) -> None:
    changes = {"9000": "0"} | ({"0.0.0.0": HERE} if "0.0.0.0" in line else {})
    with serving(line, folder, changes) as room, connect(room.port) as one:
        if "--motd" in line:
            heard_by(one, b"be kind")
        one.sendall("你好\n".encode("gbk" if "gbk" in line else "utf-8"))
        shows(room, "你好\n".encode())
        with connect(room.port) as two:
            if "--history" in line:
                heard_by(two, "你好".encode())
            two.sendall(b"hello\n")
            heard_by(one, b"] hello\n")
    assert (folder / "log.db").exists() == ("--history-file" in line)


@contextlib.contextmanager
def room() -> Iterator[tuple[int, socket.socket]]:
    """A room, and a member of it."""
    with Program("chat", "serve", "-p", "0") as server, connect(server.port) as member:
        member.sendall(b"/nick bob\n")
        heard_by(member, b"bob")
        yield server.port, member


@example("sockkit chat join 127.0.0.1 9000 --name 小雪")
@example("echo 'the build is done' | sockkit chat join 127.0.0.1 9000 --name builder")
@example("sockkit chat join --reconnect 192.168.1.20 9000")
@example("nc 127.0.0.1 9000")
def _(line: str, folder: Path) -> None:
    host = "192.168.1.20" if "192" in line else HERE
    with room() as (port, member):
        change = {f"{host} 9000": f"{HERE} {port}"}
        if line.startswith("nc"):
            with shell(replaced(line, change), folder) as client:
                client.type(b"the build is done\n")
                heard_by(member, b"] the build is done\n")
        else:
            ran(line, folder, change, b"the build is done\n")
            name = line.partition("--name ")[2]
            heard_by(member, f"{name}] the build is done\n".encode())
