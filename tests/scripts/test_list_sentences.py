from __future__ import annotations

import ast

import pytest

from scripts.list_sentences import Sentence, main, of_source, sentences


@pytest.fixture(scope="module")
def found() -> list[Sentence]:
    return sentences()


@pytest.mark.parametrize(
    ("path", "kind", "begin"),
    [
        ("sockkit/cli/options.py", "help", "Show NAME in COLOR"),
        ("sockkit/cli/tcp_client.py", "example", "sockkit tcp-client "),
        ("sockkit/cli/params.py", "error", "no port to listen on"),
        ("sockkit/net/tcp/listen.py", "error", "could not listen on {options.address}"),
        ("sockkit/apps/views.py", "hint", "add --record FILE"),
        ("sockkit/apps/shown.py", "text", "looks like GBK"),
        ("sockkit/apps/prepare.py", "notice", "made a certificate"),
        ("sockkit/cli/render.py", "status", "listening on {address}"),
        ("sockkit/cli/ask.py", "prompt", "Port"),
        ("sockkit/core/console.py", "console", "this list; //text"),
        ("sockkit/cli/main.py", "text", "sockkit: not enough memory"),
        ("sockkit/cli/commands.py", "help", "Talk to sockets"),
    ],
)
def test_a_sentence_of_each_kind_is_found(
    path: str, kind: str, begin: str, found: list[Sentence]
) -> None:
    texts = [one.text for one in found if (one.path, one.kind) == (path, kind)]
    assert any(text.startswith(begin) for text in texts)


def test_they_are_in_the_order_of_files_and_lines(found: list[Sentence]) -> None:
    assert found == sorted(found)
    assert len({one.path for one in found}) > 50


def told(code: str) -> list[tuple[int, str, str]]:
    return [tuple(one)[1:] for one in of_source("sockkit/net/x.py", ast.parse(code))]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UsageError('wrong', hint)", [(1, "error", "wrong")]),
        (
            "errors.BindError(f'no {a.b}', 'try it')",
            [(1, "error", "no {a.b}"), (1, "hint", "try it")],
        ),
        (
            "emit(Notice(\n'all of it', kind='some of it'))",
            [(2, "notice", "all of it"), (2, "count", "some of it")],
        ),
        (
            "told = f'{size} and more' if size else 'nothing at all'",
            [(1, "text", "{size} and more"), (1, "text", "nothing at all")],
        ),
        ("x = 'one'", []),
        ("x = 'SELECT THE LINES'", []),
        ("assert a == 'two words'", []),
        ("raise AssertionError('two words')", []),
        ("def f():\n    'A docstring of words.'", []),
        ("a: 'Some | Type of it' = None", []),
    ],
)
def test_which_strings_are_sentences(code: str, expected: list[tuple[int, str, str]]) -> None:
    assert told(code) == expected


def test_it_prints_a_sentence_a_line(
    found: list[Sentence], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["list_sentences.py"])
    monkeypatch.setattr("scripts.list_sentences.sentences", lambda: found)
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [str(one) for one in found]


def test_it_counts_them_by_kind(
    found: list[Sentence], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["list_sentences.py", "--count"])
    monkeypatch.setattr("scripts.list_sentences.sentences", lambda: found)
    assert main() == 0
    *kinds, total = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert total == [str(len(found)), "in all"]
    assert sum(int(count) for count, _ in kinds) == len(found)
