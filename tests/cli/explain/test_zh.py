from __future__ import annotations

import pytest

from sockkit.cli.explain.en import SENTENCES as ENGLISH
from sockkit.cli.explain.telling import INDENT
from sockkit.cli.explain.zh import SENTENCES
from sockkit.core.width import width
from tests.cli.explain.test_en import MAX_LINES, filled, holes


def test_both_languages_have_the_same_sentences() -> None:
    assert list(SENTENCES) == list(ENGLISH)


@pytest.mark.parametrize("key", ENGLISH)
def test_both_languages_have_the_same_holes(key: str) -> None:
    assert holes(SENTENCES[key]) == holes(ENGLISH[key])


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_fits_a_terminal(key: str) -> None:
    lines = filled(SENTENCES[key]).splitlines()
    assert 0 < len(lines) <= MAX_LINES
    assert max(width(INDENT + line) for line in lines) <= 80


def test_a_sentence_is_chinese() -> None:
    """Nothing was left as it is in English, but for the names of calls."""
    same = {key for key in SENTENCES if SENTENCES[key] == ENGLISH[key]}
    assert {key for key in same if not SENTENCES[key].replace("()", "").isidentifier()} == {
        "accept.stream.again",
        "accept.unix.again",
        "recvfrom.addr.again",
    }
