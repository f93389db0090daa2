from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.habits.near import distance, nearest, unknown_command, unknown_option

OPTIONS = dict.fromkeys(["--exec", "--greet", "--help", "--record", "--recv-only", "-x"], False)
GRAMMAR = {"": {"--version": False}, "one": OPTIONS, "udp-two": {"--only": True}}


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("--exce", "--exec"),
        ("--execc", "--exec"),
        ("--gret", "--greet"),
        ("--reocrd", "--record"),
        ("--recvonly", "--recv-only"),
        ("--recv_only", "--recv-only"),
        ("--EXEC", "--exec"),
        ("--gre", "--greet"),
        ("--rec", ""),
        ("--hex", ""),
        ("--shell", ""),
        ("--e", ""),
        ("-z", ""),
        ("--", ""),
        ("", ""),
    ],
)
def test_only_what_is_close(word: str, near: str) -> None:
    assert nearest(word, OPTIONS) == near


@pytest.mark.parametrize(
    ("command", "name", "told"),
    [
        ("one", "--exce", ("one has no --exce: did you mean --exec?", True)),
        ("one", "--nope", ("one has no --nope", False)),
        ("one", "--only", ("one has no --only; udp-two has it", True)),
        ("udp-two", "--greet", ("udp-two has no --greet: over UDP nobody connects", True)),
        ("udp-two", "-x", ("udp-two has no -x; one has it", True)),
        ("one", "-1", ("'-1' is not a port: give 1 to 65535", True)),
        ("", "--exec", ("--exec comes after a command: one has it", True)),
        ("", "--versoin", ("no option --versoin: did you mean --version?", True)),
        ("", "--nope", ("no option --nope", False)),
    ],
)
def test_an_option_that_is_not_there(command: str, name: str, told: tuple[str, bool]) -> None:
    assert unknown_option(command, name, GRAMMAR) == told


def test_few_commands_are_named() -> None:
    grammar = {name: {"--all": False} for name in "abcdef"} | {"x": {}}
    assert (
        unknown_option("x", "--all", grammar)[0] == "x has no --all; a, b, c, d and 2 more have it"
    )


def test_a_command_that_is_not_there() -> None:
    assert unknown_command("ecko", ["echo"]) == ("no command 'ecko': did you mean echo?", True)
    assert unknown_command("xx", ["echo"]) == ("no command 'xx'", False)


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("abc", "axc", 1), ("hex", "help", 2)],
)
def test_distance(one: str, other: str, steps: int) -> None:
    assert distance(one, other) == distance(other, one) == steps


@given(st.text(max_size=8), st.text(max_size=8))
def test_distance_has_bounds(one: str, other: str) -> None:
    steps = distance(one, other)
    assert abs(len(one) - len(other)) <= steps <= max(len(one), len(other))
    assert (steps == 0) == (one == other)
