"""The room as a command; more is in tests/e2e/test_chat.py."""

from __future__ import annotations

import pytest

from tests.support import run


@pytest.mark.parametrize("option", ["--password x", "--history 5", "--motd x", "--history-file x"])
def test_what_a_room_over_udp_does_not_have(option: str) -> None:
    status, _, stderr = run("chat", "serve", "-p", "0", "--udp", *option.split())
    assert status == 2
    assert "over UDP has no --" in stderr
