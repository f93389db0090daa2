from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.tcp_client import TcpClient, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.ending import Until
from sockkit.core.text import Errors, TextOptions
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[TcpClient, dict[str, Any]]:
    """The configuration that `sockkit tcp-client ARGUMENTS` folds to, and all the values."""
    calls: list[tuple[str, Any, TcpClient, dict[str, Any]]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["tcp-client", *arguments]) == 0
    ((_, command, config, values),) = calls
    assert command is run
    return config, values


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config, values = started("localhost", "80", monkeypatch=monkeypatch)
    assert config == TcpClient(
        HostPort("localhost", 80),
        ConnectOptions(),
        SocketOptions(),
        ConversationOptions(TextOptions()),
    )
    assert (values["verbose"], values["quiet"]) == (0, False)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (["localhost", "http"], HostPort("localhost", 80)),
        (["localhost:8080"], HostPort("localhost", 8080)),
        (["[::1]:8080"], HostPort("::1", 8080)),
        (["fe80::1%lo", "8080"], HostPort("fe80::1%lo", 8080)),
        (["unix:/run/x"], UnixPath("/run/x")),
        (["unix:@x"], UnixPath("@x")),
    ],
)
def test_address(
    words: list[str], address: HostPort | UnixPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started(*words, monkeypatch=monkeypatch)[0].address == address


@pytest.mark.parametrize(
    ("options", "part", "folded"),
    [
        ("-w 500ms", "connect", ConnectOptions(timeout=0.5)),
        ("--connect-timeout 2m", "connect", ConnectOptions(timeout=120)),
        ("--source 10.0.0.7:81", "connect", ConnectOptions(source=HostPort("10.0.0.7", 81))),
        ("-4", "sockets", SocketOptions(family=4)),
        ("-6", "sockets", SocketOptions(family=6)),
        ("--reuse-address", "sockets", SocketOptions(reuse_address=True)),
        ("--reuse-port", "sockets", SocketOptions(reuse_port=True)),
        ("--no-delay --keepalive", "sockets", SocketOptions(no_delay=True, keepalive=True)),
        ("--send-buffer 1M", "sockets", SocketOptions(send_buffer=2**20)),
        ("--receive-buffer 64k", "sockets", SocketOptions(receive_buffer=2**16)),
        ("--buffer-size 1024", "sockets", SocketOptions(buffer_size=1024)),
        ("--linger 0", "conversation", ConversationOptions(TextOptions(), linger=0)),
        ("-i 5", "conversation", ConversationOptions(TextOptions(), idle=5)),
        ("--idle-timeout 1.5", "conversation", ConversationOptions(TextOptions(), idle=1.5)),
        ("-E gbk", "conversation", ConversationOptions(TextOptions("gbk"))),
        ("--encoding gbk -C", "conversation", ConversationOptions(TextOptions("gbk", crlf=True))),
        (
            "--send-encoding big5",
            "conversation",
            ConversationOptions(TextOptions(send_encoding="big5")),
        ),
    ],
)
def test_options(options: str, part: str, folded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started(*options.split(), "h", "80", monkeypatch=monkeypatch)
    default, _ = started("h", "80", monkeypatch=monkeypatch)
    assert config == default._replace(**{part: folded})


@pytest.mark.parametrize("until", Until)
def test_until(until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started("--until", until.value, "h", "80", monkeypatch=monkeypatch)
    assert config.conversation.until is until  # not a mere string: the rules ask for identity


@pytest.mark.parametrize("errors", Errors)
def test_errors(errors: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started("--errors", errors.value, "h", "80", monkeypatch=monkeypatch)
    assert config.conversation.text.errors is errors


@pytest.mark.parametrize(
    ("options", "verbose", "quiet"),
    [(["-v"], 1, False), (["-vv"], 2, False), (["-v", "--verbose"], 2, False), (["-q"], 0, True)],
)
def test_conversation(
    options: list[str], verbose: int, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, values = started(*options, "h", "80", monkeypatch=monkeypatch)
    assert (values["verbose"], values["quiet"]) == (verbose, quiet)


@pytest.mark.parametrize("words", [[], ["h"], ["h", "0"], ["h", "80", "81"], ["unix:/x", "80"]])
def test_no_address(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["tcp-client", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
