from __future__ import annotations

from collections.abc import Iterable

import pytest

from sockkit.cli.advice import options_of_commands
from sockkit.core.habits.table import (
    NCAT,
    NOT_HERE,
    NOT_HERE_OPTIONS,
    OPTIONS,
    ROLES,
    SCHEMES,
    SOCAT,
    SOCAT_FLAGS,
    SOCAT_OPTIONS,
    TOOLS,
    WHY_NOT,
)
from tests.core.habits import examples

LINES = [words for words, _ in examples()]
WORDS = {word for words in LINES for word in words}
FIRST = {words[0].lower() for words in LINES}
# The types and the options of socat's addresses, and the schemes of URLs.
PLACES = [word.split(",") for word in WORDS]
TYPES = {place[0].partition(":")[0].upper() for place in PLACES} | {"-"}
SOCAT_WORDS = {part for place in PLACES for part in place[1:]}
GIVEN = {part.partition("=")[0] for part in SOCAT_WORDS} | SOCAT_WORDS
URLS = {word.partition("://")[0] for word in WORDS if "://" in word}


def split(names: Iterable[str]) -> set[str]:
    return {name for each in names for name in each.split()}


def letters(words: Iterable[str]) -> set[str]:
    """Each option, and each letter of -lvnp."""
    short = {f"-{letter}" for word in words if word[:1] == "-" != word[1:2] for letter in word[1:]}
    return short | {word.partition("=")[0] for word in words if word.startswith("--")}


def test_each_option_has_an_example() -> None:
    names = split(habit.names for habit in OPTIONS) | split(NOT_HERE_OPTIONS)
    assert names - letters(WORDS) == set()


def test_each_option_of_ncat_has_an_example() -> None:
    of_ncat = letters([word for words in LINES if words[0] == "ncat" for word in words])
    assert split(habit.names for habit in NCAT) - of_ncat == set()


def test_each_option_of_socat_has_an_example() -> None:
    of_socat = letters([word for words in LINES if words[0] == "socat" for word in words])
    assert set(SOCAT_FLAGS) - of_socat == set()
    assert split(SOCAT_OPTIONS) - GIVEN == set()


def test_each_word_has_an_example() -> None:
    assert TOOLS <= FIRST
    assert split(ROLES) <= FIRST


def test_each_address_has_an_example() -> None:
    seen = TYPES | WORDS | {name.rstrip("46") for name in TYPES}
    assert split(SOCAT) <= seen
    assert set(SCHEMES) <= URLS
    assert split(NOT_HERE) <= {name.lower() for name in seen} | URLS


def test_a_name_has_one_meaning() -> None:
    names = [name for habit in OPTIONS for name in habit.names.split()]
    assert len(names) == len(set(names))
    assert not set(names) & split(NOT_HERE_OPTIONS)


@pytest.mark.parametrize("habit", OPTIONS, ids=lambda habit: habit.names)
def test_what_to_use_exists(habit: object) -> None:
    grammar = options_of_commands()
    every = {name: takes for options in grammar.values() for name, takes in options.items()}
    assert isinstance(habit, type(OPTIONS[0]))
    option, *values = habit.use.split() or [""]
    if habit.value and habit.use:
        assert values in (["{}"], ["socks5h://{}"])
    if option not in ("", "-vv"):
        assert every[option] == bool(values)


def test_a_reason_names_an_option_that_others_have() -> None:
    grammar = options_of_commands()
    for start, option, why in WHY_NOT:
        assert why
        having = {name for name, options in grammar.items() if option in options}
        assert having or len(option) == 2  # nc's -u, for one
        assert not any(name.startswith(start) for name in having)
