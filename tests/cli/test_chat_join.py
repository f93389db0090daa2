from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.chat_join import run
from sockkit.cli.main import status


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    calls: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["chat", "join", "127.0.0.1", "9000", *arguments]) == 0
    ((name, command, config, _),) = calls
    assert (name, command) == ("chat-join", run)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(monkeypatch=monkeypatch)
    assert (config.address.host, config.address.port) == ("127.0.0.1", 9000)
    assert (config.name, config.password, config.encoding) == (None, None, "utf-8")
    assert (config.timestamps, config.reconnect, config.udp) == (False, False, False)


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(
        *["--name", "小雪", "--password", "x", "-E", "gbk", "--timestamps", "--reconnect"],
        *["--color", "alex=green", "--udp"],
        monkeypatch=monkeypatch,
    )
    assert (config.name, config.password, config.encoding) == ("小雪", "x", "gbk")
    assert (config.timestamps, config.reconnect, config.udp) == (True, True, True)


@pytest.mark.parametrize("name", ["server", "a b", "[a]", "x" * 33])
def test_what_is_no_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["chat", "join", "127.0.0.1", "9000", "--name", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1
