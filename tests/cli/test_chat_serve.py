from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.chat_serve import run
from sockkit.cli.main import status
from sockkit.core.chat.room import RoomOptions


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    calls: list[Any] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: calls.append(call))
    assert status(["chat", "serve", "-p", "9000", *arguments]) == 0
    ((name, command, config, _),) = calls
    assert (name, command) == ("chat-serve", run)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(monkeypatch=monkeypatch)
    assert config.room == RoomOptions()
    assert (config.encoding, config.client_encoding, config.history_file) == ("utf-8", None, None)
    assert (config.listen.address.host, config.listen.address.port) == ("127.0.0.1", 9000)
    assert not config.udp


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(
        *["--password", "x", "--max-connections", "9", "--history", "5", "--motd", "hi"],
        *["--flood", "0", "--quit-word", "bye", "-E", "gbk", "--client-encoding", "big5"],
        *["--history-file", "room.db", "--timestamps", "--color", "a=red", "--udp"],
        *["--backlog", "5", "--ttl", "6"],
        monkeypatch=monkeypatch,
    )
    assert config.room == RoomOptions(0, 5, 9, "x", "hi", "bye")
    assert (config.encoding, config.client_encoding) == ("gbk", "big5")
    assert (config.history_file, config.timestamps, config.udp) == ("room.db", True, True)
    assert (config.listen.backlog, config.sockets.ttl) == (5, 6)
    assert config.listen.max_connections is None  # the room counts its members
