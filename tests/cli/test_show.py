from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.show import Show, run
from sockkit.cli.main import status
from sockkit.core.text import Errors, TextOptions


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Show, dict[str, Any]]:
    calls: list[tuple[str, Any, Show, dict[str, Any]]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call: calls.append(call))
    assert status(["show", *arguments]) == 0
    ((name, command, config, values),) = calls
    assert (name, command) == ("show", run)
    return config, values


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    config, values = started("it.rec", monkeypatch=monkeypatch)
    assert config == Show("it.rec", TextOptions())
    assert values["typist"] is False
    config, _ = started(monkeypatch=monkeypatch)
    assert config.path == "-"


@pytest.mark.parametrize(
    ("options", "field", "folded"),
    [
        ("--text", "as_text", True),
        ("-x", "hex", True),
        ("--hex", "hex", True),
        ("--json", "json", True),
        ("--pcap out.pcapng", "pcap", "out.pcapng"),
        ("--pcap -", "pcap", "-"),
        ("--timestamps", "timestamps", True),
        ("--follow", "follow", True),
        ("--peer 2", "peers", (2,)),
        ("--peer 0 --peer 7", "peers", (0, 7)),
        ("--sent", "sent", True),
        ("--received", "received", True),
        ("-E gbk --errors replace", "text", TextOptions("gbk", errors=Errors.REPLACE)),
        ("--send-encoding big5", "text", TextOptions(send_encoding="big5")),
    ],
)
def test_an_option(
    options: str, field: str, folded: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, values = started("it.rec", *options.split(), monkeypatch=monkeypatch)
    assert config == Show("it.rec", TextOptions())._replace(**{field: folded})
    assert not values["hex"]  # which would be a view of this run
    assert not values["json"]


def test_since(monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = started("it.rec", "--since", "5m", monkeypatch=monkeypatch)
    assert config.since
    assert config.since(0, 400_000_000) == 100_000_000


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--since noon", "'noon' is not a time: write 13:59"),
        ("--peer one", "'one' is not a whole number: give 0 or more"),
        ("--peer -1", "-1 is not allowed: give 0 or more"),
        ("it.rec other.rec", "unexpected 'other.rec'"),
    ],
)
def test_what_cannot_be(options: str, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert status(["show", *options.split()]) == 2
    assert why in capfd.readouterr().err
