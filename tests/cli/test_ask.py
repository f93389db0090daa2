from __future__ import annotations

import io
import sys

import click
import pytest

from sockkit.cli.ask import ask_address


def asked(typed: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[str, ...]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    return ask_address(words)


@pytest.mark.parametrize(
    ("words", "typed", "address"),
    [
        ((), "10.0.0.7\n80\n", ("10.0.0.7", "80")),
        ((), "\n80\n", ("127.0.0.1", "80")),
        ((), "10.0.0.7:80\n", ("10.0.0.7:80",)),
        ((), "unix:/tmp/x\n", ("unix:/tmp/x",)),
        ((), "10.0.0.7 80\n", ("10.0.0.7", "80")),
        ((), "[::1]\nhttp\n", ("[::1]", "http")),
        (("10.0.0.7",), "80\n", ("10.0.0.7", "80")),
        (("10.0.0.7:80",), "", ("10.0.0.7:80",)),
        (("unix:/tmp/x",), "", ("unix:/tmp/x",)),
    ],
)
def test_what_is_missing_is_asked_for(
    words: tuple[str, ...], typed: str, address: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(typed, monkeypatch, *words) == address


def test_a_wrong_answer_is_told_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked("a b\nhost\n99999\n0\n80\n", monkeypatch) == ("host", "80")
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" is not ")[0] for line in told] == [
        "sockkit: 'b'", "sockkit: '99999'", "sockkit: '0'",
    ]  # fmt: skip


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.Abort):
        asked("", monkeypatch)
