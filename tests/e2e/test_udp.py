"""udp-client and udp-server, run for real, beside plain sockets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screen import Screen
from tests.support import (
    END,
    HERE,
    WAIT,
    Program,
    Terminal,
    eventually,
    gone,
    need,
    patched,
    refuses_datagrams,
    run,
)

LARGEST = 65_507
SIZES = [1, 1472, 8192, 16384, LARGEST]
AT_ONCE = ("--linger", "0")  # for what has no answer


@contextlib.contextmanager
def plain(family: int = socket.AF_INET, host: str = HERE) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.settimeout(WAIT)
        yield sock


def port_of(sock: socket.socket) -> str:
    return str(sock.getsockname()[1])


def noise(size: int) -> bytes:
    return os.urandom(size).replace(b"\n", b"\r")


@pytest.mark.parametrize("size", [1, 8192, LARGEST])
def test_what_is_piped_is_one_datagram_and_so_is_the_answer(size: int) -> None:
    data = noise(size)
    arguments = ["udp-client", "--expect", "1", HERE]
    with plain() as sock, Program(*arguments, port_of(sock), stdin=-1) as program:
        program.type(data)
        program.end_input()
        got, address = sock.recvfrom(100_000)
        assert got == data
        sock.sendto(data[::-1], address)
        assert program.output() == data[::-1]
        assert program.status() == 0


def test_input_is_cut_at_the_buffer_size() -> None:
    data = noise(5_000)
    with plain() as sock:
        arguments = ["udp-client", *AT_ONCE, "--buffer-size", "1400", HERE, port_of(sock)]
        assert run(*arguments, data=data)[0] == 0
        got = [sock.recv(100_000) for _ in range(4)]
    assert [len(part) for part in got] == [1400, 1400, 1400, 800]
    assert b"".join(got) == data


def test_a_line_too_long_is_one_error_line() -> None:
    with plain() as sock:
        line = b"ok\n" + b"x" * (LARGEST + 1) + b"\n"
        status, _, stderr = run("udp-client", *AT_ONCE, "--lines", HERE, port_of(sock), data=line)
        assert sock.recv(100) == b"ok"
    assert status == 55
    assert "65,508 bytes does not fit in a datagram" in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "typed", "sent"),
    [
        (["--lines"], "a\n\nb", [b"a", b"", b"b"]),
        (["-E", "gbk"], "你好\n世界\n", ["你好".encode("gbk"), "世界".encode("gbk")]),
        (["-C"], "AT\nOK\n", [b"AT\r\n", b"OK\r\n"]),
        (["--name", "小雪"], "hi\n\n", ["小雪:hi".encode(), "小雪:".encode()]),
        (["--name", "小雪", "-E", "gbk"], "好\n", ["小雪:好".encode("gbk")]),
    ],
)
def test_lines_are_datagrams(options: list[str], typed: str, sent: list[bytes]) -> None:
    with plain() as sock:
        arguments = ["udp-client", *AT_ONCE, *options, HERE, port_of(sock)]
        assert run(*arguments, data=typed.encode())[0] == 0
        assert [sock.recv(100) for _ in sent] == sent


def test_an_empty_datagram_is_a_line_and_so_is_the_next() -> None:
    with Program("udp-server", "-p", "0", "--lines") as server, plain() as sock:
        for datagram in (b"", b"x", b"", b"y"):
            sock.sendto(datagram, (HERE, server.port))
        assert server.process.stdout
        assert server.process.stdout.read(6) == b"\nx\n\ny\n"


def test_a_server_writes_what_comes() -> None:
    with Program("udp-server", "-p", "0") as server, plain() as sock:
        for size in SIZES:
            data = noise(size)
            sock.sendto(data, (HERE, server.port))
            assert server.process.stdout
            assert server.process.stdout.read(size) == data


def test_a_datagram_larger_than_the_buffer_is_told_with_its_size() -> None:
    with plain() as sock:
        arguments = ["udp-client", "--buffer-size", "10", "--expect", "1", HERE, port_of(sock)]
        with Program(*arguments, stdin=-1) as program:
            program.type(b"x")
            program.end_input()
            _, address = sock.recvfrom(100)
            sock.sendto(b"0123456789abc", address)
            assert program.output() == b"0123456789"
            assert program.status() == 56
            assert "a datagram of 13 bytes" in program.stderr


def test_answers_end_it_or_their_lack() -> None:
    with plain() as sock:
        arguments = ["udp-client", "--expect", "2", "--linger", "60", HERE, port_of(sock)]
        with Program(*arguments, stdin=-1) as program:
            program.type(b"x")
            program.end_input()
            _, address = sock.recvfrom(100)
            for answer in (b"one", b"two"):
                sock.sendto(answer, address)
            assert program.output() == b"onetwo"
            assert program.status(END) == 0
        arguments = ["udp-client", "--expect", "2", "-w", "300ms", HERE, port_of(sock)]
        status, _, stderr = run(*arguments, data=b"x")
        assert status == 28
        assert "0 of 2 answers received within 0.3 s" in stderr


def test_a_silence_ends_it_and_answers_put_that_off() -> None:
    with plain() as sock, Program("udp-client", HERE, port_of(sock), stdin=-1) as program:
        program.type(b"x")
        program.end_input()
        _, address = sock.recvfrom(100)
        for _ in range(6):  # longer together than the silence, 1 s
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.process.wait(0.2)
            sock.sendto(b".", address)
        assert program.output() == b"......"
        assert program.status(END) == 0


def test_nothing_either_way_is_a_timeout() -> None:
    with plain() as sock, Program("udp-client", "-i", "200ms", HERE, port_of(sock), stdin=-1) as it:
        gone(it, 28, "nothing was sent or received for 0.2 s")


def test_a_refusal_is_7_for_a_client_and_nothing_for_a_server() -> None:
    with refuses_datagrams() as port:
        status, _, stderr = run("udp-client", HERE, str(port), data=b"x")
    assert status == 7
    assert "connection refused" in stderr
    with Program("udp-server", "-p", "0", "--reply", "ok") as server:
        with plain() as sock:
            sock.sendto(b"gone soon", (HERE, server.port))
        with plain() as sock:
            for _ in range(3):
                sock.sendto(b"x", (HERE, server.port))
                assert sock.recv(10) == b"ok"


def test_more_than_a_thousand_peers_are_all_heard() -> None:
    with Program("udp-server", "-p", "0", "--label", "-v", "--lines") as server:
        assert server.process.stdout
        assert server.port
        before = server.resident()
        for number in range(1, 1101):
            host = f"127.1.{number // 250}.{number % 250 + 1}"
            with plain(host=host) as sock:
                sock.sendto(b"hi", (HERE, server.port))
                line = server.process.stdout.readline().decode()
                assert line == f"[{number} {host}:{port_of(sock)}] hi\n"
        assert "[1] " in server.said("forgotten to make room")
        assert server.resident() - before < 4 * 2**20


@pytest.mark.parametrize("whom", ["last", "all"])
def test_input_goes_to_the_last_or_to_all(whom: str) -> None:
    arguments = ["udp-server", "-p", "0", "--lines", "--answer", whom]
    with Program(*arguments, stdin=-1) as server, plain() as one, plain() as other:
        assert server.process.stdout
        for sock in (one, other):
            sock.sendto(b"hi", (HERE, server.port))
            assert server.process.stdout.readline() == b"hi\n"
        server.type(b"answer\n")
        assert other.recv(100) == b"answer"
        if whom == "all":
            assert one.recv(100) == b"answer"
        else:
            one.settimeout(0.2)
            with pytest.raises(TimeoutError):
                one.recv(100)


def test_a_person_chooses_whom_to_answer() -> None:
    with Terminal() as terminal, plain() as one, plain() as other:
        arguments = ["udp-server", "-p", "0", "--no-edit"]
        with Program(*arguments, stdin=terminal.child, stdout=terminal.child) as server:
            for number, sock in enumerate((one, other), 1):
                sock.sendto(b"hi", (HERE, server.port))
                terminal.shows(b"[%d 127.0.0.1:" % number)
            for typed, sock, text in (
                ("to the last", other, b"to the last"),
                ("@1 you", one, b"you"),
                ("/to 1\nhello", one, b"hello"),
                ("/all\nboth", other, b"both"),
                ("/hex 00 ff", other, b"\x00\xff"),
                ("/last\nlast", other, b"last"),
            ):
                terminal.type(f"{typed}\n".encode())
                assert sock.recv(100) == text
            terminal.type(b"/quit\n")
            assert server.status(END) == 0


def test_colours_go_by_name() -> None:
    colors = ["--color", "alex=green", "--color", "金老板=yellow", "--color", "小雪=magenta"]
    env = {"FORCE_COLOR": "1"}
    with Program("udp-server", "-p", "0", "--lines", *colors, env=env) as server, plain() as sock:
        assert server.process.stdout
        for name, code in (("alex", 32), ("金老板", 33), ("小雪", 35)):
            sock.sendto(f"{name}:你好: x".encode(), (HERE, server.port))
            line = server.process.stdout.readline().decode()
            assert line == f"\x1b[{code}m{name}:\x1b[39m你好: x\n"


def test_nothing_that_comes_drives_a_terminal() -> None:
    with Terminal() as terminal, plain() as sock:
        arguments = ["udp-server", "-p", "0", "--no-edit"]
        with Program(*arguments, stdin=terminal.child, stdout=terminal.child) as server:
            sock.sendto("a\x1b[2J\u202e\x9b\r\nb 你好👋e\u0301".encode(), (HERE, server.port))
            terminal.shows(b"a\\x1b[2J\\u202e\\x9b")
            terminal.shows("b 你好👋e\u0301".encode())
            assert b"\x1b[2J" not in terminal.seen


def test_a_file_in_datagrams_of_one_size(tmp_path: Path) -> None:
    data = noise(140_700)
    (tmp_path / "in").write_bytes(data)
    with plain() as sock, open(tmp_path / "in", "rb") as stdin:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        arguments = ["udp-client", *AT_ONCE, "--buffer-size", "1400", HERE, port_of(sock)]
        with Program(*arguments, stdin=stdin) as program:
            got = [sock.recv(100_000) for _ in range(101)]
            assert program.status() == 0
    assert b"".join(got) == data
    assert {len(datagram) for datagram in got[:-1]} == {1400}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_ends(host: str) -> None:
    with Program("udp-server", "-p", "0", "--bind", host, "--reply", "ok") as server:
        status, out, _ = run("udp-client", "--expect", "1", host, str(server.port), data=b"hi")
        assert (status, out) == (0, b"ok")
        server.process.send_signal(signal.SIGTERM)
        assert server.output() == b"hi"
        assert server.status() == 143


def test_the_port_is_told(tmp_path: str) -> None:
    path = os.path.join(tmp_path, "port")
    with Program("udp-server", "-p", "0", "--port-file", path) as server:
        eventually(lambda: os.path.exists(path))
        with open(path) as file:
            assert int(file.read()) == server.port
        status, _, stderr = run("udp-server", "-p", str(server.port))
        assert status == 45
        assert f"port {server.port} is in use by sockkit (process {server.process.pid})" in stderr
        server.process.send_signal(signal.SIGINT)
        assert server.status() == 130
    assert not os.path.exists(path)


def test_a_broadcast() -> None:
    with plain(host="0.0.0.0") as sock:
        arguments = ["udp-client", "--broadcast", "--expect", "1", "127.255.255.255", port_of(sock)]
        with Program(*arguments, stdin=-1) as program:
            program.type(b"who is there?")
            program.end_input()
            got, address = sock.recvfrom(100)
            assert got == b"who is there?"
            sock.sendto(b"me", address)
            assert program.output() == b"me"
            assert program.status() == 0


def test_a_group() -> None:
    with Program("udp-server", "-p", "0", "--join", "239.7.7.7") as server:
        port = str(server.port)
        sent = run("udp-client", "--source", HERE, "--linger", "0", "239.7.7.7", port, data=b"hi")
        assert sent[0] == 0
        assert server.process.stdout
        assert server.process.stdout.read(2) == b"hi"


def test_the_time_to_live_is_set() -> None:
    with plain() as sock:
        sock.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL, ip(7)
        arguments = ["udp-client", "--ttl", "7", "--linger", "0", HERE, port_of(sock)]
        assert run(*arguments, data=b"x")[0] == 0
        _, ancillary, _, _ = sock.recvmsg(10, 100)
        assert ancillary[0][2][0] == 7


def test_an_output_that_is_gone_or_full() -> None:
    with open("/dev/full", "wb") as full, plain() as sock:
        with Program("udp-server", "-p", "0", stdout=full) as server:
            sock.sendto(b"x", (HERE, server.port))
            gone(server, 23, "no space left on device (1 byte received but not written)")
        arguments = ["udp-client", "--lines", HERE, port_of(sock)]
        with Program(*arguments, stdin=subprocess.PIPE, stdout=full) as client:
            client.type(b"question\n")
            sock.sendto(b"answer", sock.recvfrom(100)[1])
            gone(client, 23, "sent 1 datagram, received 1, 6 bytes received but not written")
        with Program("udp-server", "-p", "0") as server:
            assert server.port
            assert server.process.stdout
            server.process.stdout.close()
            gone(server, 141)


# The tutorials' programs.


def test_a_pair_that_talks_on_terminals(tmp_path: Path) -> None:
    """Both ends, as in the tutorials: the server answers whom it has heard with what is typed."""
    with Screen(tmp_path / "a", "udp-server", "-p", "0") as server:
        port = str(server.port)
        server.prompts(">")
        with Screen(tmp_path / "b", "udp-client", "--name", "小雪", HERE, port) as client:
            client.prompts(">")
            client.type("你好👋\r")
            label = re.compile(r"\[1 127\.0\.0\.1:\d+\] 小雪:你好👋")
            server.until(lambda lines: any(map(label.fullmatch, lines)))
            server.type("在\r")
            client.shows("在")
            client.type("\r")  # which sends nothing, as it would be a signature alone
            client.type("hi\r")
            server.until(lambda lines: any("小雪:hi" in line for line in lines))
            assert sum("小雪:" in line for line in server.lines()) == 2
            client.type("\x03")
            assert client.status(END) == 130
        server.type("\x04")
        assert server.status(END) == 0


@pytest.mark.parametrize("command", ["udp-server", "udp-client", "chat join"])
def test_a_typed_line_that_cannot_be_encoded(command: str, tmp_path: Path) -> None:
    """It is refused, and the next is sent: 65 at the end, where nothing else was lost."""
    with plain() as sock:
        arguments = ["-p", "0"] if command == "udp-server" else [HERE, port_of(sock)]
        more = ["--udp", "--name", "ann"] if command == "chat join" else []
        with Screen(tmp_path, *command.split(), *more, "-E", "gbk", *arguments) as screen:
            screen.prompts(">")
            if command == "udp-server":
                sock.sendto(b"hello", (HERE, screen.port))
                screen.shows("hello")
            screen.type("hi 👋\r")
            screen.until(lambda lines: "is not in gbk" in "".join(lines))
            screen.type("好\r")
            while not sock.recv(100).endswith("好".encode("gbk")):
                pass
            screen.type("\x04")
            assert screen.status() == 65


def test_empty_datagrams_both_ways() -> None:
    arguments = ["udp-client", "--linger", "300ms", "--lines", HERE]
    with plain() as sock, Program(*arguments, port_of(sock), stdin=-1) as client:
        client.type(b"\n")
        data, address = sock.recvfrom(10)
        assert data == b""
        for answer in (b"", b"x", b""):
            sock.sendto(answer, address)
        client.end_input()
        assert client.output() == b"\nx\n\n"
        assert client.status() == 0
    with Program("udp-server", "-p", "0", "--lines", stdin=-1) as server, plain() as sock:
        sock.sendto(b"", (HERE, server.port))
        assert server.process.stdout
        assert server.process.stdout.readline() == b"\n"
        server.type(b"\nx\n\n")
        assert [sock.recv(10) for _ in range(3)] == [b"", b"x", b""]


def test_a_datagram_that_is_no_text_costs_no_other() -> None:
    options = ["-E", "utf-8", "--errors", "strict"]
    with Program("udp-server", "-p", "0", *options) as server, plain() as sock:
        for data in (b"good", b"\xff", b"better"):
            sock.sendto(data, (HERE, server.port))
        assert server.process.stdout
        assert [server.process.stdout.readline() for _ in range(2)] == [b"good\n", b"better\n"]
        server.said("is not shown: what the peer sent is not utf-8: byte 0xff at byte 1")


def test_a_line_that_is_too_long_leaves_nothing_behind() -> None:
    """Its rest is no datagram; the next line is."""
    with Program("udp-server", "-p", "0", "--lines", stdin=-1) as server, plain() as sock:
        sock.sendto(b"here", (HERE, server.port))
        assert server.process.stdout
        assert server.process.stdout.readline() == b"here\n"
        server.type(b"x" * 140_000 + b"tail\nnext\n")
        assert sock.recv(LARGEST) == b"next"
        server.said("does not fit in a datagram")


def test_a_pair_that_talks() -> None:
    with Program("udp-server", "-p", "0", "--lines", "--label", stdin=-1) as server, plain() as it:
        it.sendto("你好".encode(), (HERE, server.port))
        assert server.process.stdout
        line = server.process.stdout.readline().decode()
        assert line == f"[1 {HERE}:{port_of(it)}] 你好\n"
        server.type("再见\n".encode())
        assert it.recv(1024).decode() == "再见"


def test_a_client_that_signs() -> None:
    arguments = ["udp-client", "--name", "小雪", "--expect", "1", HERE]
    with plain() as sock, Program(*arguments, port_of(sock), stdin=-1) as it:
        it.type("在吗\n".encode())
        got, address = sock.recvfrom(1024)
        assert got.decode() == "小雪:在吗"
        sock.sendto("在".encode(), address)
        assert it.process.stdout
        it.end_input()
        assert it.output().decode() == "在\n"


# Other programs.


@pytest.mark.parametrize("peer", ["nc -u -w 1", "ncat -u", "socat -t 1 -"])
def test_a_server_for_others(peer: str) -> None:
    program, *options = peer.split()
    need(program)
    with Program("udp-server", "-p", "0", "--reply", "pong") as server:
        to = [f"UDP:{HERE}:{server.port}"] if program == "socat" else [HERE, str(server.port)]
        with subprocess.Popen([program, *options, *to], stdin=-1, stdout=-1) as other:
            assert other.stdin
            assert other.stdout
            other.stdin.write(b"ping")
            other.stdin.flush()
            assert other.stdout.read(4) == b"pong"
            other.kill()
        assert server.process.stdout
        assert server.process.stdout.read(4) == b"ping"


@pytest.mark.parametrize("peer", ["nc -u -l", "ncat -u -l", "socat -"])
def test_a_client_of_others(peer: str) -> None:
    program, *options = peer.split()
    need(program)
    with plain() as free:
        port = port_of(free)
    where = [f"UDP-LISTEN:{port},bind={HERE}"] if program == "socat" else [HERE, port]
    with subprocess.Popen([program, *options, *where], stdin=-1, stdout=-1) as other:
        try:
            eventually(lambda: f":{int(port):04X} " in Path("/proc/net/udp").read_text())
            with Program("udp-client", "--expect", "1", HERE, port, stdin=-1) as client:
                client.type(b"hello")
                client.end_input()
                assert other.stdin
                assert other.stdout
                assert other.stdout.read(5) == b"hello"
                other.stdin.write(b"world")
                other.stdin.flush()
                assert client.output() == b"world"
                assert client.status() == 0
        finally:
            other.kill()


def test_a_name_whose_first_address_refuses() -> None:
    """As `localhost`, where that is ::1 first and the service is at 127.0.0.1."""
    names = (
        "import socket\nasked = socket.getaddrinfo\n"
        "def both(host, *more):\n"
        "    return sum((asked(each, *more) for each in ('127.0.0.2', '127.0.0.1')), [])"
        " if host == b'twice' and not more[-1] & 4 else asked(host, *more)\n"
        "socket.getaddrinfo = both"
    )
    with (
        Program("echo", "--udp", "-p", "0") as service,
        Program(
            *("udp-client", "--lines", "--expect", "3", "twice", str(service.port)),
            command=patched(names),
            stdin=subprocess.PIPE,
        ) as program,
    ):
        program.type(b"one\ntwo\nthree\n")
        program.end_input()
        assert program.output() == b"one\ntwo\nthree\n"
        assert program.status() == 0
