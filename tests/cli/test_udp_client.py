from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.udp_client import run
from sockkit.cli.main import status

ADDRESS = ["127.0.0.1", "8008"]


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The configuration that `sockkit udp-client ARGUMENTS` folds to."""
    calls: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["udp-client", *arguments, *ADDRESS]) == 0
    ((name, command, config, _),) = calls
    assert (name, command) == ("udp-client", run)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(monkeypatch=monkeypatch)
    assert (config.address.host, config.address.port) == ("127.0.0.1", 8008)
    assert (config.udp.broadcast, config.connect.source) == (False, None)
    assert (config.answers.expect, config.answers.timeout, config.answers.linger) == (
        None,
        10,
        None,
    )
    assert (config.datagrams.lines, config.datagrams.name, config.sockets.buffer_size) == (
        False,
        None,
        None,
    )


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(
        *[
            "--lines",
            "--name",
            "小雪",
            "-E",
            "gbk",
            "--expect",
            "3",
            "-w",
            "2",
            "--linger",
            "500ms",
            "-i",
            "9",
        ],
        *[
            "--broadcast",
            "--source",
            "10.0.0.7:5",
            "--ttl",
            "3",
            "--tos",
            "8",
            "--buffer-size",
            "1k",
        ],
        *["--label", "--color", "alex=green"],
        monkeypatch=monkeypatch,
    )
    assert (config.datagrams.lines, config.datagrams.name, config.datagrams.text.encoding) == (
        True,
        "小雪",
        "gbk",
    )
    assert tuple(config.answers)[:4] == (3, 2, 0.5, 9)
    assert config.udp.broadcast
    assert (config.connect.source.host, config.connect.source.port) == ("10.0.0.7", 5)
    assert (config.sockets.ttl, config.sockets.tos, config.sockets.buffer_size) == (3, 8, 1024)
    assert config.datagrams.label


@pytest.mark.parametrize(
    "wrong", ["--name a:b", "--expect 0", "--ttl 0", "--ttl 256", "--color x=pink", "--no-delay"]
)
def test_what_cannot_be_meant(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["udp-client", *wrong.split(), *ADDRESS]) == 2
    assert capsys.readouterr().err.count("\n") == 1
