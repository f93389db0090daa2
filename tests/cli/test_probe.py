from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.probe import Probe, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort
from sockkit.core.probing import Rules
from sockkit.core.targets import parse_targets
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tls.options import ClientTls


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Probe, dict[str, Any]]:
    calls: list[tuple[str, Any, Probe, dict[str, Any]]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["probe", *arguments]) == 0
    ((_, command, config, values),) = calls
    assert command is run
    return config, values


DEFAULT = Probe(
    parse_targets(["h:80"], lambda _: None), ConnectOptions(3.0), SocketOptions(), Rules()
)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config, values = started("h", "http", monkeypatch=monkeypatch)
    assert config == DEFAULT
    assert "then" not in values
    assert values["typist"] is False


@pytest.mark.parametrize(
    ("options", "part", "folded"),
    [
        ("-w 500ms", "connect", ConnectOptions(timeout=0.5)),
        ("--source 10.0.0.7", "connect", ConnectOptions(3.0, source=HostPort("10.0.0.7", 0))),
        ("-4", "sockets", SocketOptions(family=4)),
        ("--any", "rules", Rules(any_one=True)),
        ("--wait 2m", "rules", Rules(wait=120.0)),
        ("--udp", "udp", True),
        ("--send a\\n", "send", b"a\\n"),
        ("--tls --tls-name x", "tls", ClientTls(name="x")),
        ("-q", "quiet", True),
    ],
)
def test_options(options: str, part: str, folded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started(*options.split(), "h", "80", monkeypatch=monkeypatch)
    assert config == DEFAULT._replace(**{part: folded})


def test_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started("--match", "^a+$", "h:80", monkeypatch=monkeypatch)
    assert config.match
    assert config.match.search("aa", timeout=1)


def test_what_is_sent_may_be_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started("--send", "é\udcff", "h:80", monkeypatch=monkeypatch)
    assert config.send == "é".encode() + b"\xff"


@pytest.mark.parametrize("words", [["ls"], ["ls", "-l", "--", "--wait"]])
def test_a_command_and_its_words(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config, values = started("h:80", "--any", "--", *words, monkeypatch=monkeypatch)
    assert config == DEFAULT._replace(command=tuple(words), rules=Rules(any_one=True))
    assert values["then"].args[0] == tuple(words)


def test_services_of_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def service(name: str, protocol: str) -> int:
        asked.append((name, protocol))
        return 69

    monkeypatch.setattr("sockkit.net.endpoint.service_port", service)
    config, _ = started("--udp", "h:tftp", monkeypatch=monkeypatch)
    assert [target.port for target in config.targets] == [69]
    started("h:tftp", monkeypatch=monkeypatch)
    assert asked == [("tftp", "udp"), ("tftp", "tcp")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no target"),
        (["h"], "'h' has no port"),
        (["h:80", "--"], "no COMMAND after --"),
        (["h:80", "--match", "("], "--match"),
        (["h:80", "--wait", "x"], "--wait"),
        (["h:80", "--tls", "--udp"], "--tls cannot be used with --udp"),
        (["h:80", "--tls-name", "x"], "--tls-name needs --tls"),
        (["h:80", "--buffer-size", "9"], "--buffer-size"),
    ],
)
def test_usage(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["probe", *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
