from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from sockkit.cli.explain import connections, narrator, passing
from sockkit.cli.explain.en import SENTENCES
from sockkit.cli.explain.telling import INDENT
from sockkit.core.width import width

MAX_LINES = 4  # of a sentence
# As long as what a run fills in mostly is.
FILL = {
    "address": "192.168.100.100:65535",
    "addr": "addr = ('192.168.100.100', 65535)",
    "data": "b'" + "x" * 20 + "'",
    "kind": "accept()",
    "cipher": "TLS_AES_256_GCM_SHA384",
    "count": 12345,
}


def holes(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def filled(sentence: str) -> str:
    return sentence.format(**{name: FILL.get(name, "12345") for name in holes(sentence)})


@cache
def nodes() -> list[ast.AST]:
    """Of the modules that tell something."""
    paths = [Path(module.__file__) for module in (narrator, connections, passing)]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return [node for tree in trees for node in ast.walk(tree)]


def patterns() -> Iterator[str]:
    """The keys in the narrator, as patterns: what it fills into one is a word."""
    docstrings = {id(node.value) for node in nodes() if isinstance(node, ast.Expr)}
    for node in nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from map(re.escape, node.value.split() if id(node) not in docstrings else ())
        elif isinstance(node, ast.JoinedStr):
            first, *_ = (part.value for part in node.values)
            if isinstance(first, str) and re.fullmatch(r"[a-z_.]+\.", first):
                yield re.escape(first) + r"[\w.]+"


def kinds() -> set[str]:
    """What is told, by its kind: `self._tell(kind, …)`, `came(self._tell, kind, …)`."""
    calls = [node for node in nodes() if isinstance(node, ast.Call) and node.args]
    told = [call.args[0] for call in calls if ast.unparse(call.func) == "self._tell"]
    told += [call.args[1] for call in calls if ast.unparse(call.args[0]) == "self._tell"]
    return {str(kind.value) for kind in told if isinstance(kind, ast.Constant)}


def test_every_sentence_is_told() -> None:
    """A sentence that nothing tells is no use to anybody."""
    told = re.compile("|".join(patterns()))
    named = {key.removesuffix(".again") for key in SENTENCES if not key.startswith("kind.")}
    assert {key for key in named if not told.fullmatch(key)} == {"begin", "more", "byte", "bytes"}


def test_every_kind_of_steps_has_a_name() -> None:
    assert kinds() == {key.removeprefix("kind.") for key in SENTENCES if key.startswith("kind.")}


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_fits_a_terminal(key: str) -> None:
    lines = filled(SENTENCES[key]).splitlines()
    assert 0 < len(lines) <= MAX_LINES
    assert max(width(INDENT + line) for line in lines) <= 80


@pytest.mark.parametrize("key", [key for key in SENTENCES if key.endswith(".again")])
def test_what_is_said_again_is_shorter(key: str) -> None:
    first = SENTENCES[key.removesuffix(".again")]
    assert SENTENCES[key] == first or len(SENTENCES[key]) < len(first)
    assert holes(SENTENCES[key]) <= holes(first)
