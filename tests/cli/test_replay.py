"""The options of replay, and what they make of a run."""

from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.replay import Replay, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort
from sockkit.core.player import PlayOptions

TO = ("127.0.0.1", "9")
SERVE = ("--serve", "-p", "0")


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Replay:
    calls: list[tuple[str, Any, Replay, dict[str, Any]]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["replay", "it.rec", *arguments]) == 0
    ((name, command, config, values),) = calls
    assert (name, command) == ("replay", run)
    assert values["typist"] is False
    return config


def test_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(*TO, monkeypatch=monkeypatch)
    assert (config.path, config.address, config.listen) == ("it.rec", HostPort(*TO[:1], 9), None)
    assert config.play == PlayOptions()
    assert config.connect
    assert config.connect.timeout == 10
    assert config.sockets.no_delay
    assert config.idle is None


def test_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(*SERVE, "--once", "-w", "3", monkeypatch=monkeypatch)
    assert config.listen
    assert config.listen.address == HostPort("127.0.0.1", 0)
    assert config.listen.timeout == 3
    assert config.play == PlayOptions(serving=True, lockstep=True)
    assert config.once
    assert config.sockets.reuse_address


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("--speed 2", {"speed": 2.0}),
        ("--speed 0.5", {"speed": 0.5}),
        ("--speed max", {"speed": None}),
        ("--lockstep", {"lockstep": True}),
        ("--verify", {"verify": True}),
        ("--peer 2 --peer 0", {"peers": frozenset({0, 2})}),
    ],
)
def test_how_it_is_played(
    options: str, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = started(*TO, *options.split(), monkeypatch=monkeypatch)
    assert config.play == PlayOptions()._replace(**changed)


def test_a_server_with_the_recorded_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started(*SERVE, "--speed", "1", "-i", "2", monkeypatch=monkeypatch)
    assert config.play == PlayOptions(serving=True, speed=1.0)
    assert config.idle == 2


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "1e9", "fast", ""])
def test_a_speed_that_is_none(speed: str) -> None:
    assert status(["replay", "it.rec", *TO, "--speed", speed]) == 2


@pytest.mark.parametrize(
    "options",
    ["--once", "-p 0", "-p 9", "--bind ::", "--port-file f", "--unix-mode 600"],
)
def test_what_only_a_server_has(options: str) -> None:
    assert status(["replay", "it.rec", *TO, *options.split()]) == 2


@pytest.mark.parametrize(
    "options", ["--source 127.0.0.1", "--tls --tls-insecure", "--tls --tls-name a", "host 9"]
)
def test_what_only_a_client_has(options: str) -> None:
    assert status(["replay", "it.rec", *SERVE, *options.split()]) == 2


@pytest.mark.parametrize("options", ["-E gbk", "--send-encoding gbk", "--timestamps"])
@pytest.mark.parametrize("side", [TO, SERVE])
def test_what_only_a_view_has(
    options: str,
    side: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status(["replay", "it.rec", *side, *options.split()]) == 2
    assert "needs --hex" in capsys.readouterr().err
    started(*side, "--hex", *options.split(), monkeypatch=monkeypatch)


@pytest.mark.parametrize("view", ["--json", "--record f"])
def test_an_encoding_is_for_any_view(
    view: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(*TO, *view.split(), "-E", "gbk", monkeypatch=monkeypatch)
    assert status(["replay", "it.rec", *TO, *view.split(), "--timestamps"]) == 2
    assert "--timestamps needs --hex" in capsys.readouterr().err


def test_no_view_of_it_has_text_that_cannot_be_decoded(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["replay", "it.rec", *TO, "--hex", "--errors", "strict"]) == 2
    assert "replay has no --errors; tcp-client, " in capsys.readouterr().err


def test_what_excludes_each_other() -> None:
    assert status(["replay", "it.rec", *TO, "--lockstep", "--speed", "2"]) == 2
    assert status(["replay", "it.rec", "--serve"]) == 2
