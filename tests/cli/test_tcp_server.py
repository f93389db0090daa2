from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.conversation import ConversationOptions
from sockkit.apps.tcp_server import TcpServer, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.ending import Until
from sockkit.core.text import TextOptions
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions

TEXT = TextOptions()


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> TcpServer:
    """The configuration that `sockkit tcp-server ARGUMENTS` folds to."""
    calls: list[tuple[str, Any, TcpServer, dict[str, Any]]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: calls.append(call))
    assert status(["tcp-server", *arguments]) == 0
    ((_, command, config, values),) = calls
    assert command is run
    assert (values["verbose"], values["quiet"]) == (0, False)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started("-p", "8080", monkeypatch=monkeypatch) == TcpServer(
        ListenOptions(HostPort("127.0.0.1", 8080)),
        SocketOptions(reuse_address=True),
        ConversationOptions(TEXT),
    )


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("-p http", {"listen": ListenOptions(HostPort("127.0.0.1", 80))}),
        ("--port 1", {"listen": ListenOptions(HostPort("127.0.0.1", 1))}),
        ("--bind ::", {"listen": ListenOptions(HostPort("::", 0))}),
        ("--backlog 5", {"listen": ListenOptions(HostPort("127.0.0.1", 0), 5)}),
        (
            "-6",
            {
                "listen": ListenOptions(HostPort("::1", 0)),
                "sockets": SocketOptions(6, reuse_address=True),
            },
        ),
        ("--no-reuse-address", {"sockets": SocketOptions(reuse_address=False)}),
        ("--once", {"once": True}),
        ("--label", {"label": True}),
        ("--slow-timeout 1", {"slow_timeout": 1}),
        ("--port-file x", {"port_file": "x"}),
        (
            "--greet hi --reply ho",
            {"conversation": ConversationOptions(TEXT, greet="hi", reply="ho")},
        ),
        ("-E gbk -C", {"conversation": ConversationOptions(TextOptions("gbk", crlf=True))}),
        ("--linger 1 -i 2", {"conversation": ConversationOptions(TEXT, linger=1, idle=2)}),
        ("--buffer-size 5", {"sockets": SocketOptions(reuse_address=True, buffer_size=5)}),
        ("--until peer", {"conversation": ConversationOptions(TEXT, until=Until.PEER)}),
    ],
)
def test_options(options: str, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    default = started("-p", "0", monkeypatch=monkeypatch)
    port = [] if options.startswith(("-p ", "--port ")) else ["-p", "0"]
    config = started(*port, *options.split(), monkeypatch=monkeypatch)
    assert config == default._replace(**changed)


def test_a_unix_address_has_no_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = started("--bind", "unix:/run/x", monkeypatch=monkeypatch)
    assert config.listen == ListenOptions(UnixPath("/run/x"))
    assert status(["tcp-server", "--bind", "unix:/run/x", "-p", "80"]) == 2
    assert capsys.readouterr().err == "sockkit: unix:/run/x has no port: remove 80\n"


def test_a_port_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["tcp-server"]) == 2
    assert "-p 8080" in capsys.readouterr().err


@pytest.mark.parametrize("until", Until)
def test_until(until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    config = started("-p", "0", "--once", "--until", until.value, monkeypatch=monkeypatch)
    assert config.conversation.until is until  # not a mere string: the rules ask for identity
