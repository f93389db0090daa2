"""Every command line that the advice about a habit shows runs, against peers on loopback.

Its hosts, ports and paths are replaced by those of the peers; all else runs as it is shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trustme

from tests.core.habits import examples, to_paste
from tests.support import HERE, SOCKKIT, WAIT, Program, run

LISTENERS = ("tcp-server", "udp-server", "echo", "chat serve", "relay")
ABSTRACT = f"sockkit-habits-{os.getpid()}"
ANSWER = b"hi\n"
CALL = re.compile(r"(.*?)(sockkit .*?)( (?:<|>>?) .*|; (?:sleep [\d.]+; )?done)?")


class Peers:
    """What lines connect to: each answers, closes its side and reads to the end of the other's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._over = threading.Event()
        self._closing = contextlib.ExitStack()
        ca = trustme.CA()
        leaf = ca.issue_cert("localhost", HERE)
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["h2"])
        leaf.configure_cert(context)
        self.tls = self._serve(_tcp(HERE), partial(_answer_tls, context))
        self.tcp = self._serve(_tcp(HERE), _answer)
        self.tcp6 = self._serve(_tcp("::1"), _answer)
        self.proxy = self._serve(_tcp(HERE), _answer_as_proxy)
        self._serve(_unix(f"\0{ABSTRACT}", socket.SOCK_STREAM), _answer)
        self._serve(_unix(str(folder / "stream.sock"), socket.SOCK_STREAM), _answer)
        self._receive(_unix(str(folder / "datagram.sock"), socket.SOCK_DGRAM))
        self.udp = self._receive(_udp())
        room = self._closing.enter_context(Program("chat", "serve", "-p", "0"))
        self.room = room.port
        recorded = run("tcp-client", "--record", str(folder / "x.rec"), HERE, str(self.tcp))
        assert recorded[0] == 0, recorded

    def close(self) -> None:
        self._over.set()
        self._closing.close()

    def _serve(self, listener: socket.socket, answer: Callable[[socket.socket], None]) -> int:
        def turn() -> None:
            threading.Thread(target=_one, args=(listener.accept()[0], answer), daemon=True).start()

        return self._start(listener, turn)

    def _receive(self, sock: socket.socket) -> int:
        def turn() -> None:
            _, sender = sock.recvfrom(2048)
            if sender:
                sock.sendto(ANSWER, sender)

        return self._start(sock, turn)

    def _start(self, sock: socket.socket, turn: Callable[[], None]) -> int:
        sock.settimeout(0.2)  # how often it is asked whether all is over

        def loop() -> None:
            with sock:
                while not self._over.is_set():
                    with contextlib.suppress(OSError):
                        turn()

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        self._closing.callback(thread.join, WAIT)
        name = sock.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0


