"""The programs that tutorials teach, each against a plain script of its other side."""

from __future__ import annotations

import signal
import socket
import subprocess

from tests.support import HERE, Program, Terminal, connect, gone, peer, read_exactly, run

PIPE = subprocess.PIPE
WELCOME = "Welcome to connect !"


def ask(port: int, text: bytes) -> bytes:
    """The usual first client: one message, one recv, close."""
    with connect(port) as sock:
        sock.sendall(text)
        return sock.recv(1024)


def test_one_shot_server() -> None:
    with Program("tcp-server", "--once", "--reply", "hi", "-p", "0", "-vv") as server:
        assert ask(server.port, b"hello") == b"hi"
        assert server.output() == b"hello"
        gone(server, 0)
        steps = [line.split(":")[0] for line in server.stderr.splitlines()]
        assert steps.index("* setsockopt") < steps.index("* bind") < steps.index("* listen")
        assert "setsockopt: SO_REUSEADDR" in server.stderr


def test_one_shot_server_closes() -> None:
    with (
        Program("tcp-server", "--once", "--reply", "hi", "-p", "0") as server,
        connect(server.port) as sock,
    ):
        sock.sendall(b"hello")
        assert sock.recv(1024) == b"hi"
        assert sock.recv(1024) == b""  # the client need not be the first to close
        sock.close()
        gone(server, 0)


def test_gbk_client() -> None:
    heard = []

    def serve(sock: socket.socket) -> None:
        heard.append(sock.recv(1024).decode("gbk"))
        sock.sendall("谢谢！".encode("gbk"))

    with peer(serve) as port:
        status, out, stderr = run("tcp-client", "-E", "gbk", HERE, str(port), data="你好".encode())
    assert (status, out.decode(), stderr) == (0, "谢谢！", "")
    assert heard == ["你好"]


def test_gbk_server() -> None:
    options = ["--bind", "0.0.0.0", "-p", "0", "-E", "gbk", "--reply", "thank you !"]
    with Program("tcp-server", "--once", *options) as server:
        assert ask(server.port, "你好".encode("gbk")).decode("gbk") == "thank you !"
        assert server.output().decode() == "你好"
        gone(server, 0)
        assert "this machine only" not in server.stderr


def test_client_of_the_upper_casing_server() -> None:
    def serve(sock: socket.socket) -> None:
        while data := sock.recv(1024):
            sock.sendall(data.upper())

    with (
        peer(serve) as port,
        Program("tcp-client", HERE, str(port), stdin=PIPE) as client,
    ):
        assert client.process.stdout
        for line in (b"hello\n", b"\n", b"world\n"):
            client.type(line)
            assert client.process.stdout.read(len(line)) == line.upper()
        client.end_input()
        assert client.output() == b""
        gone(client, 0)


def test_welcome_server() -> None:
    options = ["--bind", "0.0.0.0", "-p", "0", "--backlog", "2", "--reply", WELCOME]
    with Program("tcp-server", "-vv", *options) as server:
        server.said("listen: backlog 2")
        assert server.process.stdout
        for message in (b"I am here\n", b"I am here too\n"):
            assert ask(server.port, message) == WELCOME.encode()
            assert server.process.stdout.read(len(message)) == message


def test_welcome_server_greets_at_once() -> None:
    options = ["--bind", "0.0.0.0", "-p", "0", "--backlog", "2", "--greet", WELCOME]
    with (
        Program("tcp-server", *options) as server,
        connect(server.port) as first,
        connect(server.port) as second,
    ):
        for sock in (first, second):
            assert read_exactly(sock, len(WELCOME)) == WELCOME.encode()


def test_chat_by_hand_serves_both_at_once() -> None:
    """Two clients with names; the person at the server sees who speaks and answers both."""
    with (
        Terminal() as screen,
        Program(
            "tcp-server",
            "-v",
            "-p",
            "0",
            "--no-edit",
            stdin=screen.child,
            stdout=screen.child,
            env={"NO_COLOR": "1"},
        ) as server,  # fmt: skip
        connect(server.port) as alex,
    ):
        server.said("[1] ")
        with connect(server.port) as kim:
            for number, sock, name in ((1, alex, "alex"), (2, kim, "小雪")):
                who = f"[{number} {HERE}:{sock.getsockname()[1]}]"
                server.said(f"[{number}] {HERE}:{sock.getsockname()[1]} connected")
                sock.sendall(f"{name}:在吗\n".encode())
                screen.shows(f"{who} {name}:在吗".encode())
            screen.type(b"welcome\n")
            for sock in (alex, kim):
                assert read_exactly(sock, 8) == b"welcome\n"
        server.said("closed (sent ")
        screen.type(b"still there?\n")
        assert read_exactly(alex, 13) == b"still there?\n"
        server.process.send_signal(signal.SIGINT)
        assert server.status() == 130


def test_chat_client_leaves_after_an_answer() -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"welcome\n")
        while message := sock.recv(1024):
            sock.sendall(b"got " + message)

    with (
        peer(serve) as port,
        Terminal() as screen,
        Program(
            "tcp-client",
            "-v",
            "--no-edit",
            HERE,
            str(port),
            stdin=screen.child,
            stdout=screen.child,
        ) as client,  # fmt: skip
    ):
        client.said(f"connected to {HERE}:{port} from {HERE}:")
        screen.shows(b"welcome")
        for message in ("在吗", "bye"):
            screen.type(f"{message}\n".encode())
            screen.shows(f"got {message}".encode())
        screen.type(b"\x04")  # Ctrl-D
        gone(client, 0)
