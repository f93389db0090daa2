from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from sockkit.cli.advice import options_of_commands, usage_line
from sockkit.cli.main import status
from sockkit.errors import UsageError
from tests.core.habits import examples, to_paste

EXAMPLES = examples()
TAKEN = sorted({line for _, told in EXAMPLES if (line := to_paste(told))})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that lines name."""
    monkeypatch.chdir(tmp_path)
    for name in ("c.pem", "ca.pem", "k.pem", "allow.txt", "deny.txt"):
        (tmp_path / name).write_text("")


@pytest.mark.parametrize(("words", "told"), EXAMPLES, ids=[" ".join(each) for each, _ in EXAMPLES])
@pytest.mark.usefixtures("files")
def test_what_is_said(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(words) == 2
    assert capsys.readouterr() == ("", f"sockkit: {told}\n")


@pytest.mark.parametrize("line", TAKEN)
@pytest.mark.usefixtures("files")
def test_what_is_shown_is_taken(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sockkit.cli.start.start", lambda *_: None)
    words = shlex.split(
        re.split(r" (?:<|>>?) |; (?:sleep [0-9.]+; )?done", line[line.index("sockkit ") :])[0]
    )
    assert status(words[1:]) == 0, capsys.readouterr().err


def test_the_options_of_each_command() -> None:
    grammar = options_of_commands()
    assert {"", "chat", "chat serve", "chat join", "tcp-client", "udp-server"} <= set(grammar)
    assert grammar["tcp-client"]["-w"]
    assert grammar["tcp-client"]["--connect-timeout"]
    assert not grammar["tcp-client"]["-v"]
    assert not grammar["tcp-client"]["-4"]
    assert not grammar["tcp-client"]["--no-reuse-address"]
    assert not grammar["show"]["-h"]
    assert grammar["replay"]["--peer"]
    assert "--once" not in grammar["tcp-client"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tcp-server -p", "-p needs a value, as in -p 8080"),
        ("tcp-client -o", "-o needs a value: -o FILE"),
        ("tcp-server --tls=yes", "--tls takes no value: remove it"),
        ("replay", "FILE is missing (see sockkit replay --help)"),
        ("show a b", "unexpected 'b': leave it out"),
        ("show a b c", "unexpected 'b c': leave it out"),
        ("tcp-client --ttl 0 h 1", "--ttl: 0 is not allowed: give 1 to 255"),
        ("tcp-client --ttl x h 1", "--ttl: 'x' is not a whole number: give 1 to 255"),
        ("chat serve --flood -1", "--flood: -1.0 is not allowed: give 0 or more"),
        ("tcp-client --until x h 1", "--until: 'x' is not one of both, stdin, peer, either"),
        ("tcp-client --tls-ca none h 1", "--tls-ca: file 'none' does not exist: check the name"),
        (
            "relay --rate 0 h 1",
            "--rate: '0' is not a size: write 1 to 2147483647 bytes, such as 1024, 64k or 1M",
        ),
        ("chat nope", "no command 'nope' (see sockkit chat --help)"),
        ("nope", "no command 'nope' (see sockkit --help)"),
    ],
)
def test_errors_in_our_words(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(words.split()) == 2
    assert capsys.readouterr().err == f"sockkit: {told}\n"


def test_an_error_without_a_context() -> None:
    assert usage_line(click.UsageError("a\nb"), ["show"]) == "a b (see sockkit --help)"
    assert usage_line(click.BadParameter("odd."), ["show"]) == "odd"
    assert usage_line(UsageError("a", "b"), ["show"]) == "a: b"
