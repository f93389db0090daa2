from __future__ import annotations

import signal
import socket
import subprocess
from typing import Any

import pytest

from sockkit.cli.main import status
from sockkit.cli.proxy import chosen_proxy
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.programs import PROXY_PASSWORD
from sockkit.core.proxy import Proxy, parse_proxy
from sockkit.errors import UsageError
from tests.cli import Tty
from tests.support import HERE, Program, Terminal, peer, read_exactly, run

Patch = pytest.MonkeyPatch
TARGET = HostPort("db.example", 5432)
COMMANDS = ["tcp-client", "chat join"]


def values(through: str, **more: Any) -> dict[str, Any]:
    proxy = through if through == "env" else parse_proxy(through)
    return {"through": proxy, "quiet": False, **more}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: Patch) -> None:
    for name in ("ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", PROXY_PASSWORD):
        monkeypatch.delenv(name, raising=False)


def configured(command: str, *options: str, patch: Patch) -> Proxy | None:
    """The proxy of the configuration that `sockkit COMMAND OPTIONS db.example 5432` folds to."""
    calls: list[Any] = []
    patch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status([*command.split(), *options, "db.example", "5432"]) == 0
    ((_, _, config, _),) = calls
    proxy: Proxy | None = config.connect.proxy
    return proxy


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_goes_through_a_proxy(command: str, monkeypatch: Patch) -> None:
    url = "socks5h://bob:pw@127.0.0.1"
    assert configured(command, "--proxy", url, patch=monkeypatch) == parse_proxy(url)
    assert configured(command, patch=monkeypatch) is None


@pytest.mark.parametrize("command", COMMANDS)
def test_the_environment_counts_only_if_asked(command: str, monkeypatch: Patch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1")
    assert configured(command, patch=monkeypatch) is None
    found = configured(command, "--proxy", "env", patch=monkeypatch)
    assert found == parse_proxy("http://127.0.0.1")
    monkeypatch.setenv("NO_PROXY", ".example")
    assert configured(command, "--proxy", "env", patch=monkeypatch) is None


def test_a_room_by_udp_has_no_proxy(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["chat", "join", "--udp", "--proxy", "env", "--name", "me", "h", "1"]
    assert status(words) == 2
    assert "--proxy cannot be used with --udp: remove one of them" in capsys.readouterr().err


def test_a_unix_socket_has_none() -> None:
    with pytest.raises(UsageError, match="unix:/x cannot be reached through a proxy"):
        chosen_proxy(values("http://h"), UnixPath("/x"))
    assert chosen_proxy(values("env"), UnixPath("/x")) is None


# The password.


@pytest.mark.parametrize(
    ("url", "variable", "password"),
    [
        ("http://bob@h", "told", "told"),
        ("http://bob@h", "", ""),
        ("http://bob@h", None, None),
        ("http://bob:pw@h", "told", "pw"),
        ("http://bob:@h", "told", ""),
        ("http://h", "told", None),
        ("socks4://bob@h", "told", None),
    ],
)
def test_where_the_password_is_from(
    url: str, variable: str | None, password: str | None, monkeypatch: Patch
) -> None:
    if variable is not None:
        monkeypatch.setenv(PROXY_PASSWORD, variable)
    proxy = chosen_proxy(values(url), TARGET)
    assert proxy == parse_proxy(url)._replace(password=password)


def test_a_password_that_is_too_long(monkeypatch: Patch) -> None:
    monkeypatch.setenv(PROXY_PASSWORD, "x" * 256)
    with pytest.raises(UsageError, match="password is longer than 255 bytes"):
        chosen_proxy(values("socks5://bob@h"), TARGET)


@pytest.fixture
def tty(monkeypatch: Patch) -> Tty:
    """A terminal at stdin, at which an h and a byte that is no UTF-8 are typed."""
    monkeypatch.setattr("os.isatty", lambda descriptor: descriptor == 0)
    return Tty(monkeypatch)


@pytest.mark.parametrize("url", ["socks5h://bob@h:1", "env"])
def test_a_person_is_asked(url: str, tty: Tty, monkeypatch: Patch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://bob@h:1")
    proxy = chosen_proxy(values(url), TARGET)
    assert proxy == Proxy("socks5h", HostPort("h", 1), "bob", "h\udcff")
    assert tty.asked == ["Password for bob at socks5h://h:1: "]


def test_nobody_is_asked(tty: Tty, monkeypatch: Patch) -> None:
    """With -q, without a user, with a password, or where there is no way."""
    for url in ("http://h", "http://bob:pw@h", "socks4://bob@h", "http://bob:@h"):
        chosen_proxy(values(url), TARGET)
    assert chosen_proxy(values("http://bob@h", quiet=True), TARGET) == parse_proxy("http://bob@h")
    with pytest.raises(UsageError):
        chosen_proxy(values("http://bob@h"), UnixPath("/x"))
    monkeypatch.setattr("os.isatty", lambda _: False)
    chosen_proxy(values("http://bob@h"), TARGET)
    assert tty.asked == []


@pytest.mark.process
@pytest.mark.parametrize("answer", ["right", "Ctrl-C", "SIGTERM"])
def test_the_question_at_a_terminal(answer: str) -> None:
    """What is typed is not shown; the terminal is as it was, which leaving it checks."""
    typed = {"right": b"s3cr3t\n", "Ctrl-C": b"\x03"}.get(answer, b"")

    def serve(sock: socket.socket) -> None:
        assert read_exactly(sock, 4) == b"\5\2\0\2"
        sock.sendall(b"\5\2")
        assert read_exactly(sock, 12) == b"\1\3bob\6s3cr3t"
        sock.sendall(b"\1\0")
        read_exactly(sock, 4 + 4 + 2)
        sock.sendall(b"\5\0\0\1\0\0\0\0\0\0hello")

    with peer(serve) as port, Terminal() as terminal:
        with Program(
            "tcp-client", "--no-edit", "--proxy", f"socks5://bob@{HERE}:{port}", HERE, "1",
            stdin=terminal.child, stdout=subprocess.PIPE, start_new_session=True,
            preexec_fn=terminal.control,
        ) as program:  # fmt: skip
            terminal.shows(b"Password for bob at socks5://127.0.0.1:")
            terminal.type(typed)
            if answer == "SIGTERM":
                program.process.send_signal(signal.SIGTERM)
            if answer == "right":
                assert program.output() == b"hello"
            assert program.status() == {"right": 0, "Ctrl-C": 130}.get(answer, 143)
        assert b"s3cr3t" not in terminal.seen


@pytest.mark.process
def test_a_service_is_never_asked() -> None:
    """The proxy then gets a user without a password."""

    def serve(sock: socket.socket) -> None:
        sock.recv(4)
        sock.sendall(b"\5\2")
        assert read_exactly(sock, 6) == b"\1\3bob\0"
        sock.sendall(b"\1\1")

    with peer(serve) as port:
        proxy = f"socks5://bob@{HERE}:{port}"
        got = run("tcp-client", "--proxy", proxy, HERE, "1", start_new_session=True)
    told = f"the proxy 127.0.0.1 port {port} rejected the user or the password"
    told += ": check the user in --proxy, and SOCKKIT_PROXY_PASSWORD"
    assert got == (97, b"", f"sockkit: {told}\n")