def _tcp(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def _udp() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind((HERE, 0))
    return sock


def _unix(path: str, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(path)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def _one(sock: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    sock.settimeout(WAIT)
    with sock, contextlib.suppress(OSError):
        answer(sock)


def _answer(sock: socket.socket) -> None:
    sock.sendall(ANSWER)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(4096):
        pass


def _answer_tls(context: ssl.SSLContext, sock: socket.socket) -> None:
    with context.wrap_socket(sock, server_side=True) as secure:
        secure.sendall(ANSWER)
        with contextlib.suppress(OSError):
            secure.unwrap()


def _answer_as_proxy(sock: socket.socket) -> None:
    """Says yes to a client of SOCKS or HTTP, and is the target itself."""
    first = sock.recv(1024)
    if first[:1] == b"\x05":
        secret = b"\x02" in first[2:]
        sock.sendall(b"\x05\x02" if secret else b"\x05\x00")
        if secret:
            sock.recv(1024)
            sock.sendall(b"\x01\x00")
        sock.recv(1024)
        sock.sendall(b"\x05\x00\x00\x01" + bytes(6))
    elif first[:1] == b"\x04":
        sock.sendall(b"\x00\x5a" + bytes(6))
    else:
        sock.sendall(b"HTTP/1.0 200 yes\r\n\r\n")
    _answer(sock)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    peers = Peers(tmp_path_factory.mktemp("peers"))
    yield peers
    peers.close()


def command_of(words: list[str]) -> str:
    return " ".join(words[1:3] if words[1] == "chat" else words[1:2])


def replaced(words: list[str], peers: Peers, place: Path) -> list[str]:
    """The words of a call with the peers' addresses, and free ports of our own."""
    if "--" in words:  # then a command follows
        end = words.index("--")
        return [*replaced(words[:end], peers, place), *words[end:]]
    command = command_of(words)
    pairs = zip(["", *words], words, strict=False)
    words = [_word(word, before, command, peers) for before, word in pairs]
    if command in LISTENERS:
        return [re.sub(r"^unix:.*", f"unix:{place}/own.sock", word) for word in words]
    port = str(_port(command, words, peers))
    if words[-1].isdigit():
        words[-2:] = ["::1" if "-6" in words else words[-2], port]
    words[-1] = re.sub(r"^([\w.]+|\[::1\]):[\w,-]+$", rf"\g<1>:{port}", words[-1])
    return words


def _port(command: str, words: list[str], peers: Peers) -> int:
    """Of the peer that the line is about."""
    if command == "chat join":
        return peers.room
    if command == "udp-client" or "--udp" in words:
        return peers.udp
    six = "-6" in words or "::1" in words or words[-1].startswith("[")
    return peers.tls if "--tls" in words else peers.tcp6 if six else peers.tcp


def _word(word: str, before: str, command: str, peers: Peers) -> str:
    if before in ("-p", "--port"):
        return "0"
    if before == "--source":
        return re.sub(r":\d+$", ":0", word)
    if before == "--proxy":
        return re.sub(r"(//(?:.*@)?)[^@/]*$", rf"\g<1>{HERE}:{peers.proxy}", word)
    if word in ("unix:@name", "unix:/tmp/x.sock", "unix:./x.sock"):
        kind = "datagram" if command == "udp-client" else "stream"
        name = f"{peers.folder}/{kind}.sock"
        return f"unix:@{ABSTRACT}" if word == "unix:@name" else f"unix:{name}"
    if before in ("--exec", "--shell"):
        return word
    return re.sub(r"^(host|proxy|example\.(com|org))(?=$|:)", HERE, word)


def shell_line(line: str, peers: Peers, place: Path) -> tuple[str, str]:
    """The command, and the line that the shell runs."""
    match = CALL.fullmatch(line)
    assert match
    before, call, after = match[1], shlex.split(match[2]), match[3] or ""
    before = re.sub(r"^while sleep [\d.]+", "for i in 1 2", before)  # which has an end
    before = re.sub(r"sleep [\d.]+", "sleep 0", before)
    words = replaced(call, peers, place)
    once = "" if after.startswith(";") else "exec "  # in a loop the shell goes on
    return command_of(words), f"{before}{once}{shlex.join([SOCKKIT, *words[1:]])}{after}"


def files(place: Path, peers: Peers) -> None:
    """The files that lines name."""
    place.mkdir()
    for name, made in {"c.pem": "both.pem", "k.pem": "both.pem", "x.rec": "x.rec"}.items():
        shutil.copy(peers.folder / made, place / name)
    for name in ("allow.txt", "deny.txt", "in.txt", "x"):
        (place / name).write_text("")


def runs(line: str, peers: Peers, place: Path) -> str:
    """Run a line to its end, or a server until it listens; what went wrong, if anything."""
    files(place, peers)
    if "--tls-ca" in line:
        shutil.copy(peers.folder / "ca.pem", place / "c.pem")
    if "--record" in line:
        (place / "x.rec").unlink()
    command, shown = shell_line(line, peers, place)
    env = {"SSL_CERT_FILE": str(peers.folder / "ca.pem"), "HOME": str(place)}
    with Program(
        "-c", shown, command=("bash",), cwd=place, env=env, start_new_session=True
    ) as program:
        if command in LISTENERS or " --serve " in shown:
            program.said("listening on ")
            os.killpg(program.process.pid, signal.SIGTERM)  # of this line alone
            wanted = {143}
        else:
            wanted = {0}
            program.output()
        status = program.status()
        return "" if status in wanted else f"{line}\n{shown}\n{status}: {program.stderr}"


def shape(line: str) -> str:
    """What makes one line differ from another but for its hosts, ports and texts."""
    match = CALL.fullmatch(line)
    assert match
    words = shlex.split(match[2])
    options = [word for word in words if word.startswith("-")]
    address = [re.sub(r"[\w./]+$", "", word) for word in words[-1:]]
    return " ".join([match[1][:5], command_of(words), *sorted(options), *address, match[3] or ""])


LINES = {shape(line): line for _, told in examples() if (line := to_paste(told))}


@pytest.mark.parametrize("line", LINES.values())
def test_each_line_runs(line: str, peers: Peers, tmp_path: Path) -> None:
    assert runs(line, peers, tmp_path / "here") == ""


def test_a_line_that_does_not_run_is_found(peers: Peers, tmp_path: Path) -> None:
    assert "no --nope" in runs("sockkit tcp-client --nope 127.0.0.1 80", peers, tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]
