from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.udp_server import run
from sockkit.cli.main import status

ADDRESS = ["-p", "8008"]


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The configuration that `sockkit udp-server ARGUMENTS` folds to."""
    calls: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: calls.append(call))
    assert status(["udp-server", *arguments, *ADDRESS]) == 0
    ((name, command, config, _),) = calls
    assert (name, command) == ("udp-server", run)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(monkeypatch=monkeypatch)
    assert (config.listen.address.host, config.listen.address.port) == ("127.0.0.1", 8008)
    assert not config.sockets.reuse_address  # two servers could have the port
    assert (config.answer, config.reply, config.udp.join) == (None, None, None)


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(
        *[
            "--answer",
            "all",
            "--reply",
            "ok",
            "--join",
            "239.1.2.3",
            "--port-file",
            "x",
            "--bind",
            "::",
            "--ttl",
            "5",
        ],
        monkeypatch=monkeypatch,
    )
    assert (config.answer, config.reply, config.udp.join) == ("all", "ok", "239.1.2.3")
    assert (config.port_file, config.listen.address.host) == ("x", "::")
    assert config.sockets.ttl == 5


@pytest.mark.parametrize(
    "wrong",
    ["--answer nobody", "--backlog 5", "--bind unix:/x", "--join 239.1.2.3 --join 239.1.2.4"],
)
def test_what_cannot_be_meant(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["udp-server", *wrong.split(), *ADDRESS]) == 2
    assert capsys.readouterr().err.count("\n") == 1
