"""The room as a command; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from sockkit.apps.chat_serve import chat_view
from sockkit.net.stdio import Stdio
from tests.support import run


class End(NamedTuple):
    terminal: bool


def test_lines_are_coloured_where_colours_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: Any = End(False), End(True)
    stdio = Stdio(*ends, "utf-8")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    view = chat_view(stdio, {"alex": "red"}, timestamps=False)
    assert view.feed("[alex] hi\n") == "\x1b[31m[alex] \x1b[39mhi\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert chat_view(stdio, {}, timestamps=False).feed("[alex] hi\n") == "[alex] hi\n"


@pytest.mark.parametrize(
    "option",
    ["--password x", "--history 5", "--motd x", "--history-file x", "--client-encoding gbk"],
)
def test_what_a_room_over_udp_does_not_have(option: str) -> None:
    status, _, stderr = run("chat", "serve", "-p", "0", "--udp", *option.split())
    assert status == 2
    assert "over UDP has no --" in stderr
