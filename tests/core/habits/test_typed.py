from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.habits.typed import DASHES, in_ascii

OPTIONS = {"--once": False, "--lang": True, "--explain": False, "-p": True, "-x": False}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("127.0.0.1\uff1a8080", "127.0.0.1:8080"),
        ("127.0.0.1\uff0c8080", "127.0.0.1,8080"),
        ("127\u30020\u30020\u30021", "127.0.0.1"),
        ("\uff18\uff10\uff18\uff10", "8080"),
        ("tcp\uff0dclient", "tcp-client"),
        ("\uff0dp", "-p"),
        ("\u2014p", "-p"),
        ("\u2014lvp", "-lvp"),
        ("\u2014once", "--once"),
        ("\u2013once", "--once"),
        ("\u2014\u2014once", "--once"),
        ("-\u2013once", "--once"),
        ("\uff0d\uff0dlang\uff1dzh", "--lang=zh"),
        ("\u2014lang\uff1dzh", "--lang=zh"),
        (
            "\u2014\u2014reply=\u4f60\u597d\uff0c\u518d\u89c1",
            "--reply=\u4f60\u597d\uff0c\u518d\u89c1",
        ),
    ],
)
def test_what_an_input_method_types_is_ascii(word: str, meant: str) -> None:
    assert in_ascii([word], OPTIONS)[0] == [meant]


@pytest.mark.parametrize("word", ["--once", "-x", "-", "--", "", "\u4f60\u597d\uff0c\u518d\u89c1"])
def test_other_words_are_left_alone(word: str) -> None:
    assert in_ascii([word], OPTIONS) == ([word], "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a\uff1ab", "\u2014x"], "'\uff1a' is not ':'"),
        (["a", "\u2014x"], "'\u2014' is not '-'"),
    ],
)
def test_the_reason_shows_the_first_mark_that_is_wrong(words: list[str], why: str) -> None:
    assert in_ascii(words, OPTIONS)[1] == why


@given(st.lists(st.text(st.characters() | st.sampled_from(DASHES)), max_size=3))
def test_no_word_is_lost(words: list[str]) -> None:
    meant, why = in_ascii(words, OPTIONS)
    assert len(meant) == len(words)
    assert bool(why) == (meant != words)
    assert in_ascii(meant, OPTIONS)[0] == meant
