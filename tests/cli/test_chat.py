from __future__ import annotations

import pytest

from sockkit.cli.main import status


def test_it_has_two_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["chat", "--help"]) == 0
    out = capsys.readouterr().out
    assert "serve  Open a chat room." in out
    assert "join   Join a chat room." in out


@pytest.mark.parametrize(("arguments", "says"), [(["serv"], "serve"), ([], "Usage")])
def test_what_is_no_command(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["chat", *arguments]) == 2
    assert says in capsys.readouterr().err
