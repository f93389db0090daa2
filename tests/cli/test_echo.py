from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.echo import Echo, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.responder import parse_rule
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Echo:
    """The configuration that `sockkit echo ARGUMENTS` folds to."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: calls.append(call))
    assert status(["echo", *arguments]) == 0
    ((name, command, config, values),) = calls
    assert (name, command) == ("echo", run)
    assert (values["verbose"], values["quiet"]) == (0, False)
    assert isinstance(config, Echo)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started("-p", "7007", monkeypatch=monkeypatch) == Echo(
        ListenOptions(HostPort("127.0.0.1", 7007)), SocketOptions(reuse_address=True)
    )


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("--bind ::", {"listen": ListenOptions(HostPort("::", 0))}),
        ("--backlog 5", {"listen": ListenOptions(HostPort("127.0.0.1", 0), 5)}),
        ("--no-reuse-address", {"sockets": SocketOptions(reuse_address=False)}),
        ("--send-buffer 4k", {"sockets": SocketOptions(reuse_address=True, send_buffer=4096)}),
        ("--tcp", {"tcp": True}),
        ("--udp", {"udp": True}),
        ("--upper", {"upper": True}),
        ("--rules x", {"rules_file": "x"}),
        ("-E gbk", {"encoding": "gbk"}),
        ("--greet hi", {"greet": "hi"}),
        ("--delay 200ms", {"delay": 0.2}),
        ("--drop 5%", {"drop": 0.05}),
        ("--close-after 3", {"close_after": 3}),
        ("--workers 4", {"workers": 4}),
        ("--port-file x", {"port_file": "x"}),
    ],
)
def test_options(options: str, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    default = started("-p", "0", monkeypatch=monkeypatch)
    config = started("-p", "0", *options.split(), monkeypatch=monkeypatch)
    assert config == default._replace(**changed)


def test_rules_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    globs, regexes = ["PING*=PONG", r"a\=b=c"], [r"^ADD (\d+)=OK \1", "x=y"]
    options = [word for rule in globs for word in ("--reply", rule)]
    options += [word for rule in regexes for word in ("--reply-re", rule)]
    config = started("-p", "0", *options, monkeypatch=monkeypatch)
    assert config.rules == (
        *(parse_rule(rule, regex=False) for rule in globs),
        *(parse_rule(rule, regex=True) for rule in regexes),
    )


def test_a_unix_address(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started("--tcp", "--bind", "unix:/run/x", monkeypatch=monkeypatch)
    assert config.listen == ListenOptions(UnixPath("/run/x"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--reply", "no rule"], "'no rule' is not a rule"),
        (["--reply-re", "(=x"], "unterminated"),
        (["--reply-re", r"a=\1"], "group"),
        (["--drop", "101%"], "'101%' is not a percentage"),
        (["--drop", "-1%"], "percentage"),
        (["--delay", "soon"], "'soon' is not a duration"),
        (["--close-after", "0"], "--close-after"),
        (["--workers", "0"], "--workers"),
        (["--workers", "257"], "--workers"),
        (["-E", "klingon"], "klingon"),
        (["1"], "two ports: -p 0 and 1: leave one out"),
    ],
)
def test_what_cannot_be_meant_is_named(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["echo", "-p", "0", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sockkit: ")
    assert says in line


def test_a_port_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["echo"]) == 2
    assert "-p 8080" in capsys.readouterr().err
